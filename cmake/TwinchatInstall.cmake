# Installs libtwinchat. Static and shared library have an export file each, so that both can lie in
# one prefix, also from two builds; twinchatConfig.cmake chooses.
#
# Components: library (what a program needs to run), development, server.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/twinchat)

foreach(library IN LISTS libraries)
  get_target_property(type ${library} TYPE)
  string(REPLACE "_LIBRARY" "" kind ${type})
  string(TOLOWER ${kind} kind)
  install(TARGETS ${library} EXPORT twinchat_${kind}
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  install(EXPORT twinchat_${kind} FILE twinchat-${kind}.cmake NAMESPACE twinchat::
    DESTINATION ${package_dir} COMPONENT development)
endforeach()

install(DIRECTORY include/twinchat ${CMAKE_CURRENT_BINARY_DIR}/include/twinchat
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")

configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/twinchatConfig.cmake.in
  twinchatConfig.cmake INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
# Before 1.0 a minor version may break what used another.
write_basic_package_version_file(twinchatConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/twinchatConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/twinchatConfigVersion.cmake
  DESTINATION ${package_dir} COMPONENT development)

# The prefix as pkg-config finds it from where twinchat.pc lies.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH up /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(pc_postgres "")
if(TWINCHAT_WITH_POSTGRES)
  set(pc_postgres -lpq)
endif()
configure_file(${PROJECT_SOURCE_DIR}/cmake/twinchat.pc.in twinchat.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/twinchat.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
