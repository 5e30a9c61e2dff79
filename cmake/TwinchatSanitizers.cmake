# Sanitizers have to reach every object file of the build, hence the directory-wide flags here and
# nowhere else.
if(TWINCHAT_SANITIZE)
  add_compile_options(-fsanitize=${TWINCHAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${TWINCHAT_SANITIZE})
endif()
