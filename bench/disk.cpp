// SPDX-License-Identifier: Apache-2.0
#include "disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cubby/cubby.hpp>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "child_process.hpp"
#include "dataset.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kBlock = std::size_t{1} << 20;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void fail(const std::string& what) { throw std::system_error(errno, std::generic_category(), what); }

/// A descriptor that is closed.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : descriptor_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {
    if (descriptor_ < 0) fail(path.string());
  }
  ~Descriptor() { close(descriptor_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int operator*() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

std::vector<std::string> fio_command(const std::filesystem::path& folder, std::size_t bytes) {
  return {"fio",           "--name=sequential", "--directory=" + folder.string(),
          "--rw=write",    "--bs=1M",           "--size=" + std::to_string(bytes / kBlock) + "M",
          "--end_fsync=1", "--unlink=1",        "--output-format=json"};
}

double write_with_fio(const std::filesystem::path& folder, std::size_t bytes) {
  const std::string text = output_of(fio_command(folder, bytes));
  const std::size_t begin = text.find('{');  // notes may come first
  if (begin == std::string::npos) throw std::runtime_error("fio printed no JSON");
  const cubby::Value result = cubby::Value::parse(std::string_view(text).substr(begin));
  return static_cast<double>(result["jobs"][0]["write"]["bw_bytes"].as_int());
}

double write_ourselves(const std::filesystem::path& folder, std::size_t bytes) {
  std::vector<std::uint64_t> block(kBlock / sizeof(std::uint64_t));
  Random random(1);  // no disk compresses this
  for (std::uint64_t& word : block) word = random();
  const std::filesystem::path path = folder / "sequential";
  double seconds = 0;
  {
    const Descriptor file(path, O_WRONLY | O_CREAT | O_TRUNC);
    const auto start = Clock::now();
    for (std::size_t done = 0; done < bytes; done += kBlock) {
      if (write(*file, block.data(), kBlock) != static_cast<ssize_t>(kBlock)) fail(path.string());
    }
    if (fdatasync(*file) != 0) fail(path.string());
    seconds = seconds_since(start);
  }
  std::filesystem::remove(path);
  return static_cast<double>(bytes) / seconds;
}

}  // namespace

TemporaryFolder::TemporaryFolder(const std::filesystem::path& parent) {
  static std::atomic<int> next{0};
  path_ = parent / ("bench-durable-" + std::to_string(getpid()) + "-" + std::to_string(next++));
  std::filesystem::remove_all(path_);  // of an earlier process that was killed, and had our number
  std::filesystem::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

double sync_disk(const std::filesystem::path& path) {
  const Descriptor folder(path, O_RDONLY | O_DIRECTORY);
  const auto start = Clock::now();
  if (syncfs(*folder) != 0) fail(path.string());
  return seconds_since(start);
}

std::string file_system_of(const std::filesystem::path& path) {
  const std::string place = std::filesystem::canonical(path).string() + "/";
  std::string best;
  std::string found = "unknown file system";
  std::ifstream in("/proc/self/mounts");
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string device;
    std::string mounted;
    std::string type;
    fields >> device >> mounted >> type;
    const std::string prefix = mounted == "/" ? mounted : mounted + "/";
    if (!place.starts_with(prefix) || prefix.size() < best.size()) continue;  // a later mount covers an earlier one
    best = prefix;
    found = type + " on " + device;
  }
  return found;
}

SequentialWriter::SequentialWriter(const std::filesystem::path& folder, std::size_t bytes)
    : folder_(folder), with_fio_(is_installed("fio")), name_(with_fio_ ? "fio" : "write and fdatasync") {
  const std::size_t most = static_cast<std::size_t>(std::filesystem::space(folder).available) / 4;
  bytes_ = std::max(kBlock, std::min(bytes, most) / kBlock * kBlock);
}

std::string SequentialWriter::description() const {
  if (!with_fio_)
    return "write(2) of " + std::to_string(bytes_ / kBlock) + " blocks of 1 MiB, then fdatasync (no fio installed)";
  std::string command = "`";
  for (const std::string& argument : fio_command("DIR", bytes_)) command.append(argument).append(" ");
  command.back() = '`';
  return command;
}

double SequentialWriter::run() const { return with_fio_ ? write_with_fio(folder_, bytes_) : write_ourselves(folder_, bytes_); }

}  // namespace bench
