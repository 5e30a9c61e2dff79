#pragma once

#include "api/refusal.h"
#include "twinchat/error.h"

namespace twinchat::server {

// The answer to a request that the library could not fulfil: the one place where its errors become
// HTTP. A failure of the model is 502 (it broke or refused), 503 (it is overloaded or out of quota)
// or 504 (it was too slow), with {"error":"Failed to get response from Gemini: ..."}; anything else
// is {"error": what()}. When the tokens of the day are used up that is 429, with
// "code":"daily_tokens" beside the sentence and the time to midnight UTC in Retry-After. 503 and
// 409 always say when to come back, 503 with a spread.
//
// Thread safety: a pure function.
Refusal refusal_for(const Error& error);

}  // namespace twinchat::server
