#include "http/reply.h"

#include <utility>

#include "http/connection.h"

namespace twinchat::server {

Reply::Reply(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}

Reply::~Reply() {
  switch (state_.load()) {
    case State::kOpen:
      connection_->answer_failed("a reply was dropped without an answer");
      break;
    case State::kStreaming:
      connection_->abort();
      break;
    case State::kDone:
    case State::kGone:
      break;
  }
}

void Reply::send(httplib::Response response) {
  State open = State::kOpen;
  if (state_.compare_exchange_strong(open, State::kDone)) connection_->answer(std::move(response));
}

bool Reply::begin_stream(httplib::Response head) {
  State open = State::kOpen;
  if (!state_.compare_exchange_strong(open, State::kStreaming)) return false;
  if (connection_->begin_stream(std::move(head))) return true;
  state_.store(connection_->closed() ? State::kGone : State::kDone);
  return false;
}

bool Reply::write(std::string_view bytes) {
  return state_.load() == State::kStreaming && connection_->write_stream(bytes);
}

std::size_t Reply::backlog() const {
  return connection_->stream_backlog();
}

void Reply::end() {
  State streaming = State::kStreaming;
  if (state_.compare_exchange_strong(streaming, State::kDone)) connection_->end_stream();
}

bool Reply::closed() const {
  return connection_->closed();
}

bool Reply::client_left() const {
  return connection_->client_left();
}

void Reply::on_close(std::function<void()> function) {
  if (state_.load() != State::kDone) connection_->on_close(std::move(function));
}

}  // namespace twinchat::server
