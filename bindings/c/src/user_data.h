#pragma once

#include "twinchat.h"

namespace twinchat::c {

// A pointer of the program's, given back by its release function when it is used no more. Until
// keep() it is only borrowed: a call that fails must leave it with the caller.
//
// Thread safety: keep() before it is shared; get() from any thread.
class UserData {
 public:
  UserData(void* data, twinchat_release release) : data_(data), release_(release) {}
  ~UserData() {
    if (kept_ && release_ != nullptr) release_(data_);
  }
  UserData(const UserData&) = delete;
  UserData& operator=(const UserData&) = delete;

  void* get() const { return data_; }
  void keep() { kept_ = true; }

 private:
  void* const data_;
  const twinchat_release release_;
  bool kept_ = false;
};

}  // namespace twinchat::c
