#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace twinchat {

// Where a page ends, as text for Page::next: the values by which its last row is ordered.
std::string pack_cursor(const std::vector<std::string>& values);

// The values again; `count` of them. kInvalidArgument for what no pack_cursor() made.
std::vector<std::string> unpack_cursor(std::string_view cursor, std::size_t count);

// The same for lists that are ordered by a number alone; `none` for an empty cursor.
std::string pack_cursor(std::int64_t id);
std::int64_t unpack_id(std::string_view cursor, std::int64_t none);

// The number that the whole text is. kInvalidArgument, as a cursor's, for anything else.
std::int64_t cursor_number(const std::string& text);

}  // namespace twinchat
