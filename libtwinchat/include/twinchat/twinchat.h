#pragma once

// The whole library in one include.

#include "twinchat/assistant.h"
#include "twinchat/content.h"
#include "twinchat/error.h"
#include "twinchat/gemini.h"
#include "twinchat/memory_store.h"
#include "twinchat/model.h"
#include "twinchat/session.h"
#include "twinchat/sqlite_store.h"
#include "twinchat/store.h"
#include "twinchat/version.h"
