// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "durable.hpp"
#include "stores/session_stores.hpp"

namespace bench {

/// cubby with whatever options. The face that it and its durable peers show:
///   load()           every key is there
///   put(i, version)  another value for key number `i`, made outside the loop
///   settle()         what was written so far weighs no more on what follows
class CubbyDurable : public CubbyStore {
 public:
  CubbyDurable(const DurableData& data, const cubby::Options& options)
      : CubbyStore(options), data_(data), durable_(!options.directory.empty()) {}

  void load() {
    for (std::size_t i = 0; i < data_.size(); ++i) store_.set(data_.key(i), DurableData::make(i));
  }
  bool put(std::size_t i, std::size_t version) {
    store_.set(data_.key(i), data_.value(i, version));
    return true;
  }
  bool get(std::size_t i) const {
    const std::optional<cubby::Value> value = store_.get(data_.key(i));
    benchmark::DoNotOptimize(value);
    return value.has_value();
  }
  bool visit(std::size_t i) const {
    std::int64_t unread = 0;
    const bool found = store_.visit(data_.key(i), [&unread](const cubby::Value& value) { unread = value["unread"].as_int(); });
    benchmark::DoNotOptimize(unread);
    return found;
  }
  void settle() {
    if (durable_) store_.save();
  }
  cubby::Datastore& datastore() noexcept { return store_; }

 private:
  const DurableData& data_;
  const bool durable_;
};

}  // namespace bench
