#pragma once

#include "twinchat/model.h"
#include "twinchat/session.h"

namespace twinchat {

// What an ended answer is worth, by its text and its reasons, never by the shape of its pieces.
enum class Verdict {
  kAnswered,      // text (or a function call) and an end that stands
  kCut,           // no finish reason at all: the connection or the server broke off
  kEmpty,         // a good end, but nothing to show: worth asking again
  kEmptyByLimit,  // nothing to show because thinking used up the tokens: it would happen again
  kBlocked,       // refused
  kFaultOnce,     // a fault of the model that may pass when asked once more
};
Verdict judge(const ModelAnswer& answer);

// How a turn with that answer ends.
TurnStatus status_of(const ModelAnswer& answer);

}  // namespace twinchat
