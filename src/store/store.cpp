// SPDX-License-Identifier: Apache-2.0
#include "store/store.hpp"

#include <set>
#include <system_error>

#include "base/thread.hpp"
#include "store/callback_waiter.hpp"
#include "store/key_write.hpp"
#include "store/maintenance.hpp"

namespace cubby::detail {

namespace {

/// Numbers of counters: the smallest that is free.
class Numbers {
 public:
  std::uint32_t take() {
    const std::lock_guard lock(mutex_);
    std::uint32_t number = 0;
    while (used_.contains(number)) ++number;
    used_.insert(number);
    return number;
  }
  void give_back(std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    used_.erase(number);
  }

 private:
  std::mutex mutex_;
  std::set<std::uint32_t> used_;
};

Numbers& numbers() {
  static auto* all = new Numbers;  // stores may live until the very end of the process
  return *all;
}

}  // namespace

std::uint64_t TableTraits::hash(Word word) noexcept { return hash_key(key_of(word)); }
void TableTraits::dispose(Word word) noexcept { Entry::dispose(pointer_of<Entry>(word)); }
void TableTraits::growing() noexcept {
  constexpr std::int64_t kForWriters = 5'000'000;  // ns; writers move the table along, as long as there are any
  maintenance().wake_at(now() + kForWriters);
}

Store::Store(std::string name, Options options, std::filesystem::path file, bool is_sys)
    : state_(is_sys ? std::uint32_t{kSys} : 0),
      number_(numbers().take()),
      table_(traits_),
      wheel_(now()),
      name_(std::move(name)),
      options_(std::move(options)),
      file_(std::move(file)) {
  std::array<std::uint64_t, kOperations + kFigures> counted{};
  for (std::size_t index = 0; index < kOperations; ++index) counted[index] = operations(static_cast<Operation>(index));
  for (std::size_t index = 0; index < kFigures; ++index) counted[kOperations + index] = figure(static_cast<Figure>(index));
  baseline_ = counted;
}

Store::~Store() { numbers().give_back(number_); }

void Store::dispose(Word word, std::int64_t dropped_at) noexcept {
  auto* entry = pointer_of<Entry>(word);
  if (entry->deadline() <= dropped_at) note_expired(thread_record(), *entry);
  counters(thread_record()).add(Figure::bytes, 0 - static_cast<std::uint64_t>(entry->bytes()));
  if (entry->has_deadline() && entry->reminder() != nullptr) drop_reminder(*entry->reminder());
  Entry::dispose(entry);
}

void Store::Disposal::run() {
  Table::destroy(dropped.chain, [this](Word word) { store->dispose(word, dropped.time); });
  tidy(thread_record());
  call_back(thread_record());
}

void Store::dispose_later(Dropped dropped, std::unique_ptr<Disposal> disposal) noexcept {
  // First everybody has to have left it; then it takes its time, so it is not for whoever happens to tidy up.
  const std::size_t keys = Table::size(dropped.chain);
  disposal->dropped = dropped;
  retire(
      disposal.release(),
      [](void* job) {
        maintenance().free_on_thread(job, [](void* object) {
          constexpr std::size_t kMany = 100'000;  // what would keep maintenance from its other work
          std::shared_ptr<Disposal> owned(static_cast<Disposal*>(object));
          if (Table::size(owned->dropped.chain) >= kMany) {
            try {
              start_thread("cubby-free", [owned] { owned->run(); }).detach();
              return;
            } catch (const std::system_error&) {
              // no thread to be had
            }
          }
          owned->run();
        });
      },
      Epochs::kBatchBytes + keys * sizeof(Entry));
}

void Store::drop_contents(bool by_user) {
  ThreadRecord& record = thread_record();
  const std::lock_guard lock(structure_);
  const EpochGuard guard(record);
  // What may fail comes first.
  kept_chains_.reserve(kept_chains_.size() + 1);
  auto disposal = std::make_unique<Disposal>(Disposal{shared_from_this(), {}});
  Dropped old;
  if (by_user) {
    Counters& figures = counters(record);
    const PublishingGuard publishing(record);
    check_writable(Operation::clear, {}, record);
    old.time = now();
    old.chain = table_.reset();
    figures.add(Figure::writes, 1);
  } else {
    old.chain = table_.reset();
  }
  if (cut_.load(std::memory_order_relaxed) != nullptr) {
    kept_chains_.push_back(old);
  } else {
    dispose_later(old, std::move(disposal));
  }
}

bool Store::move_table() {
  const EpochGuard guard(thread_record());
  return table_.sweep();
}

}  // namespace cubby::detail
