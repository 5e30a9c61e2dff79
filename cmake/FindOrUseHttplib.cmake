# Defines twinchat_httplib, the one way this project uses cpp-httplib. Tried in this order:
#   1. TWINCHAT_HTTPLIB_INCLUDE_DIR: a folder with a header-only httplib.h. Built without OpenSSL,
#      zlib and brotli: TLS belongs to the proxy in front, and answers are not compressed here.
#   2. find_package(httplib CONFIG): upstream's own install, vcpkg, Conan.
#   3. pkg-config: Debian and its relatives. The compiler flags matter as much as the library:
#      httplib::Request has members that exist only under CPPHTTPLIB_OPENSSL_SUPPORT, so a missing
#      flag is a silent difference of layout.
#   4. a bare httplib.h on the include path.
if(TARGET twinchat_httplib)
  return()
endif()

find_package(Threads REQUIRED)
add_library(twinchat_httplib INTERFACE)
target_link_libraries(twinchat_httplib INTERFACE Threads::Threads)

if(TWINCHAT_HTTPLIB_INCLUDE_DIR)
  if(NOT EXISTS "${TWINCHAT_HTTPLIB_INCLUDE_DIR}/httplib.h")
    message(FATAL_ERROR "TWINCHAT_HTTPLIB_INCLUDE_DIR: no httplib.h in ${TWINCHAT_HTTPLIB_INCLUDE_DIR}")
  endif()
  target_include_directories(twinchat_httplib SYSTEM BEFORE
                             INTERFACE "${TWINCHAT_HTTPLIB_INCLUDE_DIR}")
  set(_twinchat_httplib_from "${TWINCHAT_HTTPLIB_INCLUDE_DIR}/httplib.h")
else()
  find_package(httplib CONFIG QUIET)
  if(TARGET httplib::httplib)
    target_link_libraries(twinchat_httplib INTERFACE httplib::httplib)
    set(_twinchat_httplib_from "find_package(httplib) ${httplib_VERSION}")
  else()
    find_package(PkgConfig QUIET)
    if(PkgConfig_FOUND)
      pkg_check_modules(TWINCHAT_PC_HTTPLIB QUIET IMPORTED_TARGET cpp-httplib)
    endif()
    if(TARGET PkgConfig::TWINCHAT_PC_HTTPLIB)
      target_link_libraries(twinchat_httplib INTERFACE PkgConfig::TWINCHAT_PC_HTTPLIB)
      target_compile_options(twinchat_httplib INTERFACE ${TWINCHAT_PC_HTTPLIB_CFLAGS_OTHER})
      set(_twinchat_httplib_from "pkg-config cpp-httplib ${TWINCHAT_PC_HTTPLIB_VERSION}")
    else()
      find_path(TWINCHAT_HTTPLIB_HEADER_DIR httplib.h)
      if(NOT TWINCHAT_HTTPLIB_HEADER_DIR)
        message(FATAL_ERROR "cpp-httplib >= 0.11.4 not found: install libcpp-httplib-dev, or set "
                            "TWINCHAT_HTTPLIB_INCLUDE_DIR to a folder with httplib.h")
      endif()
      target_include_directories(twinchat_httplib SYSTEM INTERFACE "${TWINCHAT_HTTPLIB_HEADER_DIR}")
      set(_twinchat_httplib_from "${TWINCHAT_HTTPLIB_HEADER_DIR}/httplib.h")
    endif()
  endif()
endif()
message(STATUS "cpp-httplib: ${_twinchat_httplib_from}")
