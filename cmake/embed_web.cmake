# cmake -DDIST=<folder> -DFUNCTION=<name> -DHEADER=<file.h> -DOUTPUT=<file.cc> -P embed_web.cmake
# Writes the C++ source of twinchat::server::FUNCTION(), which HEADER declares: the files below DIST,
# byte for byte. A folder that is not there has no files. <file>.gz is <file>, compressed.
file(GLOB_RECURSE files RELATIVE "${DIST}" "${DIST}/*")
list(FILTER files EXCLUDE REGEX "\\.gz$")
list(SORT files)

# Appends the array of that name with the file's bytes.
macro(append_array name file)
  file(READ "${file}" bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char ${name}[] = {${bytes}0};\n")
endmacro()

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
  append_array(kFile${number} "${DIST}/${file}")
  file(SHA256 "${DIST}/${file}" hash)
  string(SUBSTRING "${hash}" 0 16 etag)
  set(gzipped "{}")
  if(EXISTS "${DIST}/${file}.gz")
    append_array(kGzipped${number} "${DIST}/${file}.gz")
    set(gzipped "text(kGzipped${number})")
  endif()
  string(APPEND entries "      {\"${file}\", \"${type}\", \"\\\"${etag}\\\"\", text(kFile${number}),\n       ${gzipped}},\n")
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

#include \"${HEADER}\"

namespace twinchat::server {
namespace {

${arrays}${helpers}
}  // namespace

std::span<const WebFile> ${FUNCTION}() {
${body}}

}  // namespace twinchat::server
")
file(COPY_FILE "${OUTPUT}.new" "${OUTPUT}" ONLY_IF_DIFFERENT)
file(TOUCH_NOCREATE "${OUTPUT}")
