// SPDX-License-Identifier: Apache-2.0

// Reading a durable folder without changing it: as strictly as who writes, unless another writes meanwhile; and beside a writer
// damage is refused too.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "numbers.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::detail {
namespace {

namespace fs = std::filesystem;
using cubby::testing::Numbers;
using cubby::testing::seed;
using cubby::testing::SimulatedDisk;
using cubby::testing::some_key;
using cubby::testing::used_window;

/// The last number, as who opens the folder read_only finds it.
std::int64_t last_read(FileSystem& files, const std::optional<EncryptionKey>& key = {}, const fs::path& path = "/data/store") {
  OpeningAgain again;
  for (;;) {
    std::unique_ptr<DurableFolder> folder;
    try {
      DurableFolder::Settings settings;
      settings.files = &files;
      settings.folder = path;
      settings.key = key;
      settings.read_only = true;
      settings.beside_a_writer = again.beside_a_writer();
      folder = std::make_unique<DurableFolder>(std::move(settings));
      std::int64_t last = 0;
      folder->load([&](const LoggedOperation& operation) { last = operation.value->as_int(); },
                   [&](const LoggedOperation& operation) {
                     const std::int64_t next = operation.value->as_int();
                     if (next != last + 1) throw Error(Errc::corrupt, "there is a hole before " + std::to_string(next));
                     last = next;
                   });
      return last;
    } catch (const Error& error) {
      if (!again.helps(folder.get(), error)) throw;
    }
  }
}

/// The code of the error, or none.
template <class Call>
std::optional<Errc> code_of_refusal(Call call) {
  try {
    call();
  } catch (const Error& error) {
    for (const Errc code : {Errc::corrupt, Errc::wrong_key, Errc::io}) {
      if (error.code() == code) return code;
    }
    throw;
  }
  return std::nullopt;
}

class ReadOnly : public ::testing::TestWithParam<bool> {
 protected:
  std::optional<EncryptionKey> key() const { return GetParam() ? std::optional(some_key()) : std::nullopt; }
};

const std::string kFirstSegment = "/data/store/log.00000001.00000000", kSecondSegment = "/data/store/log.00000002.00000000";

TEST_P(ReadOnly, WithoutAWriterWhatAWriterWouldRefuseIsRefused) {
  SimulatedDisk disk;
  std::unique_ptr<SimulatedDisk> left;
  {
    Numbers store(disk, Sync::never(), key());
    for (int step = 0; step < 3; ++step) store.append(10);
    store.begin_generation_and_die();
    store.append(10);
    left = disk.after_process_death();
  }
  ASSERT_EQ(last_read(*left, key()), 4);
  int refused = 0;
  for (const auto& each : left->contents()) {
    const std::string& name = each.first;
    const std::string& sound = each.second;
    const bool is_window = name.find("/window.") != std::string::npos;
    for (std::size_t byte = 0; byte < sound.size(); ++byte) {
      const std::size_t place = is_window && byte >= LogWindow::kImageOffset ? byte - LogWindow::kImageOffset : byte;
      if (place >= 320) continue;
      std::string damaged = sound;
      damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << byte % 8));
      left->put(name, damaged);
      const auto by_a_reader = code_of_refusal([&] { EXPECT_EQ(last_read(*left, key()), 4) << name << ", byte " << byte; });
      const auto by_a_writer = code_of_refusal([&] { Numbers(*left->after_process_death(), Sync::never(), key()); });
      ASSERT_EQ(by_a_reader, by_a_writer) << name << ", byte " << byte;
      if (by_a_reader) ++refused;
      left->put(name, sound);
    }
  }
  EXPECT_GT(refused, 300);
  EXPECT_EQ(last_read(*left, key()), 4);
}

TEST_P(ReadOnly, BesideAWriterDamageIsRefused) {
  SimulatedDisk disk;
  Numbers store(disk, Sync::never(), key());
  for (int step = 0; step < 3; ++step) store.append(10);
  const std::string window = used_window(disk);
  store.begin_generation_and_die();  // and doesn't: it goes on, and the first generation has no end yet
  store.append(10);
  ASSERT_EQ(last_read(disk, key()), 4);
  const auto refuses = [&](const std::string& name, std::size_t byte) {
    const std::string sound = disk.contents().at(name);
    std::string damaged = sound;
    damaged[byte] ^= 2;
    disk.put(name, damaged);
    EXPECT_EQ(code_of_refusal([&] { last_read(disk, key()); }), Errc::corrupt) << name << ", byte " << byte;
    disk.put(name, sound);
    EXPECT_EQ(last_read(disk, key()), 4);
  };
  refuses(kFirstSegment, 70);
  refuses(kSecondSegment, 70);
  const std::string image = disk.contents().at(window).substr(LogWindow::kImageOffset);
  const auto bytes = std::as_bytes(std::span(image));
  const FileHeader header = *FileHeader::read(bytes);
  const FrameCodec codec(header.salt, std::nullopt, header.version);
  std::uint64_t offset = kSegmentStart;
  while (const auto head = codec.read_head(word_at(bytes, offset), offset)) {
    refuses(window, LogWindow::kImageOffset + offset);                   // a head
    refuses(window, LogWindow::kImageOffset + offset + head->size - 8);  // a mark
    offset += head->size;
  }
  refuses(window, LogWindow::kImageOffset + offset);  // what is no head, where the next would be
  // A segment that is gone, and doesn't belong to what a checkpoint has replaced.
  const std::string sound = disk.contents().at(kFirstSegment);
  disk.erase(kFirstSegment);
  EXPECT_EQ(code_of_refusal([&] { last_read(disk, key()); }), Errc::corrupt);
}

INSTANTIATE_TEST_SUITE_P(Plain, ReadOnly, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Encrypted, ReadOnly, ::testing::Values(true));

/// A folder of the real file system.
class ReadOnlyFolder : public ::testing::Test {
 protected:
  ReadOnlyFolder() {
    std::string name = (fs::temp_directory_path() / "cubby-reading-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = name;
  }
  ~ReadOnlyFolder() override { fs::remove_all(root_); }
  fs::path folder() const { return root_ / "store"; }
  FileSystem& files() const { return real_file_system(); }
  fs::path root_;
};

TEST_F(ReadOnlyFolder, BesideABusyWriterAllIsThereThatWasAcknowledged) {
  std::atomic<std::int64_t> acknowledged{0};
  std::atomic<bool> enough{false};
  std::atomic<bool> begun{false};
  std::jthread writer([&] {
    std::mt19937_64 random(seed());
    while (!enough) {
      // It is closed and opened now and then, as by commands that come one after the other.
      Numbers store(files(), Sync::never(), {}, folder());
      EXPECT_EQ(store.last(), acknowledged.load());
      begun = true;
      for (int step = 0; step < 2000 && !enough; ++step) {
        if (step % 300 == 299) {
          store.checkpoint();
        } else {
          store.append(random() % 3000);
          acknowledged = store.last();
        }
      }
    }
  });
  while (!begun) std::this_thread::yield();
  for (int opened = 0; opened < 150; ++opened) {
    const std::int64_t before = acknowledged;
    try {
      const std::int64_t found = last_read(files(), {}, folder());
      EXPECT_GE(found, before);
      EXPECT_LE(found, acknowledged + 1);
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
      break;
    }
  }
  enough = true;
}

TEST_F(ReadOnlyFolder, LooksForAWriterWithoutTakingItsLockAway) {
  const fs::path path = root_ / kLockName;
  EXPECT_FALSE(files().is_locked(path));
  EXPECT_FALSE(fs::exists(path));
  auto lock = files().lock(path);
  EXPECT_TRUE(files().is_locked(path));
  const pid_t child = ::fork();
  if (child == 0) {
    const bool seen = files().is_locked(path);
    bool refused = false;
    try {
      const auto second = files().lock(path);
    } catch (const Error& error) {
      refused = error.code() == Errc::locked;
    }
    ::_exit(seen && refused ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  lock.reset();
  EXPECT_FALSE(files().is_locked(path));
}

TEST_F(ReadOnlyFolder, FilesAreNotReadBeforeTheirLengthIsJudged) {
  constexpr std::uintmax_t kHuge = std::uintmax_t{1} << 40;
  { Numbers(files(), Sync::never(), {}, folder()).append(10); }
  const auto damage = [&] { return check_folder(files(), folder(), std::nullopt).damage; };
  ASSERT_TRUE(damage().empty());
  // A file that was never written is none; however long, it holds nothing.
  const fs::path spare = folder() / segment_name(1, 1);
  std::ofstream(spare).close();
  fs::resize_file(spare, kHuge);
  EXPECT_TRUE(damage().empty());
  EXPECT_EQ(last_read(files(), {}, folder()), 1);
  fs::remove(spare);
  for (const std::string& name : {segment_name(1, 0), window_name(1, 0), window_name(1, 2), std::string(kManifestName)}) {
    const fs::path path = folder() / name;
    const std::uintmax_t size = fs::file_size(path);
    fs::resize_file(path, kHuge);
    const auto found = damage();
    ASSERT_EQ(found.size(), 1U) << name;
    EXPECT_NE(found.front().find(name), std::string::npos) << found.front();
    if (!name.starts_with("window.")) {
      EXPECT_EQ(code_of_refusal([&] { last_read(files(), {}, folder()); }), Errc::corrupt) << name;
      EXPECT_EQ(code_of_refusal([&] { Numbers(files(), Sync::never(), {}, folder()); }), Errc::corrupt) << name;
    }
    fs::resize_file(path, size);
  }
  EXPECT_TRUE(damage().empty());
}

}  // namespace
}  // namespace cubby::detail
