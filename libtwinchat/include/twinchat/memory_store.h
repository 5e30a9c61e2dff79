#pragma once

#include <memory>

#include "twinchat/export.h"
#include "twinchat/store.h"

namespace twinchat {

// A store in memory: the reference for what a store does, for tests and for programs that need no
// history beyond their own life. Nothing is written anywhere.
//
// Thread safety: as every Store; one mutex guards it all.
TWINCHAT_EXPORT std::shared_ptr<Store> make_memory_store();

}  // namespace twinchat
