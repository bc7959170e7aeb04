# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` installs. Components: library (the shared library), development, command.
include(CMakePackageConfigHelpers)

set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cubby)

install(TARGETS cubby EXPORT cubbyTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY include/cubby DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)

install(EXPORT cubbyTargets NAMESPACE cubby:: DESTINATION ${cmake_dir} COMPONENT development)
if(BUILD_SHARED_LIBS)
  set(CUBBY_NEEDS_LIBCRYPTO OFF)  # the shared library brings it
else()
  set(CUBBY_NEEDS_LIBCRYPTO ON)
endif()
configure_package_config_file(cmake/cubbyConfig.cmake.in ${PROJECT_BINARY_DIR}/cubbyConfig.cmake INSTALL_DESTINATION ${cmake_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/cubbyConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/cubbyConfig.cmake ${PROJECT_BINARY_DIR}/cubbyConfigVersion.cmake
  DESTINATION ${cmake_dir} COMPONENT development)

# cubby.pc finds its prefix from where it lies, so that the installed tree can be moved.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
  set(CUBBY_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(CUBBY_PC_LIBDIR ${CMAKE_INSTALL_FULL_LIBDIR})
  set(CUBBY_PC_INCLUDEDIR ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  file(RELATIVE_PATH to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" to_prefix ${to_prefix})
  set(CUBBY_PC_PREFIX "\${pcfiledir}/${to_prefix}")
  set(CUBBY_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(CUBBY_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
# The archive needs threads and libcrypto at the program's link; the shared library brings them.
if(BUILD_SHARED_LIBS)
  set(CUBBY_PC_LIBS "")
  set(CUBBY_PC_LIBS_PRIVATE "-lcrypto -pthread")
else()
  set(CUBBY_PC_LIBS " -lcrypto -pthread")
  set(CUBBY_PC_LIBS_PRIVATE "")
endif()
configure_file(cmake/cubby.pc.in ${PROJECT_BINARY_DIR}/cubby.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/cubby.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

if(TARGET cubby_command)
  if(BUILD_SHARED_LIBS)
    file(RELATIVE_PATH to_libraries /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
    set_target_properties(cubby_command PROPERTIES INSTALL_RPATH "$ORIGIN/${to_libraries}")
  endif()
  install(TARGETS cubby_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT command)
  foreach(page cubby cubby-serve cubby-shell)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS packaging/${page}.1)
    execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/packaging/${page}.1
      OUTPUT_FILE ${PROJECT_BINARY_DIR}/${page}.1.gz COMMAND_ERROR_IS_FATAL ANY)
    install(FILES ${PROJECT_BINARY_DIR}/${page}.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT command)
  endforeach()
endif()

install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/docs COMPONENT development)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT development
  PATTERN node_modules EXCLUDE PATTERN ".gitignore" EXCLUDE PATTERN ".npmrc" EXCLUDE)
