#pragma once

#include "twinchat/error.h"

namespace twinchat {

// kInvalidArgument with the sentence `otherwise` unless `holds`.
inline void require(bool holds, const char* otherwise) {
  if (!holds) throw Error(ErrorCode::kInvalidArgument, otherwise);
}

}  // namespace twinchat
