#include "twinchat/version.h"

#define TWINCHAT_STRING_(x) #x
#define TWINCHAT_STRING(x) TWINCHAT_STRING_(x)

namespace twinchat {

const char* version() noexcept {
  return TWINCHAT_STRING(TWINCHAT_VERSION_MAJOR) "." TWINCHAT_STRING(
      TWINCHAT_VERSION_MINOR) "." TWINCHAT_STRING(TWINCHAT_VERSION_PATCH);
}

}  // namespace twinchat
