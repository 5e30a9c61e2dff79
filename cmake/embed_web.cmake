# cmake -DDIST=<folder> -DOUTPUT=<file.cc> -P embed_web.cmake
# Writes the C++ source of twinchat::server::web_files(): the files below DIST, byte for byte. A
# folder that is not there has no files.
file(GLOB_RECURSE files RELATIVE "${DIST}" "${DIST}/*")
list(SORT files)
set(arrays "")
set(entries "")
set(number 0)
foreach(file IN LISTS files)
  string(REGEX REPLACE "^.*\\." "" extension "${file}")
  if(extension STREQUAL "html")
    set(type "text/html; charset=utf-8")
  elseif(extension STREQUAL "js")
    set(type "text/javascript; charset=utf-8")
  elseif(extension STREQUAL "css")
    set(type "text/css; charset=utf-8")
  elseif(extension STREQUAL "svg")
    set(type "image/svg+xml")
  elseif(extension STREQUAL "png")
    set(type "image/png")
  elseif(extension STREQUAL "ico")
    set(type "image/x-icon")
  elseif(extension STREQUAL "woff2")
    set(type "font/woff2")
  elseif(extension MATCHES "^(json|webmanifest)$")
    set(type "application/json")
  elseif(extension STREQUAL "txt")
    set(type "text/plain; charset=utf-8")
  else()
    message(FATAL_ERROR "embed_web.cmake: no content type for ${file}")
  endif()
  file(READ "${DIST}/${file}" bytes HEX)
  file(SHA256 "${DIST}/${file}" hash)
  string(SUBSTRING "${hash}" 0 16 etag)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char kFile${number}[] = {${bytes}0};\n")
  string(APPEND entries "      {\"${file}\", \"${type}\", \"\\\"${etag}\\\"\", text(kFile${number})},\n")
  math(EXPR number "${number} + 1")
endforeach()
if(number EQUAL 0)
  set(body "  return {};\n")
  set(helpers "")
else()
  set(body "  static const WebFile files[] = {\n${entries}  };\n  return files;\n")
  set(helpers "template <std::size_t N>
std::string_view text(const unsigned char (&bytes)[N]) {
  return {reinterpret_cast<const char*>(bytes), N - 1};
}
")
endif()
file(WRITE "${OUTPUT}.new" "// Made by embed_web.cmake.
#include <cstddef>

#include \"admin/web_files.h\"

namespace twinchat::server {
namespace {

${arrays}${helpers}
}  // namespace

std::span<const WebFile> web_files() {
${body}}

}  // namespace twinchat::server
")
file(COPY_FILE "${OUTPUT}.new" "${OUTPUT}" ONLY_IF_DIFFERENT)
file(TOUCH_NOCREATE "${OUTPUT}")
