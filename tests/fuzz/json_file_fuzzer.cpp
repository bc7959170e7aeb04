// SPDX-License-Identifier: Apache-2.0

// Any bytes as a store's file: they are refused as damaged, with an offset inside the file, or they load, and then what is
// written again reads back the same, as does what is written after that, byte by byte.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <cubby/error.hpp>

#include "../unit/memory_file_system.hpp"
#include "storage/json_file.hpp"

namespace {

using namespace cubby;

constexpr const char* kPath = "/data/store.json";

void require(bool condition) {
  if (!condition) std::abort();
}

std::vector<detail::SavedKey> saved(const detail::LoadedFile& file) {
  std::vector<detail::SavedKey> keys;
  for (const detail::LoadedKey& loaded : file.keys) keys.push_back({loaded.key, loaded.value, loaded.expires_ms});
  return keys;
}

void fuzz(std::string bytes) {
  const std::size_t size = bytes.size();
  testing::MemoryFileSystem disk;
  disk.put(kPath, std::move(bytes));
  detail::LoadedFile first;
  try {
    first = detail::read_json_file(disk, kPath).value();
  } catch (const Error& error) {
    require(error.code() == Errc::corrupt && error.offset() <= size);
    return;
  }
  detail::write_json_file(disk, kPath, saved(first));
  const std::string written = disk.contents(kPath).value();
  const detail::LoadedFile second = detail::read_json_file(disk, kPath).value();
  require(first.keys.size() == second.keys.size());
  for (std::size_t i = 0; i < first.keys.size(); ++i) {
    require(first.keys[i].key == second.keys[i].key && first.keys[i].value == second.keys[i].value &&
            first.keys[i].value.type() == second.keys[i].value.type() && first.keys[i].expires_ms == second.keys[i].expires_ms);
    require(i == 0 || first.keys[i - 1].key < first.keys[i].key);
  }
  detail::write_json_file(disk, kPath, saved(second));
  require(disk.contents(kPath) == written && disk.files() == 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
