#pragma once

#include <memory>
#include <stop_token>
#include <vector>

#include "twinchat.h"
#include "twinchat/twinchat.h"

namespace twinchat::c {

// What is behind a handle: the C type is never defined, and a pointer to it is a pointer to one of
// these under another name.
template <class Handle>
struct Behind;
template <>
struct Behind<twinchat_error> {
  using type = Error;
};
template <>
struct Behind<twinchat_store> {
  using type = std::shared_ptr<Store>;
};
template <>
struct Behind<twinchat_model> {
  using type = std::shared_ptr<Model>;
};
template <>
struct Behind<twinchat_assistant> {
  using type = Assistant;
};
template <>
struct Behind<twinchat_session> {
  using type = Session;
};
template <>
struct Behind<twinchat_message> {
  using type = Message;
};
template <>
struct Behind<twinchat_message_list> {
  using type = std::vector<Message>;
};
template <>
struct Behind<twinchat_turn> {
  using type = Turn;
};
template <>
struct Behind<twinchat_turn_list> {
  using type = std::vector<Turn>;
};
template <>
struct Behind<twinchat_cancel> {
  using type = std::stop_source;
};

template <class Handle>
typename Behind<Handle>::type* behind(Handle* handle) {
  return reinterpret_cast<typename Behind<Handle>::type*>(handle);
}

template <class Handle>
const typename Behind<Handle>::type* behind(const Handle* handle) {
  return reinterpret_cast<const typename Behind<Handle>::type*>(handle);
}

// The handle of an object that stays where it is.
template <class Handle>
const Handle* handle_of(const typename Behind<Handle>::type& object) {
  return reinterpret_cast<const Handle*>(&object);
}

// The handle of a new object; release() frees it.
template <class Handle>
Handle* new_handle(typename Behind<Handle>::type object) {
  return reinterpret_cast<Handle*>(new typename Behind<Handle>::type(std::move(object)));
}

template <class Handle>
void release(Handle* handle) {
  delete behind(handle);
}

}  // namespace twinchat::c
