#pragma once

#include <cstdlib>

#include "twinchat/gemini.h"

// How the examples reach Gemini: GEMINI_API_KEY, and GEMINI_MODEL and GEMINI_BASE_URL where set.
inline twinchat::GeminiOptions gemini_from_environment() {
  twinchat::GeminiOptions options;
  if (const char* key = std::getenv("GEMINI_API_KEY")) options.api_key = key;
  if (const char* model = std::getenv("GEMINI_MODEL")) options.model = model;
  if (const char* url = std::getenv("GEMINI_BASE_URL")) options.base_url = url;
  return options;
}
