// SPDX-License-Identifier: Apache-2.0
#include "store/registry.hpp"

#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "storage/file_system.hpp"
#include "store/callback_waiter.hpp"
#include "store/maintenance.hpp"
#include "store/store.hpp"

namespace cubby::detail {

namespace {

constexpr std::string_view kSys = "sys";

std::string in_store(const char* operation, std::string_view name, std::string_view what) {
  return std::string(operation).append("(\"").append(name).append("\"): ").append(what);
}

}  // namespace

Registry& registry() {
  static auto* one = new Registry;
  return *one;
}

void Registry::check(std::string_view name, const Options& options) {
  if (options.persist_interval.count() < 0)
    throw Error(Errc::config, in_store("open", name, "Options::persist_interval is negative"));
  if (options.persist_interval.count() > 0 && options.persist.empty()) {
    throw Error(Errc::config, in_store("open", name, "Options::persist_interval needs a file: set Options::persist too"));
  }
  if (!options.persist.empty() && !options.directory.empty()) {
    throw Error(Errc::config, in_store("open", name, "Options::persist and Options::directory exclude each other"));
  }
  if (!options.directory.empty()) return;
  const auto refuse_alone = [name](const char* option) {
    throw Error(Errc::config, in_store("open", name, std::string("Options::") + option + " needs Options::directory"));
  };
  const Options usual;
  if (options.encryption_key) refuse_alone("encryption_key");
  if (options.sync != usual.sync) refuse_alone("sync");
  if (options.checkpoint_after != usual.checkpoint_after) refuse_alone("checkpoint_after");
}

std::shared_ptr<Store> Registry::open_sys(const Options& options) {
  if (options != Options{})
    throw Error(Errc::config, in_store("open", kSys, "this store shows live figures and takes no options"));
  const std::lock_guard lock(mutex_);
  if (!sys_) {
    sys_ = std::make_shared<Store>(std::string(kSys), Options{}, std::filesystem::path(), true);
    maintenance().add(sys_);
  }
  return sys_;
}

std::shared_ptr<Store> Registry::open(std::string_view name, const Options& options) {
  if (name == kSys) return open_sys(options);
  check(name, options);
  std::string file;
  try {
    if (!options.persist.empty()) file = file_identity(options.persist);
    if (!options.directory.empty()) file = folder_identity(options.directory);
  } catch (const Error& error) {
    throw Error(Errc::io, in_store("open", name, error.what()));
  }
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto found = slots_.find(name);
    if (found == slots_.end()) break;
    if (found->second.busy) {
      changed_.wait(lock);
      continue;
    }
    if (options != Options{} && options != found->second.store->options()) {
      throw Error(Errc::config, in_store("open", name, "the store is open with other options; Options{} would join it"));
    }
    return found->second.store;
  }
  for (const auto& [other, slot] : slots_) {
    if (!file.empty() && !slot.file.empty() && same_file(slot.file, file)) {
      throw Error(Errc::config, in_store("open", name, file + " belongs to the open store \"" + other + "\""));
    }
  }
  if (!at_exit_) {
    at_exit_ = true;
    // A forked child has no business with its parent's files.
    static const pid_t owner = ::getpid();
    std::atexit([] {
      if (::getpid() == owner) registry().close_at_exit();
    });
  }
  slots_.emplace(std::string(name), Slot{nullptr, file, true});
  lock.unlock();

  std::shared_ptr<Store> store;
  try {
    store = std::make_shared<Store>(std::string(name), options, file, false);
    store->start();
    maintenance().add(store);
    maintenance().wake();  // for deadlines that were loaded before it knew the store, and for saves at intervals
  } catch (...) {
    lock.lock();
    slots_.erase(slots_.find(name));
    changed_.notify_all();
    throw;
  }
  lock.lock();
  Slot& slot = slots_.find(name)->second;
  slot.store = store;
  slot.busy = false;
  changed_.notify_all();
  return store;
}

void Registry::close_at_exit() noexcept {
  std::vector<std::string> names;
  std::shared_ptr<Store> sys;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, slot] : slots_) names.push_back(name);  // those being opened too
    sys = sys_;
  }
  for (const std::string& name : names) {
    try {
      close(name, true);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cubby: %s\n", error.what());  // nobody is left to catch anything
    }
  }
  if (sys) sys->close(true);
}

void Registry::close(std::string_view name, bool at_exit) {
  const ThreadRecord& record = thread_record();
  if (record.callbacks != 0 || record.locked != nullptr) {
    throw Error(Errc::invalid_argument, in_store("close", name, "not allowed in a callback of a store"));
  }
  std::unique_lock lock(mutex_);
  std::shared_ptr<Store> store;
  for (;;) {
    const auto found = slots_.find(name);
    if (found == slots_.end()) return;
    if (!found->second.busy) {
      found->second.busy = true;
      store = found->second.store;
      break;
    }
    changed_.wait(lock);
  }
  lock.unlock();
  try {
    store->close(at_exit);
  } catch (...) {
    lock.lock();
    slots_.find(name)->second.busy = false;
    changed_.notify_all();
    throw;
  }
  maintenance().remove(store.get());
  lock.lock();
  slots_.erase(slots_.find(name));
  changed_.notify_all();
  lock.unlock();
  call_back(thread_record());
}

void Registry::shutdown() {
  std::exception_ptr first;
  for (const std::string& name : names()) {
    try {
      close(name);
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

std::vector<std::string> Registry::names() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, slot] : slots_) {
    if (slot.store) names.push_back(name);
  }
  return names;
}

std::vector<std::shared_ptr<Store>> Registry::stores() {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Store>> stores;
  for (const auto& [name, slot] : slots_) {
    if (slot.store) stores.push_back(slot.store);
  }
  return stores;
}

}  // namespace cubby::detail
