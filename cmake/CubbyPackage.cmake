# SPDX-License-Identifier: Apache-2.0
# What `cpack` packs: libcubby-dev (headers, archive or link to the shared library, documentation), cubby (the command, with the unit
# and configuration of its server), and for a shared build the library itself. Configure with -DCMAKE_INSTALL_PREFIX=/usr, as the preset `package` does.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cubby)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_VENDOR "The cubby authors")
set(CPACK_PACKAGE_CONTACT "The cubby authors <cubby@example.org>" CACHE STRING "Maintainer of the packages")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "concurrent datastore inside a C++ process")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(text "cubby keeps named stores of keys and JSON-like values inside a C++ process:
reads take no lock, every update of a key is atomic, queues and keys can be
waited on, keys can expire, and contents survive restarts.")

string(TIMESTAMP package_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(packaging/changelog.in ${PROJECT_BINARY_DIR}/packaging/changelog @ONLY)
execute_process(COMMAND gzip -9nkf changelog WORKING_DIRECTORY ${PROJECT_BINARY_DIR}/packaging COMMAND_ERROR_IS_FATAL ANY)

# cubby_package(<component> <package> <section> <what> [dependency]) makes a package of an install component.
set(CPACK_COMPONENTS_ALL "")
macro(cubby_package component package section what)
  string(TOUPPER ${component} upper)
  string(JOIN ", " dependencies ${ARGN})
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS "${dependencies}")
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${text}\n.\nThis package holds ${what}.")
  install(FILES packaging/copyright ${PROJECT_BINARY_DIR}/packaging/changelog.gz
    DESTINATION share/doc/${package} COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()

if(BUILD_SHARED_LIBS)
  set(library_package libcubby${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  set(needs_library "${library_package} (= ${PROJECT_VERSION})")
  cubby_package(library ${library_package} libs "the shared library")
  set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
endif()
cubby_package(development libcubby-dev libdevel "what building with cubby needs" ${needs_library} libssl-dev)
if(TARGET cubby_command)
  cubby_package(command cubby database "the command cubby: a durable server for Redis\nclients, its interactive client, and stores in files from the shell" ${needs_library})
  set(CPACK_DEBIAN_COMMAND_PACKAGE_RECOMMENDS iso-codes)
  # Only packages have these, as their places don't depend on the prefix.
  install(FILES packaging/cubby.service DESTINATION /lib/systemd/system COMPONENT command EXCLUDE_FROM_ALL)
  install(FILES packaging/cubby.conf DESTINATION /etc/cubby COMPONENT command EXCLUDE_FROM_ALL)
  set(scripts ${PROJECT_SOURCE_DIR}/packaging/scripts)
  set(CPACK_DEBIAN_COMMAND_PACKAGE_CONTROL_EXTRA ${scripts}/conffiles ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm)
endif()

include(CPack)
