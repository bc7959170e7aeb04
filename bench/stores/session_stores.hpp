// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cubby/cubby.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "dataset.hpp"
#include "stores/replaced_design.hpp"
#include "stores/session.hpp"

namespace bench {

/// A store of sessions, as the workloads see it; `i` is the number of a key. Each is its own type, so no call in a measured
/// loop is virtual, and all do the same work:
///   get(i)              the session is copied out: as the design keeps it, a pointer or a Value or the whole tree
///   visit(i)            its integer `unread` is read in place (the replaced design can't, and copies)
///   set(i, version)     another session is stored, made outside the loop
///   insert(i)           the same for a key that may be new
///   modify(i, version)  reads `unread` and stores another session, in one atomic step
///   prepare_writes()    makes what set, insert and modify store

template <template <class> class Map>
class SharedSessions {
 public:
  static constexpr const char* kName = Map<SessionPointer>::kName;

  explicit SharedSessions(Dataset& data) : data_(data), keys_(data.keys()) {
    map_.reserve(data.size());
    versions_[0] = &data.sessions(0);
    for (std::size_t i = 0; i < data.size(); ++i) map_.assign(keys_[i], (*versions_[0])[i]);
  }
  void prepare_writes() { versions_[1] = &data_.sessions(1); }

  bool get(std::size_t i) const {
    SessionPointer session;
    const bool found = map_.read(keys_[i], [&session](const SessionPointer& stored) { session = stored; });
    benchmark::DoNotOptimize(session);
    return found;
  }
  bool visit(std::size_t i) const {
    std::int64_t unread = 0;
    const bool found = map_.read(keys_[i], [&unread](const SessionPointer& stored) { unread = stored->unread; });
    benchmark::DoNotOptimize(unread);
    return found;
  }
  bool set(std::size_t i, std::size_t version) {
    map_.assign(keys_[i], (*versions_[version])[i]);
    return true;
  }
  bool insert(std::size_t i) {
    map_.assign(keys_[i], (*versions_[1])[i % data_.size()]);
    return true;
  }
  bool modify(std::size_t i, std::size_t version) {
    const SessionPointer& next = (*versions_[version])[i];
    return map_.change(keys_[i], [&next](SessionPointer& stored) {
      std::int64_t unread = stored->unread;
      benchmark::DoNotOptimize(unread);
      stored = next;
    });
  }

 private:
  Dataset& data_;
  const std::vector<std::string>& keys_;
  const std::vector<SessionPointer>* versions_[2] = {};
  Map<SessionPointer> map_;
};

/// `Lock` is what `get` takes: std::shared_lock or std::unique_lock. Both readings share one map, as they differ in nothing
/// else.
template <class Lock>
class ReplacedSessions {
 public:
  static constexpr const char* kName =
      std::is_same_v<Lock, std::shared_lock<std::shared_mutex>> ? "replaced: reader lock" : "replaced: exclusive lock";

  static std::shared_ptr<ReplacedDesign> load(Dataset& data) {
    auto design = std::make_shared<ReplacedDesign>();
    design->reserve(data.size());
    for (std::size_t i = 0; i < data.size(); ++i) design->set(data.keys()[i], make_tree(make_session(i, 0)));
    return design;
  }

  explicit ReplacedSessions(Dataset& data) : ReplacedSessions(data, load(data)) {}
  ReplacedSessions(Dataset& data, std::shared_ptr<ReplacedDesign> design)
      : keys_(data.keys()), data_(data), design_(std::move(design)) {}
  void prepare_writes() { trees_ = &data_.trees(); }

  bool get(std::size_t i) const {
    const std::optional<Tree> tree = design_->get<Lock>(keys_[i]);
    benchmark::DoNotOptimize(tree);
    return tree.has_value();
  }
  bool visit(std::size_t i) const {
    const std::optional<Tree> tree = design_->get<Lock>(keys_[i]);
    if (!tree) return false;
    std::int64_t unread = unread_of(*tree);
    benchmark::DoNotOptimize(unread);
    return true;
  }
  bool set(std::size_t i, std::size_t) {
    design_->set(keys_[i], (*trees_)[i % Dataset::kTrees]);
    return true;
  }
  bool insert(std::size_t i) { return set(i, 1); }
  bool modify(std::size_t i, std::size_t) {
    const Tree& next = (*trees_)[i % Dataset::kTrees];
    return design_->change(keys_[i], [&next](Tree& stored) {
      std::int64_t unread = unread_of(stored);
      benchmark::DoNotOptimize(unread);
      stored = next;
    });
  }

 private:
  static std::int64_t unread_of(const Tree& tree) {
    return std::get<std::int64_t>(std::get<Tree::Object>(tree.node).find(std::string_view("unread"))->second.node);
  }

  const std::vector<std::string>& keys_;
  Dataset& data_;
  std::shared_ptr<ReplacedDesign> design_;
  const std::vector<Tree>* trees_ = nullptr;
};

/// A store of a name that nobody else has, closed at the end.
class CubbyStore {
 public:
  static constexpr const char* kName = "cubby";

  explicit CubbyStore(const cubby::Options& options = {}) : store_(cubby::open("bench-" + std::to_string(next_++), options)) {}
  ~CubbyStore() {
    try {
      cubby::close(store_.name());
    } catch (const cubby::Error& error) {  // a full disk, for one: what was measured stands
      std::fprintf(stderr, "%s\n", error.what());
    }
  }
  CubbyStore(const CubbyStore&) = delete;
  CubbyStore& operator=(const CubbyStore&) = delete;

 protected:
  cubby::Datastore store_;

 private:
  static inline std::atomic<int> next_{0};
};

class CubbySessions : public CubbyStore {
 public:
  /// With a `ttl`, every key is given a deadline that far ahead.
  explicit CubbySessions(Dataset& data, std::optional<cubby::Duration> ttl = std::nullopt) : data_(data), keys_(data.keys()) {
    versions_[0] = &data.values(0);
    for (std::size_t i = 0; i < data.size(); ++i) {
      store_.set(keys_[i], (*versions_[0])[i]);
      if (ttl) store_.expire(keys_[i], *ttl);
    }
  }
  void prepare_writes() { versions_[1] = &data_.values(1); }

  bool get(std::size_t i) const {
    const std::optional<cubby::Value> value = store_.get(keys_[i]);
    benchmark::DoNotOptimize(value);
    return value.has_value();
  }
  bool visit(std::size_t i) const {
    std::int64_t unread = 0;
    const bool found = store_.visit(keys_[i], [&unread](const cubby::Value& value) { unread = value["unread"].as_int(); });
    benchmark::DoNotOptimize(unread);
    return found;
  }
  bool set(std::size_t i, std::size_t version) {
    store_.set(keys_[i], (*versions_[version])[i]);
    return true;
  }
  bool insert(std::size_t i) {
    store_.set(keys_[i], (*versions_[1])[i % data_.size()]);
    return true;
  }
  bool modify(std::size_t i, std::size_t version) {
    const cubby::Value& next = (*versions_[version])[i];
    store_.modify(keys_[i], [&next](const std::optional<cubby::Value>& stored) -> std::optional<cubby::Value> {
      std::int64_t unread = (*stored)["unread"].as_int();
      benchmark::DoNotOptimize(unread);
      return next;
    });
    return true;
  }
  bool expire(std::size_t i, cubby::Duration ttl) {
    store_.expire(keys_[i], ttl);
    return true;
  }

 private:
  Dataset& data_;
  const std::vector<std::string>& keys_;
  const std::vector<cubby::Value>* versions_[2] = {};
};

}  // namespace bench
