// SPDX-License-Identifier: Apache-2.0
#pragma once

/// A durable folder on a simulated disk, without a Store: a run appends numbers 1, 2, 3, ...; what is recovered must be the
/// numbers up to some one, none missing and none twice.

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "simulated_disk.hpp"
#include "storage/durable_folder.hpp"

namespace cubby::testing {

/// A store that holds one number, and whose log holds each that it was set to.
class Numbers {
 public:
  Numbers(detail::FileSystem& disk, Sync sync, std::optional<detail::EncryptionKey> key = {},
          const std::filesystem::path& folder = "/data/store") {
    detail::DurableFolder::Settings settings;
    settings.files = &disk;
    settings.folder = folder;
    settings.key = key;
    settings.sync = sync;
    settings.checkpoint_after = 64 << 10;
    settings.wait_for_publishers = [] {};
    settings.on_growth = [] {};
    folder_ = std::make_unique<detail::DurableFolder>(std::move(settings));
    folder_->load([this](const detail::LoggedOperation& operation) { last_ = operation.value->as_int(); },
                  [this](const detail::LoggedOperation& operation) {
                    // One after the other, from where the checkpoint ends.
                    EXPECT_EQ(operation.value->as_int(), last_ + 1);
                    last_ = operation.value->as_int();
                  });
    folder_->begin(version_);
  }

  std::int64_t last() const { return last_; }
  detail::Log& log() { return folder_->log(); }

  /// Appends the next number, with a text of this length beside it; acknowledged when it returns.
  void append(std::size_t text) {
    const Value number(last_ + 1);
    detail::LoggedOperation first;
    first.code = detail::OperationCode::set;
    first.key = "number";
    first.value = &number;
    detail::OperationWriter measure;
    measure.write(first);
    const detail::Log::Record record = log().reserve(version_, measure.body_size() + (text & ~std::size_t{7}));
    detail::OperationWriter writer(record.body());
    writer.write(first);
    writer.pad(record.frame - log().frame_size(0));
    log().complete(record);
    ++last_;
    if (log().waits_for_disk()) log().acknowledge(record.end());
  }
  /// Reserves a record and leaves it, as a process that dies in the middle does.
  void begin_and_die() { log().reserve(version_, 64); }

  /// What a process does that dies right after a checkpoint's cut.
  void begin_generation_and_die() {
    log().prepare_generation();
    log().begin_generation(++version_);
  }

  void checkpoint(bool closing = false) {
    const auto writer = folder_->begin_checkpoint([] { return kMost; });
    log().prepare_generation();
    log().begin_generation(++version_);
    log().end_generation();
    const Value number(last_);
    detail::LoggedOperation operation;
    operation.code = detail::OperationCode::set;
    operation.key = "number";
    operation.value = &number;
    writer->add(operation);
    try {
      folder_->commit(*writer, closing);
    } catch (...) {
      folder_->note_failed(*writer);
      throw;
    }
  }
  void close() {
    checkpoint(true);
    folder_->finish();
  }
  /// As a store does whose close() failed.
  void stay_open() { folder_->note_open(); }
  std::uint64_t log_bytes() const { return folder_->log_bytes(); }

 private:
  static constexpr std::uint64_t kMost = 1 << 20;

  std::uint32_t version_ = 1;
  std::int64_t last_ = 0;
  std::unique_ptr<detail::DurableFolder> folder_;
};

inline std::uint64_t seed() {
  const char* given = std::getenv("CUBBY_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

inline detail::EncryptionKey some_key() {
  detail::EncryptionKey key{};
  key[5] = std::byte{17};
  return key;
}

/// The name of the window that holds records.
inline std::string used_window(const SimulatedDisk& disk) {
  for (const auto& [name, bytes] : disk.contents()) {
    const bool is_window = name.find("/window.") != std::string::npos;
    if (is_window &&
        bytes.find_first_not_of('\0', detail::LogWindow::kImageOffset + detail::kSegmentStart) != std::string::npos)
      return name;
  }
  return {};
}

}  // namespace cubby::testing
