// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Saves what can be saved of a damaged durable folder, into memory and from there into a new folder.
///
/// Of a checkpoint each block that is whole is taken. The log is taken up to its first damaged record: later ones may depend on
/// what is lost. What its files begin with is put right, unless they are encrypted. Where the checkpoint has lost keys,
/// operations that build on a key that isn't there (push, add, merge, ...) are left out rather than applied to nothing: nothing
/// is invented.
///
/// Thread safety: one thread.

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/folder_tools.hpp"

namespace cubby::detail {

/// A store's contents as the operations make them, whatever their time: deadlines are looked at when they are written.
class SalvagedContents {
 public:
  struct Key {
    Value value;
    std::optional<std::deque<Value>> queue;  ///< instead of the value, once it was used as one
    std::optional<std::int64_t> deadline_ms;
  };

  /// False, with nothing changed, if the operation doesn't fit what is there.
  bool apply(const LoggedOperation& operation);
  std::size_t size() const noexcept { return keys_.size(); }
  /// Each key that has not expired, its value as one. Returns how many.
  std::uint64_t write(CheckpointWriter& to) const;

 private:
  std::map<std::string, Key, std::less<>> keys_;
};

struct SalvageReport {
  struct Range {
    std::filesystem::path file;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
  };
  std::vector<std::string> damage;         ///< as check_folder() has it
  bool manifest_lost = false;              ///< what it said was found out from the other files
  std::vector<Range> lost_ranges;          ///< of the checkpoint
  std::optional<std::uint64_t> keys_lost;  ///< in them; empty: can't be told
  std::uint64_t checkpoint_keys = 0;       ///< that were read
  std::uint64_t records = 0;               ///< of the log that were carried out
  std::string log_end;                     ///< where the log is given up, and why; empty: it was read to its end
  std::uint64_t records_lost = 0;          ///< whole ones that lie behind that
  std::uint64_t operations_left_out = 0;   ///< as their key is lost
  std::uint64_t keys = 0;                  ///< what was saved

  bool lost_anything() const noexcept {
    return manifest_lost || !lost_ranges.empty() || !log_end.empty() || operations_left_out != 0 || !damage.empty();
  }
};

class FolderSalvage {
 public:
  /// Reads what can be read. REQUIRES: the folder is locked. Errc::wrong_key if the key doesn't open what is there.
  FolderSalvage(FileSystem& files, std::filesystem::path folder, std::optional<EncryptionKey> key,
                const FolderProgress& progress);

  const SalvageReport& report() const noexcept { return report_; }
  /// Makes `target` a folder with what was saved: a store of its own, closed, all of it on the disk.
  void write(const std::filesystem::path& target);

 private:
  void find_manifest();
  void read_checkpoint();
  void read_log_up_to_damage();
  std::uint64_t count_records_behind(const std::filesystem::path& file, std::uint64_t offset);

  FileSystem& files_;
  const std::filesystem::path folder_;
  const std::optional<EncryptionKey> key_;
  const FolderProgress& progress_;
  Manifest manifest_;
  SalvagedContents contents_;
  SalvageReport report_;
  bool lossy_ = false;  ///< keys of the checkpoint are missing
};

}  // namespace cubby::detail
