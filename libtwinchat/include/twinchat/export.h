#pragma once

// TWINCHAT_EXPORT marks what a shared libtwinchat shows to its users; everything else is hidden.
#if defined(__GNUC__) || defined(__clang__)
// Before a declaration: a shared library shows it.
#define TWINCHAT_EXPORT __attribute__((visibility("default")))
#else
#define TWINCHAT_EXPORT
#endif
