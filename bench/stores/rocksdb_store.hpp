// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/version.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>

#include "durable.hpp"

namespace bench {

/// RocksDB with its default options, the log on; `sync` is whether a put waits for the disk.
class RocksDbStore {
 public:
  static constexpr const char* kName = "RocksDB";

  RocksDbStore(const DurableData& data, const std::filesystem::path& folder, bool sync) : data_(data) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(options, folder.string(), &db);
    if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
    db_.reset(db);
    write_.sync = sync;
  }
  static std::string version() {
    return std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." + std::to_string(ROCKSDB_PATCH);
  }

  void load() {
    for (std::size_t i = 0; i < data_.size(); ++i) db_->Put(rocksdb::WriteOptions(), data_.key(i), DurableData::make_text(i));
  }
  bool put(std::size_t i, std::size_t version) { return db_->Put(write_, data_.key(i), data_.text(i, version)).ok(); }
  void settle() {}

 private:
  const DurableData& data_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::WriteOptions write_;
};

}  // namespace bench
