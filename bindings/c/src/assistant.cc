#include "twinchat/assistant.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "guard.h"
#include "handles.h"
#include "options.h"
#include "user_data.h"

using namespace twinchat::c;

twinchat_code twinchat_store_open(const char* url, twinchat_store** store, twinchat_error** error) {
  return guarded(error, [&] {
    cleared(store, "store");
    *store = new_handle<twinchat_store>(twinchat::open_store(needed(url, "url")));
  });
}

void twinchat_store_free(twinchat_store* store) {
  release(store);
}

twinchat_code twinchat_assistant_new(twinchat_store* store, twinchat_model* model,
                                     const twinchat_assistant_options* options,
                                     twinchat_assistant** assistant, twinchat_error** error) {
  return guarded(error, [&] {
    cleared(assistant, "assistant");
    std::vector<std::shared_ptr<UserData>> tools_data;
    auto made = std::make_unique<twinchat::Assistant>(*behind(needed(store, "store")),
                                                      *behind(needed(model, "model")),
                                                      assistant_options_from(options, tools_data));
    for (const auto& data : tools_data) data->keep();
    *assistant = reinterpret_cast<twinchat_assistant*>(made.release());
  });
}

void twinchat_assistant_free(twinchat_assistant* assistant) {
  release(assistant);
}

twinchat_code twinchat_create_session(twinchat_assistant* assistant,
                                      const twinchat_details* details, twinchat_session** session,
                                      twinchat_error** error) {
  return guarded(error, [&] {
    cleared(session, "session");
    *session = new_handle<twinchat_session>(
        behind(needed(assistant, "assistant"))->create_session(details_from(details)));
  });
}

twinchat_code twinchat_find_session(twinchat_assistant* assistant, const char* session_id,
                                    twinchat_session** session, twinchat_error** error) {
  return guarded(error, [&] {
    cleared(session, "session");
    auto found =
        behind(needed(assistant, "assistant"))->find_session(needed(session_id, "session_id"));
    if (found) *session = new_handle<twinchat_session>(*std::move(found));
  });
}

twinchat_code twinchat_update_user(twinchat_assistant* assistant, const char* session_id,
                                   const twinchat_details* details, twinchat_session** session,
                                   twinchat_error** error) {
  return guarded(error, [&] {
    if (session != nullptr) *session = nullptr;
    auto updated = behind(needed(assistant, "assistant"))
                       ->update_user(needed(session_id, "session_id"),
                                     details_update_from(needed(details, "details")));
    if (session != nullptr) *session = new_handle<twinchat_session>(std::move(updated));
  });
}

twinchat_code twinchat_messages(twinchat_assistant* assistant, const char* session_id,
                                int64_t after_id, size_t limit, twinchat_message_list** messages,
                                twinchat_error** error) {
  return guarded(error, [&] {
    cleared(messages, "messages");
    *messages = new_handle<twinchat_message_list>(
        behind(needed(assistant, "assistant"))
            ->messages(needed(session_id, "session_id"), {.after_id = after_id, .limit = limit}));
  });
}

twinchat_code twinchat_history(twinchat_assistant* assistant, const char* session_id, size_t limit,
                               twinchat_turn_list** turns, twinchat_error** error) {
  return guarded(error, [&] {
    cleared(turns, "turns");
    *turns = new_handle<twinchat_turn_list>(
        behind(needed(assistant, "assistant"))->history(needed(session_id, "session_id"), limit));
  });
}

twinchat_cancel* twinchat_cancel_new(void) {
  try {
    return new_handle<twinchat_cancel>(std::stop_source());
  } catch (...) {
    return nullptr;
  }
}

void twinchat_cancel_request(twinchat_cancel* cancel) {
  if (cancel != nullptr) behind(cancel)->request_stop();
}

void twinchat_cancel_free(twinchat_cancel* cancel) {
  release(cancel);
}

twinchat_code twinchat_send(twinchat_assistant* assistant, const char* session_id, const char* text,
                            size_t text_length, const twinchat_send_options* options,
                            twinchat_turn** turn, twinchat_error** error) {
  return guarded(error, [&] {
    if (turn != nullptr) *turn = nullptr;
    auto ended = behind(needed(assistant, "assistant"))
                     ->send(needed(session_id, "session_id"), text_of(text, text_length),
                            send_options_from(options));
    if (turn != nullptr) *turn = new_handle<twinchat_turn>(std::move(ended));
  });
}

twinchat_code twinchat_start_send(twinchat_assistant* assistant, const char* session_id,
                                  const char* text, size_t text_length,
                                  const twinchat_send_options* options, twinchat_on_done on_done,
                                  void* user_data, twinchat_error** error) {
  return guarded(error, [&] {
    needed(on_done, "on_done");
    behind(needed(assistant, "assistant"))
        ->start_send(needed(session_id, "session_id"), text_of(text, text_length),
                     send_options_from(options),
                     [on_done, user_data](twinchat::Result<twinchat::Turn> result) noexcept {
                       twinchat_turn* turn = nullptr;
                       twinchat_error* failure = nullptr;
                       guarded(&failure, [&] {
                         turn = new_handle<twinchat_turn>(std::move(result).value());
                       });
                       on_done(user_data, turn, failure);
                     });
  });
}
