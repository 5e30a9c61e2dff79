# Every option is prefixed. The server, the examples and the tests are built by default only when
# this is the top-level project, so that add_subdirectory(libtwinchat) brings the library alone.
option(TWINCHAT_BUILD_SERVER "Build twinchat-server" ${PROJECT_IS_TOP_LEVEL})
find_program(TWINCHAT_NODE node)
find_program(TWINCHAT_NPM npm)
mark_as_advanced(TWINCHAT_NODE TWINCHAT_NPM)
set(twinchat_web_default OFF)
if(PROJECT_IS_TOP_LEVEL AND TWINCHAT_NODE AND TWINCHAT_NPM)
  set(twinchat_web_default ON)
endif()
option(TWINCHAT_BUILD_C "Build libtwinchat_c, the library for C" ${PROJECT_IS_TOP_LEVEL})
option(TWINCHAT_BUILD_EXAMPLES "Build the example programs" ${PROJECT_IS_TOP_LEVEL})
option(TWINCHAT_BUILD_TESTS "Build the tests and their support programs" ${PROJECT_IS_TOP_LEVEL})
option(TWINCHAT_BUILD_BOTH
       "Build libtwinchat static and shared; BUILD_SHARED_LIBS says which one programs here link" OFF)
option(TWINCHAT_INSTALL "Make install rules" ${PROJECT_IS_TOP_LEVEL})
option(TWINCHAT_BUILD_PYTHON "Build the Python package; needs pybind11 and Python 3.10" OFF)
option(TWINCHAT_BUILD_FUZZERS "Build the libFuzzer targets; needs clang++ as the compiler" OFF)
option(TWINCHAT_WEB "Build the admin's page into twinchat-server; needs Node.js with npm"
       ${twinchat_web_default})
find_package(PostgreSQL QUIET)
option(TWINCHAT_WITH_POSTGRES "Build the store over PostgreSQL; needs libpq" ${PostgreSQL_FOUND})
option(TWINCHAT_WERROR "Treat warnings in our own code as errors" OFF)
set(TWINCHAT_SANITIZE "" CACHE STRING "Sanitizers for the whole build: 'address,undefined' or 'thread'")
set(TWINCHAT_HTTPLIB_INCLUDE_DIR "" CACHE PATH
    "Folder with a header-only httplib.h to use in place of the system's cpp-httplib")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
