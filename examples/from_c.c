// One question and its answer from C, remembered in a file. Needs GEMINI_API_KEY in the
// environment.
#include <stdio.h>
#include <stdlib.h>
#include <twinchat.h>

static int print(void* user_data, const char* text, size_t length) {
  (void)user_data;
  return fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0;
}

int main(void) {
  const char* key = getenv("GEMINI_API_KEY");
  const char* url = getenv("GEMINI_BASE_URL");
  // shown: from_c
  twinchat_gemini_options gemini = {
      .struct_size = sizeof gemini, .api_key = key ? key : "", .base_url = url};
  twinchat_assistant_options options = {
      .struct_size = sizeof options,
      .system_prompt = "You are a friendly assistant. Answer in two sentences."};
  twinchat_details jane = {.struct_size = sizeof jane, .name = "Jane"};
  twinchat_send_options streamed = {.struct_size = sizeof streamed, .on_text = print};

  twinchat_store* store = NULL;
  twinchat_model* model = NULL;
  twinchat_assistant* assistant = NULL;
  twinchat_session* session = NULL;
  twinchat_error* error = NULL;
  const int failed =
      twinchat_store_open("sqlite:///chat.db", &store, &error) ||
      twinchat_model_gemini(&gemini, &model, &error) ||
      twinchat_assistant_new(store, model, &options, &assistant, &error) ||
      twinchat_create_session(assistant, &jane, &session, &error) ||
      twinchat_send(assistant, twinchat_session_id(session), "How can I reverse diabetes?",
                    TWINCHAT_NTS, &streamed, NULL, &error);
  if (failed) fprintf(stderr, "from_c: %s\n", twinchat_error_message(error));
  // shown: end
  if (!failed) puts("");
  twinchat_error_free(error);
  twinchat_session_free(session);
  twinchat_assistant_free(assistant);
  twinchat_model_free(model);
  twinchat_store_free(store);
  return failed;
}
