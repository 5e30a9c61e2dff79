# npm_ci(<folder> <npm>): installs what <folder>/package-lock.json names, unless node_modules was made
# from this very file.
function(npm_ci folder npm)
  file(SHA256 ${folder}/package-lock.json wanted)
  set(mark ${folder}/node_modules/.installed-from)
  set(installed "")
  if(EXISTS ${mark})
    file(READ ${mark} installed)
  endif()
  if(installed STREQUAL wanted)
    return()
  endif()
  execute_process(COMMAND ${npm} ci --no-audit --no-fund --loglevel=error
                  WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
  file(WRITE ${mark} "${wanted}")
endfunction()
