#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "twinchat/session.h"

namespace twinchat {

// From `from` on and before `before`; what is absent is no bound.
struct TimeRange {
  std::optional<Timestamp> from = {};    // the first moment of it
  std::optional<Timestamp> before = {};  // the first moment behind it

  // Whether the moment is in it.
  bool contains(Timestamp time) const {
    return !(from && time < *from) && !(before && time >= *before);
  }
  // Whether there is a bound at all.
  bool bounded() const { return from || before; }
};

// A piece of a list. The cost of a page does not grow with what lies before it.
template <class Row>
struct Page {
  // In the order that the query wants.
  std::vector<Row> rows = {};
  // Where the next page begins: opaque, for the same query; empty at the end. A page may have fewer
  // rows than were asked for, even none, and a next one all the same: a search stops after a
  // bounded amount of work.
  std::string next = {};
  // How many rows there are, known for the first page only; nullopt when that would take a look at
  // everything.
  std::optional<std::int64_t> count = {};
  // Otherwise there are at least `count`.
  bool count_exact = true;
  // False while the search index does not hold everything yet.
  bool complete = true;
};

}  // namespace twinchat
