#pragma once

// The whole library in one include.

#include "twinchat/accounts.h"
#include "twinchat/assistant.h"
#include "twinchat/audit.h"
#include "twinchat/backup.h"
#include "twinchat/content.h"
#include "twinchat/database.h"
#include "twinchat/error.h"
#include "twinchat/gemini.h"
#include "twinchat/memory_store.h"
#include "twinchat/model.h"
#include "twinchat/page.h"
#include "twinchat/postgres_store.h"
#include "twinchat/records.h"
#include "twinchat/session.h"
#include "twinchat/sqlite_store.h"
#include "twinchat/store.h"
#include "twinchat/transfer.h"
#include "twinchat/version.h"
