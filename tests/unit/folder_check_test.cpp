// SPDX-License-Identifier: Apache-2.0
#include "storage/folder_tools.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <cubby/error.hpp>

#include "storage/durable_folder.hpp"
#include "storage/folder_salvage.hpp"
#include "unit/memory_file_system.hpp"

namespace cubby::detail {
namespace {

namespace fs = std::filesystem;

/// A folder with a small store, made without a Store, so that it can be left as a killed process leaves it.
class SmallStore {
 public:
  explicit SmallStore(std::optional<EncryptionKey> key = std::nullopt) : key_(key) {
    std::string name = (fs::temp_directory_path() / "cubby-check-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    root_ = name;
    begin();
  }
  ~SmallStore() {
    durable_.reset();
    fs::remove_all(root_);
  }
  SmallStore(const SmallStore&) = delete;
  SmallStore& operator=(const SmallStore&) = delete;

  fs::path folder() const { return root_ / "store"; }
  const std::optional<EncryptionKey>& key() const { return key_; }

  void begin() {
    DurableFolder::Settings settings;
    settings.files = &real_file_system();
    settings.folder = folder();
    settings.key = key_;
    settings.sync = Sync::never();
    settings.checkpoint_after = 1;
    settings.wait_for_publishers = [] {};
    settings.on_growth = [] {};
    durable_ = std::make_unique<DurableFolder>(std::move(settings));
    durable_->load([](const LoggedOperation&) {}, [](const LoggedOperation&) {});
    durable_->begin(0);
  }
  void log(OperationCode code, std::string_view name, Value value = {}, bool fresh = false) {
    const auto record = reserve(code, name, value, fresh);
    durable_->log().complete(record);
  }
  Log::Record reserve(OperationCode code, std::string_view name, const Value& value, bool fresh = false) {
    LoggedOperation operation;
    operation.code = code;
    operation.key = name;
    operation.value = &value;
    operation.fresh = fresh;
    OperationWriter measure;
    measure.write(operation);
    const auto record = durable_->log().reserve(version_, measure.body_size());
    OperationWriter writer(record.body());
    writer.write(operation);
    writer.pad(measure.body_size());
    return record;
  }
  /// What the store holds is what the test says it is.
  void checkpoint(int keys, bool closing) {
    const auto writer = durable_->begin_checkpoint([] { return std::uint64_t{1} << 20; });
    Log& log = durable_->log();
    log.prepare_generation();
    log.begin_generation(++version_);
    log.end_generation();
    for (int i = 0; i < keys; ++i) {
      const std::string name = "key " + std::to_string(i);
      const Value value = Value::object({{"number", i}, {"text", "a text that is longer than a short string"}});
      LoggedOperation set;
      set.code = OperationCode::set;
      set.key = name;
      set.value = &value;
      writer->add(set);
    }
    durable_->commit(*writer, closing);
  }
  /// As a checkpoint does at first, and dies: the generation before has no end yet.
  void begin_generation() {
    durable_->log().prepare_generation();
    durable_->log().begin_generation(++version_);
  }
  void close() {
    durable_->finish();
    durable_.reset();
  }
  void kill() { durable_.reset(); }

 private:
  fs::path root_;
  std::optional<EncryptionKey> key_;
  std::unique_ptr<DurableFolder> durable_;
  std::uint32_t version_ = 0;
};

EncryptionKey checked_key() {
  EncryptionKey key{};
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i * 7 + 1);
  return key;
}

/// Changes bytes in place: a file that is written anew would be a copy, which is judged more mildly.
class Patch {
 public:
  explicit Patch(const fs::path& path) : file_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    if (file_ < 0) throw std::runtime_error("can't open " + path.string());
  }
  ~Patch() { ::close(file_); }
  Patch(const Patch&) = delete;
  Patch& operator=(const Patch&) = delete;
  void flip(std::uint64_t byte, unsigned bit) {
    unsigned char value = 0;
    ASSERT_EQ(::pread(file_, &value, 1, static_cast<off_t>(byte)), 1);
    value = static_cast<unsigned char>(value ^ (1U << bit));
    ASSERT_EQ(::pwrite(file_, &value, 1, static_cast<off_t>(byte)), 1);
  }

 private:
  int file_;
};

/// Where a byte of a segment stands: in its window, if it has one.
struct Place {
  std::string name;
  std::uint64_t offset;
};
Place place_of(const SmallStore& store, const fs::path& segment, std::uint64_t offset) {
  FileSystem& files = real_file_system();
  const auto manifest = read_manifest(files, store.folder(), store.key());
  const SegmentImages images({&files, store.folder(), manifest->store, false});
  const fs::path window = images.read(segment).window;
  if (window.empty()) return {segment.filename(), offset};
  return {window.filename(), LogWindow::kImageOffset + offset};
}

/// The damage that is found; a wrong key counts as such.
std::string damage_in(const SmallStore& store) {
  try {
    const FolderCheck check = check_folder(real_file_system(), store.folder(), store.key());
    return check.damage.empty() ? std::string() : check.damage.front();
  } catch (const Error& error) {
    return error.what();
  }
}

struct Spared {
  std::string file;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
};

/// Flips bits of all files, one after the other; each must be found, but those in `spared`.
void flip_all(const SmallStore& store, const std::vector<Spared>& spared = {}) {
  ASSERT_EQ(damage_in(store), "");
  std::uint64_t flips = 0;
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(store.folder())) names.push_back(entry.path().filename());
  for (const std::string& name : names) {
    const fs::path path = store.folder() / name;
    const std::uint64_t size = fs::file_size(path);
    std::ifstream stream(path, std::ios::binary);
    std::vector<char> bytes(size);
    stream.read(bytes.data(), static_cast<std::streamsize>(size));
    std::uint64_t used = size;
    while (used > 0 && bytes[used - 1] == 0) --used;
    Patch patch(path);
    for (std::uint64_t byte = 0; byte < size; ++byte) {
      // A window's first page is zeros but for its beginning.
      const bool in_gap = name.starts_with("window.") && byte > FileHeader::kBytes + 16 && byte < LogWindow::kImageOffset - 16;
      const bool every_bit = (byte < used + 16 && !in_gap) || byte + 8 > size;
      if (!every_bit && byte % 251 != 0) continue;
      bool is_spared = false;
      for (const Spared& range : spared) is_spared |= range.file == name && byte >= range.from && byte < range.to;
      if (is_spared) continue;
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (!every_bit && bit != byte / 251 % 8) continue;
        patch.flip(byte, bit);
        const std::string damage = damage_in(store);
        patch.flip(byte, bit);
        ASSERT_NE(damage, "") << name << ", byte " << byte << ", bit " << bit;
        ++flips;
      }
    }
  }
  ASSERT_GT(flips, 1000U);
  ASSERT_EQ(damage_in(store), "");
}

void fill(SmallStore& store) {
  store.checkpoint(3, false);
  store.log(OperationCode::set, "key 1", 7);
  store.log(OperationCode::push, "queue", "a text that is longer than a short string", true);
  store.log(OperationCode::add, "counter", 2.5, true);
}

TEST(FolderCheck, FindsEachFlippedBitOfAClosedStore) {
  SmallStore store;
  store.checkpoint(5, true);
  store.close();
  flip_all(store);
}

TEST(FolderCheck, FindsEachFlippedBitOfAKilledStore) {
  SmallStore store;
  fill(store);
  store.kill();
  flip_all(store);
}

TEST(FolderCheck, FindsEachFlippedBitOfAnEncryptedStore) {
  SmallStore store(checked_key());
  fill(store);
  store.kill();
  flip_all(store);
}

TEST(FolderCheck, OverlooksOnlyTheBodyOfAnIncompleteRecord) {
  SmallStore store;
  store.checkpoint(1, false);
  const Log::Record record = store.reserve(OperationCode::set, "never", "acknowledged");
  store.log(OperationCode::set, "key 1", 7);
  const fs::path segment = record.segment->path();
  store.kill();
  const Place frame = place_of(store, segment, record.offset);
  const Spared body{frame.name, frame.offset + FrameCodec::kHeadBytes, frame.offset + record.frame - FrameCodec::kMarkBytes};
  const FolderCheck check = check_folder(real_file_system(), store.folder(), std::nullopt);
  EXPECT_EQ(check.incomplete, 1U);
  EXPECT_EQ(check.records, 1U);
  flip_all(store, {body});
}

TEST(FolderCheck, FindsEachFlippedBitOfAStoreThatWasKilledTwice) {
  SmallStore store;
  fill(store);
  store.kill();
  store.begin();  // settles what it finds, and goes on in the next generation
  store.log(OperationCode::erase, "key 1");
  store.kill();
  flip_all(store);
}

TEST(FolderCheck, FindsEachFlippedBitOfAStoreThatWasKilledBetweenGenerations) {
  SmallStore store;
  fill(store);
  store.begin_generation();
  store.log(OperationCode::set, "key 2", "acknowledged");
  store.kill();
  flip_all(store);
}

TEST(FolderCheck, TellsWhatItFinds) {
  SmallStore store;
  fill(store);
  store.kill();
  std::ofstream(store.folder() / "stranger") << "x";
  const FolderCheck check = check_folder(real_file_system(), store.folder(), std::nullopt);
  EXPECT_TRUE(check.damage.empty());
  EXPECT_EQ(check.checkpoint.keys, 3U);
  EXPECT_EQ(check.records, 3U);
  EXPECT_EQ(check.incomplete, 0U);
  EXPECT_EQ(check.cut, "");
  ASSERT_EQ(check.notes.size(), 1U);
  EXPECT_EQ(check.notes.front(), "stranger is no file of a store");
  EXPECT_FALSE(check.used_by);
}

TEST(FolderCheck, ACopyIsCutWhereItIsNotWhole) {
  SmallStore store;
  fill(store);
  store.kill();
  const fs::path copy = store.folder().parent_path() / "copy";
  fs::copy(store.folder(), copy);
  EXPECT_NE(check_folder(real_file_system(), copy, std::nullopt).cut.find("nothing is written behind it"), std::string::npos);
}

TEST(FolderCheck, RefusesWhatIsNoStore) {
  SmallStore store;
  store.kill();
  const fs::path empty = store.folder().parent_path() / "empty";
  fs::create_directory(empty);
  EXPECT_FALSE(holds_store(real_file_system(), empty));
  try {
    check_folder(real_file_system(), empty, std::nullopt);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::io);
  }
  EXPECT_THROW(check_folder(real_file_system(), store.folder(), checked_key()), Error);
  fs::remove(store.folder() / kManifestName);
  EXPECT_NE(damage_in(store).find("MANIFEST is missing, though there is "), std::string::npos);
}

// ------------------------------------------------------------------------------------------------------------------- rekey

TEST(FolderRekey, ChangesTheKeyBackAndForth) {
  SmallStore store;
  store.checkpoint(5, true);
  store.close();
  FileSystem& files = real_file_system();
  EncryptionKey other = checked_key();
  other[0] = std::byte{99};
  const std::vector<std::optional<EncryptionKey>> keys{std::nullopt, checked_key(), other, std::nullopt};
  for (std::size_t i = 1; i < keys.size(); ++i) {
    rekey_folder(files, store.folder(), keys[i - 1], keys[i]);
    EXPECT_THROW(check_folder(files, store.folder(), keys[i - 1]), Error);
    const FolderCheck check = check_folder(files, store.folder(), keys[i]);
    EXPECT_TRUE(check.damage.empty());
    EXPECT_TRUE(check.notes.empty());
    EXPECT_EQ(check.checkpoint.keys, 5U);
  }
}

TEST(FolderRekey, RefusesAStoreThatWasNotClosed) {
  SmallStore store;
  fill(store);
  store.kill();
  try {
    rekey_folder(real_file_system(), store.folder(), std::nullopt, checked_key());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::config);
  }
}

/// Lets `fail` do its worst to one call after the other of a change of key; the store must then be whole with the old key or
/// with the new one, and with one of them only.
template <class Fail>
void rekey_with_faults(testing::MemoryFileSystem::Survival survival, Fail fail) {
  const fs::path folder = "/data/store";
  const std::optional<EncryptionKey> keys[] = {std::nullopt, checked_key()};
  bool seen[2] = {};
  for (std::size_t call = 1;; ++call) {
    testing::MemoryFileSystem files;
    files.make_folder(folder);
    Manifest manifest;
    fill_randomly(manifest.store);
    manifest.closed = true;
    CheckpointWriter writer(files, folder, manifest.store, 1, std::nullopt);
    const Value value = "a text that is longer than a short string";
    LoggedOperation set;
    set.code = OperationCode::set;
    set.key = "key";
    set.value = &value;
    writer.add(set);
    writer.finish();
    files.sync_folder(folder);
    manifest.checkpoint = 1;
    manifest.checkpoint_bytes = writer.bytes();
    manifest.keys = writer.keys();
    write_manifest(files, folder, manifest, std::nullopt);

    fail(files, call);
    bool finished = true;
    try {
      rekey_folder(files, folder, keys[0], keys[1]);
    } catch (const Error&) {
      finished = false;
    }
    const std::size_t calls = files.calls().size();
    files.restart(survival);
    int opening = 0;
    for (int i = 0; i < 2; ++i) {
      try {
        const FolderCheck check = check_folder(files, folder, keys[i], {}, true);
        ASSERT_TRUE(check.damage.empty()) << check.damage.front() << ", call " << call;
        ASSERT_EQ(check.checkpoint.keys, 1U);
        seen[i] = true;
        ++opening;
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), Errc::wrong_key) << error.what() << ", call " << call;
      }
    }
    ASSERT_EQ(opening, 1) << "call " << call;
    if (finished && call > calls) break;
  }
  EXPECT_TRUE(seen[0] && seen[1]);
}

TEST(FolderRekey, SurvivesAPowerLossAtAnyCall) {
  for (const auto survival : testing::MemoryFileSystem::kSurvivals) {
    rekey_with_faults(survival, [](auto& files, std::size_t call) { files.lose_power_at(call); });
  }
}

TEST(FolderRekey, SurvivesAFailureOfAnyCall) {
  for (const bool for_good : {false, true}) {
    rekey_with_faults(testing::MemoryFileSystem::Survival::all,
                      [for_good](auto& files, std::size_t call) { files.fail_at(call, EIO, for_good); });
  }
}

// ----------------------------------------------------------------------------------------------------------------- salvage

class FolderSalvageTest : public ::testing::Test {
 protected:
  static SalvageReport salvage(const SmallStore& store, const char* target = nullptr) {
    FolderSalvage salvage(real_file_system(), store.folder(), store.key(), {});
    if (target != nullptr) salvage.write(store.folder().parent_path() / target);
    return salvage.report();
  }
  static void damage(const SmallStore& store, const std::string& name, std::uint64_t byte) {
    Patch(store.folder() / name).flip(byte, 3);
  }
};

TEST_F(FolderSalvageTest, FindsNothingLostInASoundStore) {
  SmallStore store;
  fill(store);
  store.kill();
  const SalvageReport report = salvage(store, "saved");
  EXPECT_FALSE(report.lost_anything());
  EXPECT_EQ(report.keys, 5U);
  EXPECT_EQ(report.records, 3U);
  const FolderCheck check = check_folder(real_file_system(), store.folder().parent_path() / "saved", std::nullopt);
  EXPECT_TRUE(check.damage.empty());
  EXPECT_EQ(check.checkpoint.keys, 5U);
}

TEST_F(FolderSalvageTest, TakesTheLogUpToItsDamage) {
  SmallStore store;
  fill(store);
  const auto record = store.reserve(OperationCode::set, "more", 1);
  store.log(OperationCode::set, "last", 2);
  const fs::path segment = record.segment->path();
  store.kill();
  const Place mark = place_of(store, segment, record.offset + record.frame - 1);
  damage(store, mark.name, mark.offset);
  const SalvageReport report = salvage(store, "saved");
  EXPECT_TRUE(report.lost_anything());
  EXPECT_EQ(report.records, 3U);
  EXPECT_EQ(report.records_lost, 1U);  // the last one is whole; what was never complete isn't
  EXPECT_EQ(report.keys, 5U);
}

TEST_F(FolderSalvageTest, LosesNothingWithWhatALogBeginsWith) {
  SmallStore store;
  store.checkpoint(3, false);
  const auto record = store.reserve(OperationCode::set, "never", "acknowledged");
  const std::string name = record.segment->path().filename();
  store.log(OperationCode::set, "more", 1, true);
  store.kill();
  Patch patch(store.folder() / name);
  for (std::uint64_t byte = 0; byte < kSegmentStart; ++byte) {
    patch.flip(byte, byte % 8);
    const SalvageReport report = salvage(store);
    EXPECT_TRUE(report.lost_anything());
    EXPECT_EQ(report.records, 1U) << "byte " << byte;
    patch.flip(byte, byte % 8);
  }
}

TEST_F(FolderSalvageTest, TakesWholeBlocksOfACheckpointAndInventsNothing) {
  SmallStore store;
  store.checkpoint(20000, false);  // some blocks
  store.log(OperationCode::add, "key 0", 1);
  store.log(OperationCode::set, "key 0", "again");
  store.kill();
  const std::string name = checkpoint_name(read_manifest_unverified(real_file_system(), store.folder())->checkpoint);
  damage(store, name, kCheckpointStart + 100);
  const SalvageReport report = salvage(store, "saved");
  EXPECT_EQ(report.lost_ranges.size(), 1U);
  EXPECT_GT(report.checkpoint_keys, 10000U);
  ASSERT_TRUE(report.keys_lost);
  EXPECT_EQ(*report.keys_lost, 20000 - report.checkpoint_keys);
  EXPECT_EQ(report.operations_left_out, 1U);
  EXPECT_EQ(report.keys, report.checkpoint_keys + 1);
}

TEST_F(FolderSalvageTest, DoesWithoutTheManifest) {
  for (const auto& key : {std::optional<EncryptionKey>(), std::optional(checked_key())}) {
    SmallStore store(key);
    fill(store);
    store.kill();
    fs::remove(store.folder() / kManifestName);
    const SalvageReport report = salvage(store, "saved");
    EXPECT_TRUE(report.manifest_lost);
    EXPECT_EQ(report.keys, 5U);
    EXPECT_TRUE(check_folder(real_file_system(), store.folder().parent_path() / "saved", key).damage.empty());
  }
}

TEST_F(FolderSalvageTest, TellsAWrongKeyFromDamage) {
  SmallStore store(checked_key());
  fill(store);
  store.kill();
  fs::remove(store.folder() / kManifestName);
  EncryptionKey other = checked_key();
  other[5] = std::byte{0};
  try {
    FolderSalvage(real_file_system(), store.folder(), other, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::wrong_key);
  }
}

TEST_F(FolderSalvageTest, SurvivesAnyFlippedByte) {
  for (const auto& key : {std::optional<EncryptionKey>(), std::optional(checked_key())}) {
    SmallStore store(key);
    fill(store);
    store.kill();
    for (const fs::directory_entry& entry : fs::directory_iterator(store.folder())) {
      const std::uint64_t size = std::min<std::uint64_t>(entry.file_size(), 1024);
      Patch patch(entry.path());
      for (std::uint64_t byte = 0; byte < size; byte += 3) {
        patch.flip(byte, byte % 8);
        EXPECT_TRUE(salvage(store).lost_anything()) << entry.path() << ", byte " << byte;
        patch.flip(byte, byte % 8);
      }
    }
  }
}

}  // namespace
}  // namespace cubby::detail
