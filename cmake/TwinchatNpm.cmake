# twinchat_npm_folder(<label> <file...>): a test's files as copies in the build directory, and a fixture
# <label>_packages that installs beside them what their package-lock.json names. Modules are looked up
# from the file that imports them, so such tests run in the copy; configure_file keeps it fresh.
function(twinchat_npm_folder label)
  foreach(file IN ITEMS .npmrc package-lock.json package.json LISTS ARGN)
    configure_file(${file} ${file} COPYONLY)
  endforeach()
  add_test(NAME ${label}_install
           COMMAND ${CMAKE_COMMAND} -D FOLDER=${CMAKE_CURRENT_BINARY_DIR} -D NPM=${TWINCHAT_NPM}
                   -P ${PROJECT_SOURCE_DIR}/cmake/npm_install.cmake)
  set_tests_properties(${label}_install PROPERTIES
    FIXTURES_SETUP ${label}_packages LABELS ${label} TIMEOUT 600)
endfunction()
