#pragma once

// TWINCHAT_EXPORT marks what a shared libtwinchat shows to its users; everything else is hidden;
// TWINCHAT_NO_EXPORT what lies within a shown class and is not for them.
#if defined(__GNUC__) || defined(__clang__)
// Before a declaration: a shared library shows it.
#define TWINCHAT_EXPORT __attribute__((visibility("default")))
// The same for what lies within a shown class and is not for its users: hidden.
#define TWINCHAT_NO_EXPORT __attribute__((visibility("hidden")))
#else
#define TWINCHAT_EXPORT
#define TWINCHAT_NO_EXPORT
#endif
