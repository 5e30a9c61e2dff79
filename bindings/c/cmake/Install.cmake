# Installs libtwinchat_c as a package of its own, twinchat-c, in the components that libtwinchat uses.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/twinchat-c)
get_target_property(libtwinchat_type twinchat TYPE)

install(TARGETS twinchat_c EXPORT twinchat_c
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development)
install(FILES include/twinchat.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT twinchat_c FILE twinchat-cTargets.cmake NAMESPACE twinchat::
  DESTINATION ${package_dir} COMPONENT development)
configure_file(cmake/twinchat-cConfig.cmake.in twinchat-cConfig.cmake @ONLY)
write_basic_package_version_file(twinchat-cConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/twinchat-cConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/twinchat-cConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)

file(RELATIVE_PATH include_from_lib ${CMAKE_INSTALL_FULL_LIBDIR} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
configure_file(cmake/twinchat-c.pc.in twinchat-c.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/twinchat-c.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
