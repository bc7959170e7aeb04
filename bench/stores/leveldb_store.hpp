// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <leveldb/db.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "durable.hpp"

namespace bench {

/// LevelDB with its default options. Its log is always on; `sync` is whether a put waits for the disk.
class LevelDbStore {
 public:
  static constexpr const char* kName = "LevelDB";

  LevelDbStore(const DurableData& data, const std::filesystem::path& folder, bool sync) : data_(data) {
    leveldb::Options options;
    options.create_if_missing = true;
    leveldb::DB* db = nullptr;
    const leveldb::Status status = leveldb::DB::Open(options, folder.string(), &db);
    if (!status.ok()) throw std::runtime_error("LevelDB: " + status.ToString());
    db_.reset(db);
    write_.sync = sync;
  }
  static std::string version() { return std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion); }

  void load() {
    for (std::size_t i = 0; i < data_.size(); ++i) db_->Put(leveldb::WriteOptions(), data_.key(i), DurableData::make_text(i));
  }
  bool put(std::size_t i, std::size_t version) { return db_->Put(write_, data_.key(i), data_.text(i, version)).ok(); }
  void settle() {}

 private:
  const DurableData& data_;
  std::unique_ptr<leveldb::DB> db_;
  leveldb::WriteOptions write_;
};

}  // namespace bench
