// What one send costs in C; see send_bench.cc.
//
// Usage: send-bench-c BASE_URL SENDS

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <twinchat.h>

enum { kWarmUp = 200, kSendsPerSession = 10 };

static double microseconds(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static int ascending(const void* left, const void* right) {
  const double a = *(const double*)left;
  const double b = *(const double*)right;
  return (a > b) - (a < b);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int sends = atoi(argv[2]);
  twinchat_gemini_options gemini = {
      .struct_size = sizeof gemini, .api_key = "bench", .base_url = argv[1]};
  twinchat_assistant_options options = {.struct_size = sizeof options,
                                        .system_prompt = "You are a friendly assistant."};
  twinchat_store* store = NULL;
  twinchat_model* model = NULL;
  twinchat_assistant* assistant = NULL;
  if (twinchat_store_open("memory:", &store, NULL) ||
      twinchat_model_gemini(&gemini, &model, NULL) ||
      twinchat_assistant_new(store, model, &options, &assistant, NULL)) {
    return 1;
  }
  double* walls = malloc((size_t)sends * sizeof *walls);
  twinchat_session* session = NULL;
  double cpu = 0;
  for (int i = -kWarmUp; i < sends; ++i) {
    if (i == 0) cpu = microseconds(CLOCK_PROCESS_CPUTIME_ID);
    if (i % kSendsPerSession == 0) {
      twinchat_session_free(session);
      if (twinchat_create_session(assistant, NULL, &session, NULL)) return 1;
    }
    const double begun = microseconds(CLOCK_MONOTONIC);
    twinchat_turn* turn = NULL;
    twinchat_send(assistant, twinchat_session_id(session), "How can I reverse diabetes?",
                  TWINCHAT_NTS, NULL, &turn, NULL);
    const double wall = microseconds(CLOCK_MONOTONIC) - begun;
    size_t length = 0;
    twinchat_turn_text(turn, &length);
    twinchat_turn_free(turn);
    if (length == 0) return 1;
    if (i >= 0) walls[i] = wall;
  }
  cpu = (microseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / sends;
  qsort(walls, (size_t)sends, sizeof *walls, ascending);
  printf("%.1f %.1f\n", walls[sends / 2], cpu);
  free(walls);
  twinchat_session_free(session);
  twinchat_assistant_free(assistant);
  twinchat_model_free(model);
  twinchat_store_free(store);
  return 0;
}
