// The C API as a C program uses it, asking the stand-in whose address is in GEMINI_BASE_URL and
// which c_api_test.py has scripted. Says every case and ends with 1 when one failed.
//
// Usage: c_api_test [part of a case's name]

#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <twinchat.h>

static int failures = 0;

static void check(int holds, const char* what, int line) {
  if (holds) return;
  ++failures;
  printf("    line %d: %s\n", line, what);
}
#define CHECK(condition) check((condition) ? 1 : 0, #condition, __LINE__)
#define CHECK_TEXT(text, expected)                                           \
  do {                                                                       \
    const char* seen_ = (text);                                              \
    check(strcmp(seen_, (expected)) == 0, #text " == " #expected, __LINE__); \
    if (strcmp(seen_, (expected)) != 0) printf("      it is: %s\n", seen_);  \
  } while (0)

// --- an assistant to ask -------------------------------------------------------------------------

typedef struct House {
  twinchat_assistant* assistant;
  char session_id[40];
} House;

// An assistant over `model`, which it takes, and a store in memory; and a session in it.
static House house_with(twinchat_model* model, const twinchat_assistant_options* options) {
  House house = {NULL, ""};
  twinchat_store* store = NULL;
  twinchat_session* session = NULL;
  CHECK(twinchat_store_open("memory:", &store, NULL) == TWINCHAT_OK);
  CHECK(twinchat_assistant_new(store, model, options, &house.assistant, NULL) == TWINCHAT_OK);
  // The assistant keeps what it needs.
  twinchat_store_free(store);
  twinchat_model_free(model);
  CHECK(twinchat_create_session(house.assistant, NULL, &session, NULL) == TWINCHAT_OK);
  snprintf(house.session_id, sizeof house.session_id, "%s", twinchat_session_id(session));
  twinchat_session_free(session);
  return house;
}

static twinchat_model* gemini_with_key(const char* key) {
  twinchat_gemini_options options = {.struct_size = sizeof options,
                                     .api_key = key,
                                     .base_url = getenv("GEMINI_BASE_URL"),
                                     .max_attempts = 1};
  twinchat_model* model = NULL;
  CHECK(twinchat_model_gemini(&options, &model, NULL) == TWINCHAT_OK);
  return model;
}

static House house(void) {
  return house_with(gemini_with_key("test-key"), NULL);
}

static twinchat_code ask(House house, const char* text, twinchat_send_options* options,
                         twinchat_turn** turn, twinchat_error** error) {
  if (options != NULL) options->struct_size = sizeof *options;
  return twinchat_send(house.assistant, house.session_id, text, TWINCHAT_NTS, options, turn, error);
}

// What a streamed answer brought.
typedef struct Shown {
  char text[512];
  int pieces;
  int stop_after;           // pieces; 0 for never
  twinchat_cancel* cancel;  // requested with the first piece
} Shown;

static int show(void* user_data, const char* text, size_t length) {
  Shown* shown = user_data;
  CHECK(text[length] == '\0');
  CHECK(strlen(shown->text) + length < sizeof shown->text);
  strcat(shown->text, text);
  ++shown->pieces;
  twinchat_cancel_request(shown->cancel);
  return shown->pieces != shown->stop_after;
}

// What on_done brought, for a thread that waits for it.
typedef struct Done {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int times;
  twinchat_turn* turn;
  twinchat_error* error;
} Done;
#define NOT_DONE \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, NULL, NULL }

static void take_done(void* user_data, twinchat_turn* turn, twinchat_error* error) {
  Done* done = user_data;
  pthread_mutex_lock(&done->mutex);
  ++done->times;
  done->turn = turn;
  done->error = error;
  pthread_cond_signal(&done->changed);
  pthread_mutex_unlock(&done->mutex);
}

static void wait_done(Done* done) {
  pthread_mutex_lock(&done->mutex);
  while (done->times == 0) pthread_cond_wait(&done->changed, &done->mutex);
  pthread_mutex_unlock(&done->mutex);
}

static void count(void* user_data) {
  ++*(int*)user_data;
}

// --- the main job --------------------------------------------------------------------------------

static void main_job(void) {
  twinchat_store* store = NULL;
  twinchat_assistant* assistant = NULL;
  twinchat_session* session = NULL;
  twinchat_turn* turn = NULL;
  twinchat_message_list* messages = NULL;
  twinchat_turn_list* turns = NULL;
  twinchat_model* model = gemini_with_key("test-key");
  twinchat_assistant_options options = {.struct_size = sizeof options,
                                        .system_prompt = "You are a test."};
  twinchat_details jane = {.struct_size = sizeof jane, .name = "Jane", .email = "jane@example.com"};
  const char* id = NULL;
  size_t length = 0;

  CHECK(twinchat_store_open("sqlite:///c_api_test.db", &store, NULL) == TWINCHAT_OK);
  CHECK(twinchat_assistant_new(store, model, &options, &assistant, NULL) == TWINCHAT_OK);
  CHECK(twinchat_create_session(assistant, &jane, &session, NULL) == TWINCHAT_OK);
  id = twinchat_session_id(session);
  CHECK(strlen(id) == 36);
  CHECK_TEXT(twinchat_session_name(session), "Jane");
  CHECK_TEXT(twinchat_session_email(session), "jane@example.com");
  CHECK(twinchat_session_phone(session) == NULL);
  CHECK(twinchat_session_created_at_us(session) > INT64_C(1700000000000000));

  CHECK(twinchat_send(assistant, id, "first", TWINCHAT_NTS, NULL, NULL, NULL) == TWINCHAT_OK);
  CHECK(twinchat_send(assistant, id, "second, and no more", 6, NULL, &turn, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_status(turn) == TWINCHAT_COMPLETE);
  // The first turn went along.
  CHECK_TEXT(twinchat_turn_text(turn, &length), "Echo 2: second");
  CHECK(length == strlen("Echo 2: second"));
  CHECK_TEXT(twinchat_turn_session_id(turn), id);
  CHECK_TEXT(twinchat_turn_finish_reason(turn), "STOP");
  CHECK_TEXT(twinchat_turn_block_reason(turn), "");
  CHECK_TEXT(twinchat_turn_error_code(turn), "");
  CHECK(strlen(twinchat_turn_model(turn)) > 0);
  CHECK(strlen(twinchat_turn_model_version(turn)) > 0);
  CHECK(twinchat_turn_attempts(turn) == 1);
  CHECK(twinchat_turn_latency_ms(turn) >= 0);
  CHECK(twinchat_turn_replayed(turn) == 0);
  CHECK(twinchat_turn_prompt_tokens(turn) > 0);
  CHECK(twinchat_turn_output_tokens(turn) > 0);
  CHECK(twinchat_turn_cached_tokens(turn) == 0);
  CHECK(twinchat_turn_thought_tokens(turn) == 0);
  CHECK(twinchat_turn_total_tokens(turn) >=
        twinchat_turn_prompt_tokens(turn) + twinchat_turn_output_tokens(turn));
  CHECK_TEXT(twinchat_message_text(twinchat_turn_question(turn), NULL), "second");
  CHECK(twinchat_message_is_bot(twinchat_turn_answer(turn)) == 1);

  CHECK(twinchat_messages(assistant, id, 0, 0, &messages, NULL) == TWINCHAT_OK);
  CHECK(twinchat_message_list_count(messages) == 4);
  CHECK_TEXT(twinchat_message_text(twinchat_message_list_at(messages, 3), NULL), "Echo 2: second");
  CHECK(twinchat_message_is_bot(twinchat_message_list_at(messages, 2)) == 0);
  CHECK(twinchat_message_created_at_us(twinchat_message_list_at(messages, 3)) >=
        twinchat_message_created_at_us(twinchat_message_list_at(messages, 2)));
  CHECK(twinchat_message_list_at(messages, 4) == NULL);
  {
    twinchat_message_list* later = NULL;
    const int64_t second = twinchat_message_id(twinchat_message_list_at(messages, 1));
    CHECK(twinchat_messages(assistant, id, second, 1, &later, NULL) == TWINCHAT_OK);
    CHECK(twinchat_message_list_count(later) == 1);
    CHECK_TEXT(twinchat_message_text(twinchat_message_list_at(later, 0), NULL), "second");
    twinchat_message_list_free(later);
  }

  CHECK(twinchat_history(assistant, id, 1, &turns, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_list_count(turns) == 1);
  CHECK_TEXT(twinchat_turn_text(twinchat_turn_list_at(turns, 0), NULL), "Echo 2: second");
  CHECK(twinchat_turn_list_at(turns, 1) == NULL);

  twinchat_turn_list_free(turns);
  twinchat_message_list_free(messages);
  twinchat_turn_free(turn);
  twinchat_session_free(session);
  twinchat_assistant_free(assistant);
  twinchat_model_free(model);
  twinchat_store_free(store);
}

static void details(void) {
  House at = house();
  twinchat_session* session = NULL;
  twinchat_error* error = NULL;
  twinchat_details change = {.struct_size = sizeof change, .name = "Jane", .phone = "123"};
  CHECK(twinchat_update_user(at.assistant, at.session_id, &change, NULL, NULL) == TWINCHAT_OK);
  change.name = NULL;
  change.phone = NULL;
  change.email = "jane@example.com";
  change.clear = TWINCHAT_CLEAR_PHONE;
  CHECK(twinchat_update_user(at.assistant, at.session_id, &change, &session, NULL) == TWINCHAT_OK);
  CHECK_TEXT(twinchat_session_name(session), "Jane");
  CHECK_TEXT(twinchat_session_email(session), "jane@example.com");
  CHECK(twinchat_session_phone(session) == NULL);
  CHECK(twinchat_session_updated_at_us(session) >= twinchat_session_created_at_us(session));
  twinchat_session_free(session);

  // With a message.
  twinchat_details other = {.struct_size = sizeof other, .phone = "456"};
  twinchat_send_options options = {.details = &other};
  CHECK(ask(at, "hello", &options, NULL, NULL) == TWINCHAT_OK);
  CHECK(twinchat_find_session(at.assistant, at.session_id, &session, NULL) == TWINCHAT_OK);
  CHECK_TEXT(twinchat_session_phone(session), "456");
  twinchat_session_free(session);

  change.email = "nobody";
  CHECK(twinchat_update_user(at.assistant, at.session_id, &change, &session, &error) ==
        TWINCHAT_INVALID_ARGUMENT);
  CHECK(session == NULL);
  CHECK(strstr(twinchat_error_message(error), "nobody") == NULL);
  twinchat_error_free(error);
  twinchat_assistant_free(at.assistant);
}

static void no_session(void) {
  House at = house();
  const char* const unknown = "00000000-0000-4000-8000-000000000000";
  twinchat_session* session = NULL;
  twinchat_message_list* messages = NULL;
  twinchat_turn* turn = NULL;
  twinchat_error* error = NULL;
  CHECK(twinchat_find_session(at.assistant, unknown, &session, &error) == TWINCHAT_OK);
  CHECK(session == NULL && error == NULL);
  CHECK(twinchat_messages(at.assistant, unknown, 0, 0, &messages, NULL) == TWINCHAT_OK);
  CHECK(twinchat_message_list_count(messages) == 0);
  twinchat_message_list_free(messages);
  CHECK(twinchat_send(at.assistant, unknown, "hello", TWINCHAT_NTS, NULL, &turn, &error) ==
        TWINCHAT_NOT_FOUND);
  CHECK(turn == NULL);
  CHECK(twinchat_error_code(error) == TWINCHAT_NOT_FOUND);
  twinchat_error_free(error);

  twinchat_send_options options = {.struct_size = sizeof options, .create_session = 1};
  CHECK(twinchat_send(at.assistant, unknown, "hello", TWINCHAT_NTS, &options, &turn, NULL) ==
        TWINCHAT_OK);
  CHECK_TEXT(twinchat_turn_text(turn, NULL), "Echo 1: hello");
  twinchat_turn_free(turn);
  twinchat_assistant_free(at.assistant);
}

// --- streaming and stopping ----------------------------------------------------------------------

static void streaming(void) {
  House at = house();
  Shown shown = {.pieces = 0};
  twinchat_send_options options = {.on_text = show, .user_data = &shown};
  twinchat_turn* turn = NULL;
  CHECK(ask(at, "Tell me of the metabolism, at some length", &options, &turn, NULL) == TWINCHAT_OK);
  CHECK(shown.pieces > 1);
  CHECK_TEXT(shown.text, twinchat_turn_text(turn, NULL));
  twinchat_turn_free(turn);
  twinchat_assistant_free(at.assistant);
}

static void stopped_by_callback(void) {
  House at = house();
  Shown shown = {.stop_after = 2};
  twinchat_send_options options = {.on_text = show, .user_data = &shown};
  twinchat_turn* turn = NULL;
  CHECK(ask(at, "slow stream", &options, &turn, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_status(turn) == TWINCHAT_STOPPED);
  CHECK(shown.pieces == 2);
  CHECK_TEXT(twinchat_turn_text(turn, NULL), "one two ");
  CHECK_TEXT(shown.text, "one two ");
  twinchat_turn_free(turn);
  twinchat_assistant_free(at.assistant);
}

static void cancelled(void) {
  House at = house();
  Shown shown = {.cancel = twinchat_cancel_new()};
  twinchat_send_options options = {.on_text = show, .user_data = &shown, .cancel = shown.cancel};
  twinchat_turn* turn = NULL;
  twinchat_turn_list* turns = NULL;
  twinchat_error* error = NULL;
  CHECK(ask(at, "slow stream", &options, &turn, &error) == TWINCHAT_CANCELLED);
  CHECK(turn == NULL);
  CHECK(twinchat_error_code(error) == TWINCHAT_CANCELLED);
  twinchat_error_free(error);
  // What had come is stored.
  CHECK(twinchat_history(at.assistant, at.session_id, 9, &turns, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_status(twinchat_turn_list_at(turns, 0)) == TWINCHAT_STOPPED);
  CHECK_TEXT(twinchat_turn_text(twinchat_turn_list_at(turns, 0), NULL), shown.text);
  CHECK_TEXT(twinchat_turn_error_code(twinchat_turn_list_at(turns, 0)), "CANCELLED");
  twinchat_turn_list_free(turns);
  // A handle that was used stops what gets it later, too.
  CHECK(ask(at, "hello", &options, NULL, NULL) == TWINCHAT_CANCELLED);
  twinchat_cancel_free(shown.cancel);
  CHECK(ask(at, "hello", NULL, NULL, NULL) == TWINCHAT_OK);
  twinchat_assistant_free(at.assistant);
}

static void without_waiting(void) {
  House at = house();
  Done done = NOT_DONE;
  Shown shown = {.pieces = 0};
  twinchat_send_options options = {
      .struct_size = sizeof options, .on_text = show, .user_data = &shown};
  CHECK(twinchat_start_send(at.assistant, at.session_id, "Tell me more", TWINCHAT_NTS, &options,
                            take_done, &done, NULL) == TWINCHAT_OK);
  wait_done(&done);
  CHECK(done.times == 1);
  CHECK(done.error == NULL);
  CHECK_TEXT(twinchat_turn_text(done.turn, NULL), "Echo 1: Tell me more");
  CHECK_TEXT(shown.text, "Echo 1: Tell me more");
  twinchat_turn_free(done.turn);
  twinchat_assistant_free(at.assistant);
}

static void cancelled_without_waiting(void) {
  House at = house();
  Done done = NOT_DONE;
  twinchat_send_options options = {.struct_size = sizeof options, .cancel = twinchat_cancel_new()};
  CHECK(twinchat_start_send(at.assistant, at.session_id, "never answered", TWINCHAT_NTS, &options,
                            take_done, &done, NULL) == TWINCHAT_OK);
  twinchat_cancel_request(options.cancel);
  // Also without its handle the send hears of it.
  twinchat_cancel_free(options.cancel);
  wait_done(&done);
  CHECK(done.times == 1);
  CHECK(done.turn == NULL);
  CHECK(twinchat_error_code(done.error) == TWINCHAT_CANCELLED);
  twinchat_error_free(done.error);

  // What cannot begin is told at once, and never by on_done.
  twinchat_error* error = NULL;
  CHECK(twinchat_start_send(at.assistant, NULL, "x", TWINCHAT_NTS, NULL, take_done, &done,
                            &error) == TWINCHAT_INVALID_ARGUMENT);
  CHECK_TEXT(twinchat_error_message(error), "session_id must not be NULL.");
  twinchat_error_free(error);
  CHECK(twinchat_start_send(at.assistant, at.session_id, "x", TWINCHAT_NTS, NULL, NULL, NULL,
                            NULL) == TWINCHAT_INVALID_ARGUMENT);
  twinchat_assistant_free(at.assistant);
  CHECK(done.times == 1);
}

static void freed_under_way(void) {
  House at = house();
  Done done = NOT_DONE;
  CHECK(twinchat_start_send(at.assistant, at.session_id, "never answered", TWINCHAT_NTS, NULL,
                            take_done, &done, NULL) == TWINCHAT_OK);
  twinchat_assistant_free(at.assistant);
  CHECK(done.times == 1);
  CHECK(twinchat_error_code(done.error) == TWINCHAT_CANCELLED);
  twinchat_error_free(done.error);
}

// --- failures ------------------------------------------------------------------------------------

static void upstream_errors(void) {
  twinchat_error* error = NULL;
  House refused = house_with(gemini_with_key("bad-key"), NULL);
  CHECK(ask(refused, "hello", NULL, NULL, &error) == TWINCHAT_UNAUTHENTICATED);
  CHECK_TEXT(twinchat_error_reason(error), "API_KEY_INVALID");
  CHECK(twinchat_error_http_status(error) == 400);
  CHECK(twinchat_error_retryable(error) == 0);
  CHECK(twinchat_error_retry_after_ms(error) == -1);
  CHECK(strstr(twinchat_error_message(error), "bad-key") == NULL);
  CHECK(strlen(twinchat_error_diagnostic(error)) > 0);
  twinchat_error_free(error);
  twinchat_assistant_free(refused.assistant);

  House at = house();
  CHECK(ask(at, "out of quota", NULL, NULL, &error) == TWINCHAT_RESOURCE_EXHAUSTED);
  CHECK(twinchat_error_retry_after_ms(error) == 77000);
  CHECK(twinchat_error_retryable(error) == 1);
  CHECK(twinchat_error_http_status(error) == 429);
  twinchat_error_free(error);

  twinchat_send_options options = {.timeout_ms = 50};
  CHECK(ask(at, "never answered", &options, NULL, &error) == TWINCHAT_DEADLINE_EXCEEDED);
  CHECK_TEXT(twinchat_error_stage(error), "deadline");
  twinchat_error_free(error);

  // The next one works, and the history tells of all.
  CHECK(ask(at, "hello", NULL, NULL, NULL) == TWINCHAT_OK);
  twinchat_turn_list* turns = NULL;
  CHECK(twinchat_history(at.assistant, at.session_id, 9, &turns, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_list_count(turns) == 3);
  CHECK(twinchat_turn_status(twinchat_turn_list_at(turns, 0)) == TWINCHAT_FAILED);
  CHECK_TEXT(twinchat_turn_error_code(twinchat_turn_list_at(turns, 0)), "RESOURCE_EXHAUSTED");
  CHECK(twinchat_turn_answer(twinchat_turn_list_at(turns, 0)) == NULL);
  CHECK_TEXT(twinchat_turn_text(twinchat_turn_list_at(turns, 0), NULL), "");
  twinchat_turn_list_free(turns);
  twinchat_assistant_free(at.assistant);
}

static void refused_prompt(void) {
  twinchat_assistant_options options = {.struct_size = sizeof options, .refusal = "I will not."};
  House at = house_with(gemini_with_key("test-key"), &options);
  twinchat_turn* turn = NULL;
  CHECK(ask(at, "something foul", NULL, &turn, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_status(turn) == TWINCHAT_BLOCKED);
  CHECK_TEXT(twinchat_turn_text(turn, NULL), "I will not.");
  CHECK_TEXT(twinchat_turn_block_reason(turn), "PROHIBITED_CONTENT");
  twinchat_turn_free(turn);
  twinchat_assistant_free(at.assistant);
}

static void bad_input(void) {
  twinchat_store* store = (twinchat_store*)&failures;
  twinchat_error* error = NULL;
  CHECK(twinchat_store_open("mysql://secret@host/db", &store, &error) != TWINCHAT_OK);
  CHECK(store == NULL);
  CHECK(strstr(twinchat_error_message(error), "secret") == NULL);
  twinchat_error_free(error);
  CHECK(twinchat_store_open("sqlite:////no/such/folder/chat.db", &store, &error) ==
        TWINCHAT_UNAVAILABLE);
  twinchat_error_free(error);

  twinchat_model* model = NULL;
  twinchat_gemini_options gemini = {.struct_size = sizeof gemini};
  CHECK(twinchat_model_gemini(&gemini, &model, NULL) == TWINCHAT_INVALID_ARGUMENT);
  gemini.api_key = "k";
  gemini.max_in_flight = -1;
  CHECK(twinchat_model_gemini(&gemini, &model, &error) == TWINCHAT_INVALID_ARGUMENT);
  CHECK_TEXT(twinchat_error_message(error), "max_in_flight must not be negative.");
  twinchat_error_free(error);
  gemini.max_in_flight = 0;
  gemini.idle_timeout_ms = -1;
  CHECK(twinchat_model_gemini(&gemini, &model, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(model == NULL);

  House at = house();
  CHECK(ask(at, "", NULL, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(ask(at, "\xff", NULL, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_send(at.assistant, at.session_id, "a\0b", 3, NULL, NULL, NULL) ==
        TWINCHAT_INVALID_ARGUMENT);
  twinchat_assistant_free(at.assistant);
}

static void idempotency(void) {
  House at = house();
  twinchat_send_options options = {.idempotency_key = "one"};
  twinchat_turn* first = NULL;
  twinchat_turn* second = NULL;
  CHECK(ask(at, "hello", &options, &first, NULL) == TWINCHAT_OK);
  CHECK(ask(at, "hello", &options, &second, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_replayed(first) == 0);
  CHECK(twinchat_turn_replayed(second) == 1);
  CHECK_TEXT(twinchat_turn_text(second, NULL), twinchat_turn_text(first, NULL));
  CHECK(ask(at, "another text", &options, NULL, NULL) == TWINCHAT_ALREADY_EXISTS);
  twinchat_turn_free(first);
  twinchat_turn_free(second);
  twinchat_assistant_free(at.assistant);
}

// --- the border ----------------------------------------------------------------------------------

static void nulls(void) {
  twinchat_error* error = NULL;
  twinchat_assistant* assistant = NULL;
  size_t length = 1;
  CHECK(twinchat_store_open(NULL, NULL, &error) == TWINCHAT_INVALID_ARGUMENT);
  CHECK_TEXT(twinchat_error_message(error), "store must not be NULL.");
  twinchat_error_free(error);
  CHECK(twinchat_model_gemini(NULL, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_model_from_callback(NULL, NULL, NULL, NULL, NULL, NULL) ==
        TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_assistant_new(NULL, NULL, NULL, &assistant, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_create_session(NULL, NULL, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_find_session(NULL, NULL, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_update_user(NULL, NULL, NULL, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_messages(NULL, NULL, 0, 0, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_history(NULL, NULL, 0, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_send(NULL, NULL, NULL, 0, NULL, NULL, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(twinchat_start_send(NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL) ==
        TWINCHAT_INVALID_ARGUMENT);

  CHECK(twinchat_error_code(NULL) == TWINCHAT_OK);
  CHECK_TEXT(twinchat_error_message(NULL), "");
  CHECK_TEXT(twinchat_error_diagnostic(NULL), "");
  CHECK_TEXT(twinchat_error_reason(NULL), "");
  CHECK_TEXT(twinchat_error_stage(NULL), "");
  CHECK(twinchat_error_retry_after_ms(NULL) == -1);
  CHECK(twinchat_error_retryable(NULL) == 0);
  CHECK(twinchat_error_http_status(NULL) == 0);
  CHECK_TEXT(twinchat_session_id(NULL), "");
  CHECK(twinchat_session_name(NULL) == NULL);
  CHECK(twinchat_session_email(NULL) == NULL);
  CHECK(twinchat_session_phone(NULL) == NULL);
  CHECK(twinchat_session_created_at_us(NULL) == 0);
  CHECK(twinchat_session_updated_at_us(NULL) == 0);
  CHECK(twinchat_message_list_count(NULL) == 0);
  CHECK(twinchat_message_list_at(NULL, 0) == NULL);
  CHECK(twinchat_message_id(NULL) == 0);
  CHECK_TEXT(twinchat_message_text(NULL, &length), "");
  CHECK(length == 0);
  CHECK(twinchat_message_is_bot(NULL) == 0);
  CHECK(twinchat_message_created_at_us(NULL) == 0);
  CHECK(twinchat_turn_list_count(NULL) == 0);
  CHECK(twinchat_turn_list_at(NULL, 0) == NULL);
  CHECK(twinchat_turn_status(NULL) == TWINCHAT_PENDING);
  CHECK_TEXT(twinchat_turn_text(NULL, NULL), "");
  CHECK(twinchat_turn_question(NULL) == NULL);
  CHECK(twinchat_turn_answer(NULL) == NULL);
  CHECK_TEXT(twinchat_turn_session_id(NULL), "");
  CHECK_TEXT(twinchat_turn_finish_reason(NULL), "");
  CHECK_TEXT(twinchat_turn_block_reason(NULL), "");
  CHECK_TEXT(twinchat_turn_model(NULL), "");
  CHECK_TEXT(twinchat_turn_model_version(NULL), "");
  CHECK_TEXT(twinchat_turn_error_code(NULL), "");
  CHECK(twinchat_turn_prompt_tokens(NULL) == 0);
  CHECK(twinchat_turn_cached_tokens(NULL) == 0);
  CHECK(twinchat_turn_output_tokens(NULL) == 0);
  CHECK(twinchat_turn_thought_tokens(NULL) == 0);
  CHECK(twinchat_turn_total_tokens(NULL) == 0);
  CHECK(twinchat_turn_latency_ms(NULL) == 0);
  CHECK(twinchat_turn_attempts(NULL) == 0);
  CHECK(twinchat_turn_replayed(NULL) == 0);
  CHECK_TEXT(twinchat_request_system_prompt(NULL), "");
  CHECK(twinchat_request_count(NULL) == 0);
  CHECK(twinchat_request_role(NULL, 0) == TWINCHAT_USER);
  CHECK(twinchat_request_text(NULL, 0, &length) == NULL);
  CHECK(twinchat_request_stopped(NULL) == 0);
  CHECK(twinchat_request_time_left_ms(NULL) == -1);
  CHECK(twinchat_reply_add(NULL, "x", 1) == 0);
  twinchat_reply_fail(NULL, TWINCHAT_UNKNOWN, NULL, -1);
  twinchat_reply_set_finish_reason(NULL, "STOP");
  twinchat_reply_set_usage(NULL, 0, 0);
  twinchat_cancel_request(NULL);

  twinchat_error_free(NULL);
  twinchat_store_free(NULL);
  twinchat_model_free(NULL);
  twinchat_assistant_free(NULL);
  twinchat_session_free(NULL);
  twinchat_message_list_free(NULL);
  twinchat_turn_free(NULL);
  twinchat_turn_list_free(NULL);
  twinchat_cancel_free(NULL);
}

static void struct_sizes(void) {
  House at = house();
  twinchat_error* error = NULL;
  twinchat_turn* turn = NULL;
  Shown shown = {.pieces = 0};
  // As a program has it whose header is a later one.
  struct {
    twinchat_send_options known;
    const char* later;
  } newer = {{.struct_size = sizeof newer, .on_text = show, .user_data = &shown}, NULL};
  CHECK(twinchat_send(at.assistant, at.session_id, "hello", TWINCHAT_NTS, &newer.known, NULL,
                      NULL) == TWINCHAT_OK);
  CHECK_TEXT(shown.text, "Echo 1: hello");
  newer.later = "something that this library cannot do";
  CHECK(twinchat_send(at.assistant, at.session_id, "hello", TWINCHAT_NTS, &newer.known, NULL,
                      &error) == TWINCHAT_INVALID_ARGUMENT);
  CHECK_TEXT(twinchat_error_message(error),
             "send_options: a field is set that this version does not have.");
  twinchat_error_free(error);

  // As one has it whose header knew nothing behind user_data: what lies there is not looked at.
  twinchat_send_options older;
  memset(&older, 0xff, sizeof older);
  older.struct_size = offsetof(twinchat_send_options, cancel);
  older.on_text = NULL;
  older.user_data = NULL;
  CHECK(twinchat_send(at.assistant, at.session_id, "again", TWINCHAT_NTS, &older, &turn, NULL) ==
        TWINCHAT_OK);
  CHECK_TEXT(twinchat_turn_text(turn, NULL), "Echo 2: again");
  twinchat_turn_free(turn);

  older.struct_size = 0;
  CHECK(twinchat_send(at.assistant, at.session_id, "hello", TWINCHAT_NTS, &older, NULL, &error) ==
        TWINCHAT_INVALID_ARGUMENT);
  CHECK_TEXT(twinchat_error_message(error), "send_options: struct_size is not set.");
  twinchat_error_free(error);
  twinchat_assistant_free(at.assistant);
}

static void names(void) {
  for (int code = 0; code <= 16; ++code) {
    for (int other = 0; other < code; ++other) {
      CHECK(strcmp(twinchat_code_name((twinchat_code)code),
                   twinchat_code_name((twinchat_code)other)) != 0);
    }
  }
  CHECK_TEXT(twinchat_code_name(TWINCHAT_OK), "OK");
  CHECK_TEXT(twinchat_code_name(TWINCHAT_NOT_FOUND), "NOT_FOUND");
  CHECK_TEXT(twinchat_code_name(TWINCHAT_UNAUTHENTICATED), "UNAUTHENTICATED");
  CHECK_TEXT(twinchat_code_name((twinchat_code)17), "UNKNOWN");
  for (int status = 0; status <= 7; ++status) {
    for (int other = 0; other < status; ++other) {
      CHECK(strcmp(twinchat_status_name((twinchat_status)status),
                   twinchat_status_name((twinchat_status)other)) != 0);
    }
  }
  CHECK_TEXT(twinchat_status_name(TWINCHAT_STOPPED), "cancelled");
  CHECK(strchr(twinchat_version(), '.') != NULL);
}

// --- models and tools of the program's -----------------------------------------------------------

// Says back what it was asked, piece by piece, or does as the question says.
static void generate(void* user_data, const twinchat_request* request, twinchat_reply* reply) {
  const size_t last = twinchat_request_count(request) - 1;
  size_t length = 0;
  const char* question = twinchat_request_text(request, last, &length);
  (void)user_data;
  CHECK(twinchat_request_role(request, last) == TWINCHAT_USER);
  CHECK(length == strlen(question));
  CHECK(twinchat_request_text(request, last + 1, NULL) == NULL);
  CHECK(twinchat_request_time_left_ms(request) > 0);
  if (strcmp(question, "fail") == 0) {
    twinchat_reply_fail(reply, TWINCHAT_UNAVAILABLE, "It rains.", 1500);
    return;
  }
  if (strcmp(question, "say nothing") == 0) return;
  if (strcmp(question, "wait") == 0) {
    const struct timespec pause = {0, 1000000};
    while (!twinchat_request_stopped(request)) nanosleep(&pause, NULL);
    CHECK(twinchat_reply_add(reply, "too late", TWINCHAT_NTS) == 0);
    return;
  }
  char count[32];
  snprintf(count, sizeof count, "%d ", (int)twinchat_request_count(request));
  if (!twinchat_reply_add(reply, twinchat_request_system_prompt(request), TWINCHAT_NTS) ||
      !twinchat_reply_add(reply, count, TWINCHAT_NTS)) {
    return;
  }
  twinchat_reply_add(reply, question, length);
  twinchat_reply_set_usage(reply, 5, 7);
  if (strcmp(question, "cut") == 0) twinchat_reply_set_finish_reason(reply, "MAX_TOKENS");
  if (strcmp(question, "break") == 0) twinchat_reply_fail(reply, TWINCHAT_INTERNAL, NULL, -1);
}

static House house_of_callback(int* released) {
  twinchat_model* model = NULL;
  twinchat_assistant_options options = {.struct_size = sizeof options, .system_prompt = "Parrot: "};
  CHECK(twinchat_model_from_callback("parrot", generate, released, count, &model, NULL) ==
        TWINCHAT_OK);
  return house_with(model, &options);
}

static void callback_model(void) {
  int released = 0;
  House at = house_of_callback(&released);
  Shown shown = {.pieces = 0};
  twinchat_send_options options = {.on_text = show, .user_data = &shown};
  twinchat_turn* turn = NULL;
  CHECK(ask(at, "one", NULL, NULL, NULL) == TWINCHAT_OK);
  CHECK(ask(at, "two", &options, &turn, NULL) == TWINCHAT_OK);
  CHECK_TEXT(twinchat_turn_text(turn, NULL), "Parrot: 3 two");
  CHECK_TEXT(shown.text, "Parrot: 3 two");
  CHECK(shown.pieces == 3);
  CHECK(twinchat_turn_status(turn) == TWINCHAT_COMPLETE);
  CHECK_TEXT(twinchat_turn_model(turn), "parrot");
  CHECK(twinchat_turn_prompt_tokens(turn) == 5);
  CHECK(twinchat_turn_output_tokens(turn) == 7);
  twinchat_turn_free(turn);

  CHECK(ask(at, "cut", NULL, &turn, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_status(turn) == TWINCHAT_TRUNCATED);
  CHECK_TEXT(twinchat_turn_finish_reason(turn), "MAX_TOKENS");
  twinchat_turn_free(turn);
  CHECK(released == 0);
  twinchat_assistant_free(at.assistant);
  CHECK(released == 1);

  // The user data of a model that could not be made stays the caller's.
  twinchat_model* none = NULL;
  CHECK(twinchat_model_from_callback(NULL, generate, &released, count, &none, NULL) ==
        TWINCHAT_INVALID_ARGUMENT);
  CHECK(none == NULL && released == 1);
}

static void callback_model_failures(void) {
  int released = 0;
  House at = house_of_callback(&released);
  twinchat_turn* turn = NULL;
  twinchat_error* error = NULL;
  CHECK(ask(at, "fail", NULL, NULL, &error) == TWINCHAT_UNAVAILABLE);
  CHECK_TEXT(twinchat_error_message(error), "It rains.");
  CHECK(twinchat_error_retry_after_ms(error) == 1500);
  CHECK(twinchat_error_retryable(error) == 1);
  twinchat_error_free(error);
  CHECK(ask(at, "say nothing", NULL, NULL, &error) == TWINCHAT_INTERNAL);
  CHECK_TEXT(twinchat_error_reason(error), "EMPTY_ANSWER");
  twinchat_error_free(error);
  CHECK(ask(at, "break", NULL, &turn, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_status(turn) == TWINCHAT_TRUNCATED);
  twinchat_turn_free(turn);

  twinchat_send_options options = {.timeout_ms = 50};
  CHECK(ask(at, "wait", &options, NULL, &error) == TWINCHAT_DEADLINE_EXCEEDED);
  twinchat_error_free(error);
  Done done = NOT_DONE;
  CHECK(twinchat_start_send(at.assistant, at.session_id, "wait", TWINCHAT_NTS, NULL, take_done,
                            &done, NULL) == TWINCHAT_OK);
  twinchat_assistant_free(at.assistant);
  CHECK(twinchat_error_code(done.error) == TWINCHAT_CANCELLED);
  twinchat_error_free(done.error);
}

static void look_up(void* user_data, const char* args_json, twinchat_reply* reply) {
  (void)user_data;
  CHECK(strstr(args_json, "Paris") != NULL);
  twinchat_reply_add(reply, "{\"degrees\":", TWINCHAT_NTS);
  twinchat_reply_add(reply, "21}", TWINCHAT_NTS);
}

static void break_down(void* user_data, const char* args_json, twinchat_reply* reply) {
  (void)user_data;
  (void)args_json;
  twinchat_reply_fail(reply, TWINCHAT_INTERNAL, "nobody's business", -1);
}

static void tools(void) {
  int released = 0;
  twinchat_tool weather = {.struct_size = sizeof weather,
                           .name = "weather",
                           .description = "The weather of a town.",
                           .parameters_json_schema =
                               "{\"type\":\"object\",\"properties\":"
                               "{\"town\":{\"type\":\"string\"}}}",
                           .function = look_up,
                           .user_data = &released,
                           .release = count};
  twinchat_tool broken = {.struct_size = sizeof broken, .name = "broken", .function = break_down};
  const twinchat_tool* const both[] = {&weather, &broken, NULL};
  twinchat_assistant_options options = {.struct_size = sizeof options, .tools = both};
  House at = house_with(gemini_with_key("test-key"), &options);
  twinchat_turn* turn = NULL;
  CHECK(ask(at, "use the tool", NULL, &turn, NULL) == TWINCHAT_OK);
  CHECK_TEXT(twinchat_turn_text(turn, NULL), "Echo 2: weather={\"degrees\":21}");
  twinchat_turn_free(turn);
  CHECK(ask(at, "use what is broken", NULL, &turn, NULL) == TWINCHAT_OK);
  CHECK(strstr(twinchat_turn_text(turn, NULL), "broken={\"error\":\"the function failed\"}") !=
        NULL);
  twinchat_turn_free(turn);
  CHECK(released == 0);
  twinchat_assistant_free(at.assistant);
  CHECK(released == 1);

  twinchat_assistant* none = NULL;
  CHECK(twinchat_assistant_new(NULL, NULL, &options, &none, NULL) == TWINCHAT_INVALID_ARGUMENT);
  CHECK(released == 1);
}

static void generation(void) {
  const double temperature = 0;
  const int32_t cap = 2;
  twinchat_generation cold = {.struct_size = sizeof cold, .temperature = &temperature};
  twinchat_generation brief = {.struct_size = sizeof brief, .max_output_tokens = &cap};
  twinchat_assistant_options options = {
      .struct_size = sizeof options, .generation = &cold, .history_turns = -1};
  House at = house_with(gemini_with_key("test-key"), &options);
  twinchat_send_options send = {.generation = &brief};
  twinchat_turn* turn = NULL;
  CHECK(ask(at, "Tell me of the metabolism", &send, &turn, NULL) == TWINCHAT_OK);
  CHECK(twinchat_turn_status(turn) == TWINCHAT_TRUNCATED);
  twinchat_turn_free(turn);
  // history_turns: -1.
  CHECK(ask(at, "again", NULL, &turn, NULL) == TWINCHAT_OK);
  CHECK_TEXT(twinchat_turn_text(turn, NULL), "Echo 1: again");
  twinchat_turn_free(turn);
  twinchat_assistant_free(at.assistant);
}

// -------------------------------------------------------------------------------------------------

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } kCases[] = {
      {"A question is answered, and all of it can be read again", main_job},
      {"Details are set, kept and cleared, also together with a message", details},
      {"An unknown session is NULL where it is looked for, an error where it is needed",
       no_session},
      {"Pieces of a streamed answer are the answer", streaming},
      {"A callback that returns 0 stops the answer and keeps what was shown", stopped_by_callback},
      {"A cancel handle stops a send, and what had come is stored", cancelled},
      {"A send that is not waited for calls back once", without_waiting},
      {"A send that is not waited for can be cancelled", cancelled_without_waiting},
      {"Freeing the assistant ends what is under way", freed_under_way},
      {"An upstream's failure comes as its code with what is known of it", upstream_errors},
      {"A refused prompt is answered with the refusal", refused_prompt},
      {"Input that can never work is refused and repeats no secret", bad_input},
      {"A repeated idempotency key gives the first answer again", idempotency},
      {"NULL is refused or read as nothing, never followed", nulls},
      {"Options of earlier and later headers are understood", struct_sizes},
      {"Every code and status has its name", names},
      {"A model can be a callback", callback_model},
      {"A model that is a callback can fail, fall silent and be stopped", callback_model_failures},
      {"The model calls the program's tools", tools},
      {"Generation settings reach the model, 0 too", generation},
  };
  int failed = 0;
  for (size_t i = 0; i < sizeof kCases / sizeof kCases[0]; ++i) {
    if (argc > 1 && strstr(kCases[i].name, argv[1]) == NULL) continue;
    failures = 0;
    kCases[i].run();
    printf("%s  %s\n", failures == 0 ? "ok    " : "FAILED", kCases[i].name);
    fflush(stdout);
    failed += failures != 0;
  }
  return failed == 0 ? 0 : 1;
}
