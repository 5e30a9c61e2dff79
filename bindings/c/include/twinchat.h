#ifndef TWINCHAT_H_
#define TWINCHAT_H_

// libtwinchat for C and for every language that can call C: chat sessions, their messages, and a
// model that answers. examples/from_c.c is a whole program.
//
//   twinchat_store_open, twinchat_model_gemini   the two parts of an assistant
//   twinchat_assistant_new                       puts them together
//   twinchat_create_session, twinchat_send       the main job
//
// Handles. Everything behind a pointer to an incomplete type is made by the library and freed by
// the function of its name that ends in _free, exactly once, by whoever got it; _free takes NULL.
// An assistant keeps what it needs of its store and model: they may be freed in any order. A handle
// that a paragraph calls borrowed lives as long as the one it came from and is not freed.
//
// Errors. A function that can fail returns a twinchat_code, TWINCHAT_OK when it has done its work.
// Otherwise nothing was given out (what its out parameters point to is NULL), and `*error` tells
// more; it is the caller's to free. Where `error` is NULL it is left out. Nothing is remembered
// behind the caller's back, neither globally nor by thread. A pointer that is needed and NULL is
// TWINCHAT_INVALID_ARGUMENT. Functions that only read a handle take NULL for it and then give NULL,
// 0 or an empty list. No C++ exception leaves the library.
//
// Texts are UTF-8. What comes in is copied before the function returns. What goes out ends with a
// NUL and belongs to the handle it was asked of (callbacks: until they return). Where a text may
// hold a NUL of its own, its length comes along; a `length` pointer may be NULL.
//
// Options are structs whose first field is their size, as the caller's header knows it:
//
//   twinchat_gemini_options options = {.struct_size = sizeof options, .api_key = key};
//
// A field that is 0 or NULL keeps its default. Fields are only ever added at the end, so that a
// program goes on working with a newer library; with an older one it works unless it sets a field
// that the library does not know, which is TWINCHAT_INVALID_ARGUMENT. A NULL for the whole struct
// is all defaults where a paragraph says so. (Structs and not names with values: the compiler sees
// every mistake, and callbacks fit in.)
//
// Callbacks get the user_data that was given with them. They must not throw or longjmp.
//
// Thread safety: every function may be called from any number of threads at once, on the same
// handles too; only _free needs a handle that nobody else uses any more.

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
// Marks what the library shows.
#define TWINCHAT_API __attribute__((visibility("default")))
#else
#define TWINCHAT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

// The version of the library that is linked, "0.1.0". A string with static lifetime.
TWINCHAT_API const char* twinchat_version(void);

// --- errors --------------------------------------------------------------------------------------

// What went wrong, for decisions. Names and numbers are those of google.rpc.Code. A later version
// may add some: treat one that you do not know as TWINCHAT_UNKNOWN.
typedef enum twinchat_code {
  TWINCHAT_OK = 0,                   // the work is done
  TWINCHAT_CANCELLED = 1,            // the caller stopped it
  TWINCHAT_UNKNOWN = 2,              // something of somebody else's failed
  TWINCHAT_INVALID_ARGUMENT = 3,     // the caller's input can never work
  TWINCHAT_DEADLINE_EXCEEDED = 4,    // a limit of time ran out
  TWINCHAT_NOT_FOUND = 5,            // no such session, or no such model
  TWINCHAT_ALREADY_EXISTS = 6,       // the idempotency key was used with another text
  TWINCHAT_PERMISSION_DENIED = 7,    // the upstream refuses this credential
  TWINCHAT_RESOURCE_EXHAUSTED = 8,   // a quota, a rate limit, a full queue, or memory
  TWINCHAT_FAILED_PRECONDITION = 9,  // the database or the account is not in a state to do this
  TWINCHAT_ABORTED = 10,             // the same idempotency key is being worked on right now
  TWINCHAT_OUT_OF_RANGE = 11,        // a position or size outside of what exists
  TWINCHAT_UNIMPLEMENTED = 12,       // asked for something that this part cannot do
  TWINCHAT_INTERNAL = 13,            // the other side broke, or cannot be understood
  TWINCHAT_UNAVAILABLE = 14,         // the other side cannot be reached or is overloaded
  TWINCHAT_DATA_LOSS = 15,           // stored data is damaged
  TWINCHAT_UNAUTHENTICATED = 16      // no credential, or one that is not accepted
} twinchat_code;

// The name as google.rpc.Code spells it, "NOT_FOUND" for TWINCHAT_NOT_FOUND; "UNKNOWN" for a number
// that is none. A string with static lifetime.
TWINCHAT_API const char* twinchat_code_name(twinchat_code code);

// What is known of a failure. Immutable.
typedef struct twinchat_error twinchat_error;

// The code, as the function returned it. TWINCHAT_OK for NULL.
TWINCHAT_API twinchat_code twinchat_error_code(const twinchat_error* error);
// A sentence that may be shown to a visitor: no secret, no upstream's text, nobody's words.
TWINCHAT_API const char* twinchat_error_message(const twinchat_error* error);
// One line for an operator's log on the technical cause; empty when there is nothing to add.
TWINCHAT_API const char* twinchat_error_diagnostic(const twinchat_error* error);
// The machine-readable cause, such as "API_KEY_INVALID", "EMPTY_ANSWER", "DAILY_TOKENS", "CONNECT";
// empty when there is none.
TWINCHAT_API const char* twinchat_error_reason(const twinchat_error* error);
// Which limit of time ran out: "queue", "connect", "first byte", "idle", "total" or "deadline";
// empty when none did.
TWINCHAT_API const char* twinchat_error_stage(const twinchat_error* error);
// How long to wait before trying again, in milliseconds; -1 when nobody said so.
TWINCHAT_API int64_t twinchat_error_retry_after_ms(const twinchat_error* error);
// 1 when the same call may work later without a change, else 0.
TWINCHAT_API int twinchat_error_retryable(const twinchat_error* error);
// The upstream's HTTP status; 0 when there was no answer.
TWINCHAT_API int twinchat_error_http_status(const twinchat_error* error);
// Frees the error and the texts that came from it.
TWINCHAT_API void twinchat_error_free(twinchat_error* error);

// --- what callbacks use --------------------------------------------------------------------------

// For a length: the text ends at its first NUL.
#define TWINCHAT_NTS ((size_t)-1)

// Receives a piece of the answer as it comes. Return 0 to stop the
// model there, anything else to go on.
typedef int (*twinchat_on_text)(void* user_data, const char* text, size_t length);

// Called once, on any thread, when the library will not use `user_data` again.
typedef void (*twinchat_release)(void* user_data);

// Where a model or a tool of the program's puts its result. Borrowed for the time of the callback,
// and for one thread at a time.
typedef struct twinchat_reply twinchat_reply;

// Adds text to the reply; `length` may be TWINCHAT_NTS. A model's text goes on to whoever reads
// along, at once. Returns 0 when nobody wants more (the turn was stopped, or memory ran out): the
// callback may return then; otherwise 1.
TWINCHAT_API int twinchat_reply_add(twinchat_reply* reply, const char* text, size_t length);
// Says that the callback has failed. A model's turn fails with this code and message, which
// visitors may be shown (NULL: a sentence of the library's), or ends as truncated when text was
// added before. `retry_after_ms` is -1 where nothing is known; UNAVAILABLE, RESOURCE_EXHAUSTED,
// DEADLINE_EXCEEDED and INTERNAL count as retryable. Of a tool's failure the model learns no more
// than that there was one. TWINCHAT_OK as the code counts as TWINCHAT_UNKNOWN.
TWINCHAT_API void twinchat_reply_fail(twinchat_reply* reply, twinchat_code code,
                                      const char* message, int64_t retry_after_ms);
// Why the answer ends, as the Gemini API spells it: "STOP" (the default), "MAX_TOKENS", "SAFETY"
// and so on. For models only.
TWINCHAT_API void twinchat_reply_set_finish_reason(twinchat_reply* reply, const char* reason);
// The tokens that were used; 0 where unknown. For models only.
TWINCHAT_API void twinchat_reply_set_usage(twinchat_reply* reply, int64_t prompt_tokens,
                                           int64_t output_tokens);

// --- store ---------------------------------------------------------------------------------------

// Where sessions, messages and turns are kept.
typedef struct twinchat_store twinchat_store;

// Opens the store that `url` names, creating what is missing: "sqlite:///relative/path.db",
// "sqlite:////absolute/path.db" or "memory:". INVALID_ARGUMENT for another form, UNIMPLEMENTED for
// a database that this build has no store for, UNAVAILABLE when it cannot be opened or written,
// FAILED_PRECONDITION or DATA_LOSS when the file is not ours or is damaged. May wait for the disk.
TWINCHAT_API twinchat_code twinchat_store_open(const char* url, twinchat_store** store,
                                               twinchat_error** error);
// Lets go of the store. It is closed, waiting for the disk, when no assistant has it either.
TWINCHAT_API void twinchat_store_free(twinchat_store* store);

// --- model ---------------------------------------------------------------------------------------

// Something that answers.
typedef struct twinchat_model twinchat_model;

// How Gemini is reached and asked. Lists of texts end with a NULL.
typedef struct twinchat_gemini_options {
  size_t struct_size;                  // sizeof the struct; always to be set
  const char* api_key;                 // needed
  const char* model;                   // NULL: the library's default
  const char* const* fallback_models;  // asked in this order when the one before cannot answer now
  const char* base_url;                // https, or http to a loopback address; a path is kept
  const char* api_version;             // "v1beta" by default
  // Category, threshold, category, threshold ... in the API's own words; NULL: the model's own.
  const char* const* safety_settings;
  int32_t max_output_tokens;      // when a request sets none
  int32_t max_attempts;           // per model, the first included
  int64_t connect_timeout_ms;     // until connected, TLS included
  int64_t first_byte_timeout_ms;  // from there to the first byte of the answer
  int64_t idle_timeout_ms;        // between two bytes of it
  int64_t total_timeout_ms;       // of one attempt
  int64_t max_in_flight;          // requests on the network at the same time
  int64_t max_connections;        // to the server at the same time
  const char* proxy;              // http:// or https://; NULL: the environment's
  const char* ca_file;            // PEM file of certificate authorities in place of the system's
  // Told in plain words about what an operator should know. Called on the model's I/O thread until
  // the model is gone; must not block.
  void (*on_warning)(void* user_data, const char* text);
  void* user_data;  // for on_warning
} twinchat_gemini_options;

// A model that asks Google's Gemini API. One I/O thread carries all its calls, and nothing is sent
// before the first question. INVALID_ARGUMENT when the options cannot work.
TWINCHAT_API twinchat_code twinchat_model_gemini(const twinchat_gemini_options* options,
                                                 twinchat_model** model, twinchat_error** error);

// What a model of the program's is asked. Borrowed for the time of the callback.
typedef struct twinchat_request twinchat_request;

// Who speaks.
typedef enum twinchat_role {
  TWINCHAT_USER = 0,  // the visitor
  TWINCHAT_MODEL = 1  // what answered
} twinchat_role;

// The assistant's system prompt; empty for none.
TWINCHAT_API const char* twinchat_request_system_prompt(const twinchat_request* request);
// How many texts the conversation has: the last is the question, and roles alternate.
TWINCHAT_API size_t twinchat_request_count(const twinchat_request* request);
// Whose the text at `index` is; the oldest has the index 0.
TWINCHAT_API twinchat_role twinchat_request_role(const twinchat_request* request, size_t index);
// The text at `index`; NULL beyond the end.
TWINCHAT_API const char* twinchat_request_text(const twinchat_request* request, size_t index,
                                               size_t* length);
// 1 when nobody waits for the answer any longer (cancelled, or out of time): look at it now and
// then in a long computation.
TWINCHAT_API int twinchat_request_stopped(const twinchat_request* request);
// What is left of the turn's time; -1 for no limit.
TWINCHAT_API int64_t twinchat_request_time_left_ms(const twinchat_request* request);

// Answers by twinchat_reply_add(); without text the turn is empty. May block; called from many
// threads at once.
typedef void (*twinchat_generate)(void* user_data, const twinchat_request* request,
                                  twinchat_reply* reply);

// A model of the program's. `name` is recorded with the turns. `release` may be NULL; it is called
// when the model and every assistant with it are gone, not at all when this function fails. Such a
// model is not shown the assistant's tools and cannot call them.
TWINCHAT_API twinchat_code twinchat_model_from_callback(const char* name,
                                                        twinchat_generate generate, void* user_data,
                                                        twinchat_release release,
                                                        twinchat_model** model,
                                                        twinchat_error** error);
// Lets go of the model. It ends when no assistant has it either.
TWINCHAT_API void twinchat_model_free(twinchat_model* model);

// --- assistant -----------------------------------------------------------------------------------

// Sessions, their messages, and a model that answers. What a visitor wrote is stored before the
// model is asked, and the answer before it is handed over. Turns of one session run one after the
// other in the order of their sends; turns of different sessions run side by side.
typedef struct twinchat_assistant twinchat_assistant;

// How an answer is to be generated. What is NULL is left to the model; a setting that the model in
// use does not know is left out.
typedef struct twinchat_generation {
  size_t struct_size;                 // sizeof the struct; always to be set
  const double* temperature;          // 0 to 2; ignored by the newest models
  const double* top_p;                // 0 to 1; likewise
  const int32_t* top_k;               // likewise
  const int32_t* max_output_tokens;   // thoughts count towards it
  const int32_t* seed;                // for answers that can be had again
  const int32_t* thinking_budget;     // in tokens; 0 off, -1 automatic
  const char* thinking_level;         // "MINIMAL", "LOW", "MEDIUM" or "HIGH"
  const char* const* stop_sequences;  // at most 5, then NULL
  const char* response_mime_type;     // "application/json" for JSON
  const char* response_json_schema;   // a JSON schema as text
} twinchat_generation;

// A function of the program's that the model may call while it works on an answer.
typedef struct twinchat_tool {
  size_t struct_size;                  // sizeof the struct; always to be set
  const char* name;                    // letters, digits, _ : . -; at most 64; needed
  const char* description;             // what it does and when to use it: the model reads this
  const char* parameters_json_schema;  // for an object; NULL: no parameters
  // Gets the arguments as a JSON object and adds the result to `reply` as one; another JSON value
  // or plain text reaches the model as {"result": ...}. May block; runs where the turn runs.
  // Needed.
  void (*function)(void* user_data, const char* args_json, twinchat_reply* reply);
  void* user_data;           // for function
  twinchat_release release;  // when the assistant is gone; may be NULL
} twinchat_tool;

// What holds for all turns of an assistant.
typedef struct twinchat_assistant_options {
  size_t struct_size;          // sizeof the struct; always to be set
  const char* system_prompt;   // who the assistant is and how it speaks
  int64_t history_turns;       // answered turns that go along with a question; 0: 20, -1: none
  int64_t history_tokens;      // and about so many tokens of them; 0: 16384
  int64_t max_message_length;  // in code points; 0: 5000
  const char* refusal;         // what a visitor is answered when the model refuses
  int64_t turn_timeout_ms;     // for one turn in all, waiting included; 0: 180000
  int64_t max_queued;          // turns that may wait behind others of their session; 0: 16
  int64_t daily_tokens;        // that all turns of a UTC day may use; 0: no limit
  int32_t max_tool_rounds;     // how often the model may call tools in one turn; 0: 8
  const twinchat_generation* generation;  // how answers are generated; NULL: as the model does
  const twinchat_tool* const* tools;      // ends with a NULL
} twinchat_assistant_options;

// Puts a store and a model together; shares both with whoever else uses them. `options` may be
// NULL. INVALID_ARGUMENT when a part is missing or an option is out of range; no tool is released
// then.
TWINCHAT_API twinchat_code twinchat_assistant_new(twinchat_store* store, twinchat_model* model,
                                                  const twinchat_assistant_options* options,
                                                  twinchat_assistant** assistant,
                                                  twinchat_error** error);
// Cancels the turns under way, stores them as cancelled, and returns when every on_done has been
// called. Does not wait for the network. Never from a callback.
TWINCHAT_API void twinchat_assistant_free(twinchat_assistant* assistant);

// --- sessions ------------------------------------------------------------------------------------

// One visitor's conversation, as it was when it was read.
typedef struct twinchat_session twinchat_session;

// What a visitor told about themself. NULL: not given; in an update: as it was.
typedef struct twinchat_details {
  size_t struct_size;  // sizeof the struct; always to be set
  const char* name;    // at most 255 code points
  const char* email;   // an e-mail address of at most 254 code points, or empty
  const char* phone;   // at most 20 code points
  uint32_t clear;      // in an update: fields that become not given, TWINCHAT_CLEAR_NAME and so on
} twinchat_details;

// For twinchat_details.clear: the name becomes not given.
#define TWINCHAT_CLEAR_NAME 1u
// The same for the e-mail address.
#define TWINCHAT_CLEAR_EMAIL 2u
// The same for the phone number.
#define TWINCHAT_CLEAR_PHONE 4u

// A new session with a fresh random id. `details` may be NULL; INVALID_ARGUMENT when there is
// something wrong with them. May wait for the disk, as the others below.
TWINCHAT_API twinchat_code twinchat_create_session(twinchat_assistant* assistant,
                                                   const twinchat_details* details,
                                                   twinchat_session** session,
                                                   twinchat_error** error);
// The session. When there is none of that id it is NULL and the code TWINCHAT_OK.
TWINCHAT_API twinchat_code twinchat_find_session(twinchat_assistant* assistant,
                                                 const char* session_id, twinchat_session** session,
                                                 twinchat_error** error);
// Changes the details that are given and gives the session as it then is; `session` may be NULL.
// NOT_FOUND; INVALID_ARGUMENT for details that cannot be.
TWINCHAT_API twinchat_code twinchat_update_user(twinchat_assistant* assistant,
                                                const char* session_id,
                                                const twinchat_details* details,
                                                twinchat_session** session, twinchat_error** error);

// The public name, a random UUID: who knows it may read the conversation.
TWINCHAT_API const char* twinchat_session_id(const twinchat_session* session);
// The visitor's name; NULL when it was never given.
TWINCHAT_API const char* twinchat_session_name(const twinchat_session* session);
// The visitor's e-mail address; NULL when it was never given.
TWINCHAT_API const char* twinchat_session_email(const twinchat_session* session);
// The visitor's phone number; NULL when it was never given.
TWINCHAT_API const char* twinchat_session_phone(const twinchat_session* session);
// When the session was made, in microseconds since 1970 in UTC.
TWINCHAT_API int64_t twinchat_session_created_at_us(const twinchat_session* session);
// When the last message came or a detail was changed, likewise.
TWINCHAT_API int64_t twinchat_session_updated_at_us(const twinchat_session* session);
// Frees this copy; the stored session stays.
TWINCHAT_API void twinchat_session_free(twinchat_session* session);

// --- messages ------------------------------------------------------------------------------------

// One thing that was said; borrowed from its list or turn.
typedef struct twinchat_message twinchat_message;
// Messages in their order.
typedef struct twinchat_message_list twinchat_message_list;

// The messages of a session with an id greater than `after_id`, oldest first, at most `limit` of
// them; 0 and 0 for all. Empty for an unknown session.
TWINCHAT_API twinchat_code twinchat_messages(twinchat_assistant* assistant, const char* session_id,
                                             int64_t after_id, size_t limit,
                                             twinchat_message_list** messages,
                                             twinchat_error** error);
// How many there are.
TWINCHAT_API size_t twinchat_message_list_count(const twinchat_message_list* messages);
// Borrowed from the list; NULL beyond its end.
TWINCHAT_API const twinchat_message* twinchat_message_list_at(const twinchat_message_list* messages,
                                                              size_t index);
// Frees the list and its messages; what is stored stays.
TWINCHAT_API void twinchat_message_list_free(twinchat_message_list* messages);

// The message's number, which grows within a session.
TWINCHAT_API int64_t twinchat_message_id(const twinchat_message* message);
// What was said.
TWINCHAT_API const char* twinchat_message_text(const twinchat_message* message, size_t* length);
// 1 for an answer, 0 for what the visitor wrote.
TWINCHAT_API int twinchat_message_is_bot(const twinchat_message* message);
// When it was said, in microseconds since 1970 in UTC.
TWINCHAT_API int64_t twinchat_message_created_at_us(const twinchat_message* message);

// --- turns ---------------------------------------------------------------------------------------

// A question and what became of it.
typedef struct twinchat_turn twinchat_turn;
// Turns in their order.
typedef struct twinchat_turn_list twinchat_turn_list;

// How a turn ended.
typedef enum twinchat_status {
  TWINCHAT_PENDING = 0,     // the model is being asked
  TWINCHAT_COMPLETE = 1,    // answered
  TWINCHAT_TRUNCATED = 2,   // answered, but the answer was cut
  TWINCHAT_BLOCKED = 3,     // the model refused; the answer is the configured refusal
  TWINCHAT_EMPTY = 4,       // the model said nothing, even when asked again
  TWINCHAT_FAILED = 5,      // the model could not be asked, or broke
  TWINCHAT_STOPPED = 6,     // cancelled by the caller; the answer is what had come by then
  TWINCHAT_INTERRUPTED = 7  // the process died meanwhile
} twinchat_status;

// "complete" for TWINCHAT_COMPLETE, "cancelled" for TWINCHAT_STOPPED, and so on: as it is stored;
// "failed" for a number that is none. A string with static lifetime.
TWINCHAT_API const char* twinchat_status_name(twinchat_status status);

// Stops what it was given to. One may be given to several sends.
typedef struct twinchat_cancel twinchat_cancel;

// Never fails but for want of memory: NULL then.
TWINCHAT_API twinchat_cancel* twinchat_cancel_new(void);
// Stops the sends that have it, now and later. Returns at once; each ends soon after with
// TWINCHAT_CANCELLED, and what of its answer had come is stored. From any thread, also from a
// callback.
TWINCHAT_API void twinchat_cancel_request(twinchat_cancel* cancel);
// May be freed while sends that have it are under way: they go on.
TWINCHAT_API void twinchat_cancel_free(twinchat_cancel* cancel);

// What holds for one send.
typedef struct twinchat_send_options {
  size_t struct_size;        // sizeof the struct; always to be set
  twinchat_on_text on_text;  // receives the answer as it comes; given: the answer is streamed
  void* user_data;           // for on_text
  twinchat_cancel* cancel;   // stops the turn wherever it is
  int64_t timeout_ms;        // in place of turn_timeout_ms
  // A name of the caller's for this message, at most 255 bytes: a second send under the same name
  // in the same session gives the first one's answer, or goes on where it failed, and never asks or
  // stores anything twice.
  const char* idempotency_key;
  const twinchat_generation* generation;  // over the assistant's, field by field
  const twinchat_details* details;        // applied to the session together with the message
  int create_session;                     // 1: create the session when there is none of that id
} twinchat_send_options;

// Asks and waits. `options` may be NULL, and so may `turn`. `text_length` may be TWINCHAT_NTS.
// TWINCHAT_OK: the turn is complete, truncated, blocked (its text is the refusal) or stopped by
// on_text. Otherwise there is no answer:
//   INVALID_ARGUMENT          empty, too long or malformed text, bad details; nothing was stored
//   NOT_FOUND                 no such session (and create_session is 0)
//   ABORTED, ALREADY_EXISTS   the idempotency key is in use, or was used for another text
//   CANCELLED                 stopped by the cancel handle; what had come is stored
//   others                    the message is stored, the turn has failed; the next send works
// on_text is called on the calling thread.
TWINCHAT_API twinchat_code twinchat_send(twinchat_assistant* assistant, const char* session_id,
                                         const char* text, size_t text_length,
                                         const twinchat_send_options* options, twinchat_turn** turn,
                                         twinchat_error** error);

// Gets the turn, or the error that twinchat_send() would have given; the other is NULL. Both are
// the callback's to free.
typedef void (*twinchat_on_done)(void* user_data, twinchat_turn* turn, twinchat_error* error);

// The same without waiting. When it returns TWINCHAT_OK `on_done` is called exactly once, with this
// `user_data`, on a thread of the assistant's; on_text is called there too, one piece at a time,
// before it. Otherwise on_done is never called. Neither must hold up its thread for long (there
// are few), wait for another turn of the assistant, or free the assistant.
TWINCHAT_API twinchat_code twinchat_start_send(twinchat_assistant* assistant,
                                               const char* session_id, const char* text,
                                               size_t text_length,
                                               const twinchat_send_options* options,
                                               twinchat_on_done on_done, void* user_data,
                                               twinchat_error** error);

// The newest `limit` turns of a session with how each ended, oldest first. Empty for an unknown
// session. May wait for the disk.
TWINCHAT_API twinchat_code twinchat_history(twinchat_assistant* assistant, const char* session_id,
                                            size_t limit, twinchat_turn_list** turns,
                                            twinchat_error** error);
// How many there are.
TWINCHAT_API size_t twinchat_turn_list_count(const twinchat_turn_list* turns);
// Borrowed from the list; NULL beyond its end.
TWINCHAT_API const twinchat_turn* twinchat_turn_list_at(const twinchat_turn_list* turns,
                                                        size_t index);
// Frees the list and its turns; what is stored stays.
TWINCHAT_API void twinchat_turn_list_free(twinchat_turn_list* turns);

// How it ended. TWINCHAT_PENDING for NULL.
TWINCHAT_API twinchat_status twinchat_turn_status(const twinchat_turn* turn);
// What the visitor was answered; empty when there was no answer.
TWINCHAT_API const char* twinchat_turn_text(const twinchat_turn* turn, size_t* length);
// What the visitor wrote; borrowed from the turn.
TWINCHAT_API const twinchat_message* twinchat_turn_question(const twinchat_turn* turn);
// The answer as it is stored, borrowed from the turn; NULL when there is none.
TWINCHAT_API const twinchat_message* twinchat_turn_answer(const twinchat_turn* turn);
// The session in which it was asked.
TWINCHAT_API const char* twinchat_turn_session_id(const twinchat_turn* turn);
// Why the model stopped, as it spelled it; empty when it did not say.
TWINCHAT_API const char* twinchat_turn_finish_reason(const twinchat_turn* turn);
// Why the model refused the question, as it spelled it; empty when it did not.
TWINCHAT_API const char* twinchat_turn_block_reason(const twinchat_turn* turn);
// The model that was asked last.
TWINCHAT_API const char* twinchat_turn_model(const twinchat_turn* turn);
// The model that says it answered.
TWINCHAT_API const char* twinchat_turn_model_version(const twinchat_turn* turn);
// For failed turns of the history: the name of a twinchat_code.
TWINCHAT_API const char* twinchat_turn_error_code(const twinchat_turn* turn);
// The tokens of the prompt as the model counted them; 0 where it said nothing, as for the next
// four.
TWINCHAT_API int64_t twinchat_turn_prompt_tokens(const twinchat_turn* turn);
// Those of the prompt's tokens that came from the model's cache.
TWINCHAT_API int64_t twinchat_turn_cached_tokens(const twinchat_turn* turn);
// The tokens of the visible answer.
TWINCHAT_API int64_t twinchat_turn_output_tokens(const twinchat_turn* turn);
// The tokens of thoughts, which are billed like output.
TWINCHAT_API int64_t twinchat_turn_thought_tokens(const twinchat_turn* turn);
// All of them.
TWINCHAT_API int64_t twinchat_turn_total_tokens(const twinchat_turn* turn);
// How long the model call took with all its attempts.
TWINCHAT_API int64_t twinchat_turn_latency_ms(const twinchat_turn* turn);
// How many requests were sent.
TWINCHAT_API int twinchat_turn_attempts(const twinchat_turn* turn);
// 1 when this is the stored answer to an earlier send with the same idempotency key, else 0.
TWINCHAT_API int twinchat_turn_replayed(const twinchat_turn* turn);
// Frees this copy; the stored turn stays. Not for a turn that is borrowed from a list.
TWINCHAT_API void twinchat_turn_free(twinchat_turn* turn);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // TWINCHAT_H_
