# cmake -DBUILD=... -DPREFIX=... -P install.cmake: installs the library and moves it to PREFIX, so
# that whatever holds on to the place where it was installed is found out. Projects that found an
# earlier one begin anew.
cmake_path(GET PREFIX PARENT_PATH folder)
file(GLOB earlier ${PREFIX}* ${folder}/find_package_*)
if(earlier)
  file(REMOVE_RECURSE ${earlier})
endif()
foreach(component IN ITEMS library development)
  execute_process(
    COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX}.installed --component ${component}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(RENAME ${PREFIX}.installed ${PREFIX})
