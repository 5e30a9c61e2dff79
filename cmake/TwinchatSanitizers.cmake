# Sanitizers have to reach every object file of the build, hence the directory-wide flags here and
# nowhere else.
if(TWINCHAT_SANITIZE)
  add_compile_options(-fsanitize=${TWINCHAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TWINCHAT_SANITIZE})
  # Clang looks at vtables through a pipe of its own, which fails in the tests that leave no
  # descriptors.
  if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND TWINCHAT_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr)
  endif()
endif()
