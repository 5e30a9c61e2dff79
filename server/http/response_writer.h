// How answers look on the wire.
#pragma once

#include <httplib.h>

#include <string>

namespace twinchat::server {

// What the request and the state of the server say about the form of its answer.
struct AnswerForm {
  bool head_only = false;   // HEAD
  bool http_1_0 = false;    // the client's version
  bool keep_alive = false;  // the connection stays open after the answer
};

enum class BodyFraming {
  kLength,   // Content-Length of response.body
  kChunked,  // a stream to an HTTP/1.1 client
  kClose,    // a stream to an HTTP/1.0 client: the end of the connection ends it
};

// The status line and header fields, with the empty line that ends them. A status of -1 is 200.
// Date, Content-Length, Transfer-Encoding and Connection are said here, whatever the response says
// about them. A field that would break the framing (a name that is no token, CR, LF or NUL in the
// value) is left out.
std::string write_head(const httplib::Response& response, const AnswerForm& form,
                       BodyFraming framing);

// Whether an answer with this status has a body at all.
bool status_has_body(int status);

}  // namespace twinchat::server
