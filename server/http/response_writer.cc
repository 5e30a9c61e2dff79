#include "http/response_writer.h"

#include <strings.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <string_view>

namespace twinchat::server {
namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 425:
      return "Too Early";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";  // the phrase may be empty, RFC 9112, 4
  }
}

template <class Number>
void append_number(std::string& out, Number number) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n". Formatted once a second and thread.
std::string_view date_field() {
  thread_local std::time_t formatted = -1;
  thread_local std::string field;
  const std::time_t now = std::time(nullptr);
  if (now != formatted) {
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&now, &utc);
    char rest[32];
    field = std::string("Date: ") + kDays[utc.tm_wday] + ", ";
    field.append(rest, std::strftime(rest, sizeof rest, "%d ", &utc));
    field += kMonths[utc.tm_mon];
    field.append(rest, std::strftime(rest, sizeof rest, " %Y %H:%M:%S GMT\r\n", &utc));
    formatted = now;
  }
  return field;
}

bool is(const std::string& name, const char* other) {
  return strcasecmp(name.c_str(), other) == 0;
}

bool is_ours(const std::string& name) {
  return is(name, "Date") || is(name, "Content-Length") || is(name, "Transfer-Encoding") ||
         is(name, "Connection") || is(name, "Keep-Alive");
}

bool breaks_framing(const std::string& name, const std::string& value) {
  constexpr std::string_view kForbidden("\r\n\0", 3);
  return name.empty() ||
         std::any_of(name.begin(), name.end(),
                     [](char c) { return c <= ' ' || c == ':' || c >= 0x7f; }) ||
         value.find_first_of(kForbidden) != std::string::npos;
}

}  // namespace

bool status_has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string write_head(const httplib::Response& response, const AnswerForm& form,
                       BodyFraming framing) {
  const int status = response.status == -1 ? 200 : response.status;
  std::string head;
  head.reserve(512);
  head += "HTTP/1.1 ";
  append_number(head, status);
  head += ' ';
  head += reason_phrase(status);
  head += "\r\n";
  head += date_field();
  for (const auto& [name, value] : response.headers) {
    if (is_ours(name) || breaks_framing(name, value)) continue;
    head.append(name).append(": ").append(value).append("\r\n");
  }
  if (framing == BodyFraming::kChunked) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (framing == BodyFraming::kLength && status_has_body(status)) {
    head += "Content-Length: ";
    append_number(head, response.body.size());
    head += "\r\n";
  }
  if (!form.keep_alive) {
    head += "Connection: close\r\n";
  } else if (form.http_1_0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return head;
}

}  // namespace twinchat::server
