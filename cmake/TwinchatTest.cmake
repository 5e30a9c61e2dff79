# twinchat_add_test(<name> SOURCES ... LIBRARIES ... LABELS ... [TIMEOUT seconds] [PROPERTIES ...])
# One Catch2 program; every TEST_CASE in it becomes a ctest test named "<name>: <test case>", with
# those properties.
find_package(Catch2 REQUIRED)
include(Catch)

function(twinchat_add_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBRARIES;LABELS;PROPERTIES" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE twinchat_warnings twinchat_test_main ${arg_LIBRARIES})
  # Tests are compiled far more often than they are run.
  target_compile_options(${name} PRIVATE -O0 -g1)
  catch_discover_tests(${name} TEST_PREFIX "${name}: "
                       PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT} ${arg_PROPERTIES})
endfunction()
