#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: run.sh static|shared|subdirectory <source folder> <work folder> <compiler> <build tree> <CUBBY_UNITY of builds of its own>
# Uses cubby as others will: installs it (static: that build tree, which has the command too; shared: a build of its own) into an
# empty prefix, moves that, and builds and runs the program and all examples against it, through find_package and through
# pkg-config; or takes its sources into another project.
set -euo pipefail
mode=$1
source=$2
work=$3
export CXX=$4
tree=$5
unity=-DCUBBY_UNITY=$6

quietly() {
  local log=$work/step.log
  "$@" > "$log" 2>&1 || { cat "$log"; echo "failed: $*" >&2; exit 1; }
}

build() {
  local from=$1 to=$2
  shift 2
  quietly cmake -S "$from" -B "$to" -G Ninja "$@"
  quietly cmake --build "$to"
}

rm -rf "$work"
mkdir -p "$work"
command -v ccache > /dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=ccache

if [ "$mode" = subdirectory ]; then
  build "$source/tests/install/project" "$work/program" -DCUBBY_SOURCE_DIR="$source" "$unity"
  "$work/program/program"
  exit
fi

if [ "$mode" = shared ]; then
  tree=$work/cubby
  build "$source" "$tree" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DBUILD_SHARED_LIBS=ON "$unity" \
    -DCUBBY_BUILD_TESTS=OFF -DCUBBY_BUILD_BENCH=OFF -DCUBBY_BUILD_CLI=OFF -DCUBBY_BUILD_EXAMPLES=OFF
fi
quietly cmake --install "$tree" --prefix "$work/first"
mv "$work/first" "$work/prefix"  # an installed tree can be moved
prefix=$work/prefix

echo "-- find_package"
build "$source/tests/install/project" "$work/program" -DCMAKE_PREFIX_PATH="$prefix"
"$work/program/program"
# The chat server takes longest to build: ./dev check only.
build "$prefix/share/doc/cubby/examples" "$work/examples" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCUBBY_EXAMPLES_CHAT="${CUBBY_INSTALL_CHAT:-OFF}"
(cd "$work/examples" && quietly ctest --output-on-failure)

echo "-- pkg-config"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name cubby.pc)")
export PKG_CONFIG_PATH
library_folder=$(pkg-config --variable=libdir cubby)
[ "$mode" = static ] || export LD_LIBRARY_PATH=$library_folder
for program in "$source"/tests/install/project/program.cpp "$source"/examples/*.cpp; do
  # shellcheck disable=SC2046  # flags are words
  quietly "$CXX" -std=c++20 "$program" -o "$work/by_pkg_config" $(pkg-config --cflags --libs cubby)
  quietly "$work/by_pkg_config"
done

echo "-- nothing but the C and C++ libraries and libcrypto is needed, and nothing private was installed"
binary=$work/by_pkg_config
[ "$mode" = static ] || binary=$library_folder/libcubby.so
if readelf -d "$binary" | grep NEEDED | grep -vE 'lib(stdc\+\+|m|c|gcc_s|crypto)\.so|ld-linux'; then
  echo "$binary needs more than that" >&2
  exit 1
fi
if grep -rlE 'rapidjson|xxhash' "$prefix/include" "$library_folder/cmake"; then
  echo "these mention what only the library itself may need" >&2
  exit 1
fi

if [ "$mode" = static ]; then
  echo "-- the command"
  [ "$("$prefix/bin/cubby" --version | grep -o '[0-9.]*$')" = "$(pkg-config --modversion cubby)" ]
fi
