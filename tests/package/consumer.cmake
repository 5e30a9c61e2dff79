# The consumer as C++20 and as C++23, with warnings as errors, and a test that runs each.
enable_testing()
foreach(standard IN ITEMS 20 23)
  add_executable(consumer_${standard} ${CMAKE_CURRENT_LIST_DIR}/consumer.cc)
  target_link_libraries(consumer_${standard} PRIVATE twinchat::twinchat)
  target_compile_options(consumer_${standard} PRIVATE -Wall -Wextra -Wpedantic -Werror)
  set_target_properties(consumer_${standard} PROPERTIES
    CXX_STANDARD ${standard} CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF)
  add_test(NAME consumer_${standard} COMMAND consumer_${standard})
endforeach()
