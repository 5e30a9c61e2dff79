#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace twinchat::gemini {

// Finds the events in a stream of Server-Sent Events: the rules of the HTML standard, and what
// Google's servers and the proxies before them do beyond it. Bytes may arrive cut anywhere.
//
// A line that begins with '{' or '[' outside of an event begins an error body that was sent in
// place of events; from there on everything is collected in body().
//
// Thread safety: none; one parser for one stream.
class SseParser {
 public:
  // Receives the data of one event, its lines joined with '\n'. `complete` is false for an event
  // that the stream ended in: it may be whole and may be cut.
  using OnEvent = std::function<void(std::string_view data, bool complete)>;

  // Events and bodies beyond `max_bytes` are not kept: the parser stops there, see too_large().
  SseParser(std::size_t max_bytes, OnEvent on_event);

  // Takes the next bytes and calls on_event for each event that they complete.
  void feed(std::string_view bytes);
  // The stream has ended: hands out what is left.
  void finish();

  // An event or the body was larger than allowed. Nothing is found after that.
  bool too_large() const noexcept { return too_large_; }
  // What was sent in place of events; empty if events were.
  const std::string& body() const noexcept { return body_; }

 private:
  void take_line_bytes(std::string_view bytes);
  void end_line();
  void dispatch(bool complete);

  std::size_t max_bytes_;
  OnEvent on_event_;
  std::string line_;
  std::string data_;
  std::string body_;
  bool has_data_ = false;
  bool at_start_ = true;  // a byte order mark may come
  bool skip_lf_ = false;  // the last byte was '\r'
  bool in_body_ = false;
  bool too_large_ = false;
};

}  // namespace twinchat::gemini
