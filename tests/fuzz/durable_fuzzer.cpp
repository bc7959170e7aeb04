// SPDX-License-Identifier: Apache-2.0

// Whatever the files of a durable store hold, opening it recovers what was written or refuses: it never crashes, and what it
// has accepted once it accepts again, with the same contents.
//
// The first byte chooses what the rest is: a file as it stands, or what stands inside valid frames, which the fuzzer would
// hardly find the checksums of.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include <cubby/error.hpp>

#include "storage/durable_folder.hpp"
#include "unit/simulated_disk.hpp"

namespace {

using namespace cubby::detail;
using cubby::Error;
using cubby::Value;
using cubby::testing::SimulatedDisk;

constexpr const char* kFolder = "/data/store";

DurableFolder::Settings settings_for(SimulatedDisk& disk, bool read_only) {
  DurableFolder::Settings settings;
  settings.files = &disk;
  settings.folder = kFolder;
  settings.read_only = read_only;
  settings.checkpoint_after = 64 << 10;
  settings.wait_for_publishers = [] {};
  settings.on_growth = [] {};
  return settings;
}

/// A store with a checkpoint and a log.
std::map<std::string, std::string> valid_files() {
  SimulatedDisk disk;
  DurableFolder folder(settings_for(disk, false));
  folder.load([](const LoggedOperation&) {}, [](const LoggedOperation&) {});
  folder.begin(1);
  const auto append = [&](std::int64_t number, std::uint32_t version) {
    const Value value(number);
    LoggedOperation operation;
    operation.code = OperationCode::set;
    operation.key = "key";
    operation.value = &value;
    OperationWriter measure;
    measure.write(operation);
    const Log::Record record = folder.log().reserve(version, measure.body_size());
    OperationWriter writer(record.body());
    writer.write(operation);
    writer.pad(measure.body_size());
    folder.log().complete(record);
  };
  append(1, 1);
  const auto checkpoint = folder.begin_checkpoint([] { return std::uint64_t{1} << 20; });
  folder.log().prepare_generation();
  folder.log().begin_generation(2);
  folder.log().end_generation();
  const Value value = Value::parse(R"({"a":[1,2,3]})");
  LoggedOperation operation;
  operation.code = OperationCode::set;
  operation.key = "key";
  operation.value = &value;
  checkpoint->add(operation);
  folder.commit(*checkpoint, false);
  append(2, 2);
  return disk.contents();
}

using Contents = std::map<std::string, std::string>;

/// What loading hands out, or nothing if it refuses.
std::optional<Contents> load(SimulatedDisk& disk, bool read_only, bool begin) {
  Contents contents;
  std::mutex mutex;
  try {
    DurableFolder folder(settings_for(disk, read_only));
    const auto take = [&](const LoggedOperation& operation) {
      const std::lock_guard lock(mutex);
      std::string& text = contents[std::string(operation.key)];
      text += std::to_string(static_cast<int>(operation.code));
      if (operation.value != nullptr) text += std::to_string(std::hash<Value>()(*operation.value));
    };
    folder.load(take, [&](const LoggedOperation& operation) {
      const std::lock_guard lock(mutex);
      contents["log"] += std::to_string(static_cast<int>(operation.code)) + std::string(operation.key) + "," +
                         std::string(operation.other_key) +
                         (operation.value != nullptr ? std::to_string(std::hash<Value>()(*operation.value)) : std::string());
    });
    if (begin) folder.begin(1);
  } catch (const Error&) {
    return std::nullopt;
  }
  return contents;
}

std::string framed(const std::string& file, std::size_t start, FrameKind kind, std::string body) {
  const auto header = FileHeader::read(std::as_bytes(std::span(file)));
  const FrameCodec codec = header->codec(std::nullopt);
  body.resize((body.size() + 7) / 8 * 8);
  std::string frame(codec.frame_size(body.size()), '\0');
  const std::uint64_t head = codec.head({kind, frame.size()}, start);
  std::memcpy(frame.data(), &head, sizeof head);
  std::memcpy(frame.data() + FrameCodec::kHeadBytes, body.data(), body.size());
  const std::uint64_t mark = codec.close(std::as_writable_bytes(std::span(frame)), head, start);
  std::memcpy(frame.data() + frame.size() - FrameCodec::kMarkBytes, &mark, sizeof mark);
  return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::map<std::string, std::string> valid = valid_files();
  if (size < 2 || size > 60'000) return 0;
  const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string folder = std::string(kFolder) + "/";
  const std::string manifest = folder + "MANIFEST", checkpoint = folder + "checkpoint.00000001",
                    log = folder + "log.00000002.00000000";

  SimulatedDisk disk;
  disk.make_folder(kFolder);
  std::map<std::string, std::string> files = valid;
  switch (data[0] % 6) {
    case 0:
      files[manifest] = rest;
      break;
    case 1:
      files[checkpoint] = rest;
      break;
    case 2:
      files[log].replace(0, std::min(rest.size(), files[log].size()), rest.substr(0, files[log].size()));
      break;
    case 3:
      files[log].replace(kSegmentStart, std::min(rest.size(), files[log].size() - kSegmentStart),
                         rest.substr(0, files[log].size() - kSegmentStart));
      break;
    case 4: {
      const std::string frame = framed(files[log], kSegmentStart, FrameKind::data, rest);
      std::fill(files[log].begin() + kSegmentStart, files[log].end(), '\0');
      if (frame.size() + kSegmentStart + 8 <= files[log].size()) files[log].replace(kSegmentStart, frame.size(), frame);
      break;
    }
    default: {
      std::string& file = files[checkpoint];
      const std::size_t before = file.size();
      file.resize(kCheckpointStart);
      const std::uint64_t figures[2] = {data[0], 1};
      file += framed(file, kCheckpointStart, FrameKind::data, rest);
      file += framed(file, file.size(), FrameKind::last, std::string(reinterpret_cast<const char*>(figures), sizeof figures));
      file.resize(std::max(file.size(), before));
      // The manifest says how long it is.
      auto found = read_manifest_unverified(disk, kFolder);
      disk.put(manifest, files[manifest]);
      found = read_manifest_unverified(disk, kFolder);
      found->checkpoint_bytes = file.size();
      write_manifest(disk, kFolder, *found, std::nullopt);
      files[manifest] = *disk.read(manifest);
    }
  }
  for (const auto& [name, bytes] : files) disk.put(name, bytes);

  const auto seen = load(disk, true, false);
  const auto opened = load(disk, false, true);
  if (seen && opened && *seen != *opened) std::abort();
  if (opened) {
    const auto again = load(disk, true, false);
    if (!again || *again != *opened) std::abort();
  }
  return 0;
}
