# SPDX-License-Identifier: Apache-2.0
# How cubby's own targets are compiled. Nothing here reaches a program that uses the library.

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
  endif()
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
  find_program(CUBBY_CCACHE ccache)
  mark_as_advanced(CUBBY_CCACHE)
  if(CUBBY_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CUBBY_CCACHE})
  endif()
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# Adds our warnings and the sanitizers of CUBBY_SANITIZE to a target.
function(cubby_compile_options target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<BOOL:${CUBBY_WERROR}>:-Werror>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # Reports std::string's own insert and operator+ (gcc bug 105651).
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(CUBBY_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${CUBBY_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${CUBBY_SANITIZE})
    if(CUBBY_SANITIZE MATCHES thread AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
      # ThreadSanitizer doesn't see fences; the code under it doesn't rely on them.
      target_compile_options(${target} PRIVATE -Wno-tsan)
    endif()
  endif()
endfunction()

# With CUBBY_UNITY, compiles a target's sources in so many parts, each of them many files in one. Headers are then read once a part
# and not once a file, which is most of what compiling costs. Names in unnamed namespaces have to be unique in the target.
function(cubby_unity_build target parts)
  if(NOT CUBBY_UNITY)
    return()
  endif()
  target_compile_options(${target} PRIVATE -Wno-shadow)  # reports another file's names; the plain builds have it
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # Reports classes of a source whose members are of an unnamed namespace, as the source isn't what is compiled.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
  get_target_property(sources ${target} SOURCES)
  list(LENGTH sources count)
  math(EXPR batch "(${count} + ${parts} - 1) / ${parts}")
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE BATCH UNITY_BUILD_BATCH_SIZE ${batch})
endfunction()
