// SPDX-License-Identifier: Apache-2.0
#include "store/running_cut.hpp"

namespace cubby::detail {

Store::RunningCut::RunningCut(Store& store, FunctionRef<void(std::uint32_t version)> before_raise)
    : store_(store), record_(thread_record()) {
  const std::lock_guard lock(store.structure_);
  const std::uint32_t version = store.version_.load(std::memory_order_relaxed);
  // It stays: a clear() waits for structure_. One that comes after keeps it for us.
  chain_ = store.table_.chain();
  auto cut = std::make_unique<Cut>(version, chain_);
  before_raise(version);
  cut_ = cut.release();
  const EpochGuard guard(record_);
  // In this order: who reads the raised version sees the cut.
  store.cut_.store(cut_, std::memory_order_release);
  store.version_.fetch_add(1, std::memory_order_seq_cst);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // pairs with the one in CommitStatus::commit()
}

Store::RunningCut::~RunningCut() {
  std::vector<Dropped> kept;
  {
    const std::lock_guard lock(store_.structure_);
    store_.cut_.store(nullptr, std::memory_order_release);
    kept.swap(store_.kept_chains_);
  }
  for (const Dropped& each : kept) {
    store_.dispose_later(each, std::make_unique<Disposal>(Disposal{store_.shared_from_this(), {}}));
  }
  // Writers that still see the cut are inside now.
  retire(
      cut_, [](void* old) { delete static_cast<Cut*>(old); }, Epochs::kBatchBytes);
  tidy(record_);
}

bool Store::RunningCut::scan(std::vector<CutKey>& keys) {
  if (done_) return false;
  const EpochGuard guard(record_);
  position_ = store_.table_.scan(chain_, position_, [&](Word word, std::uint64_t) {
    const Entry* entry = nullptr;
    if (kind_of(word) == SlotKind::entry) {
      entry = pointer_of<const Entry>(word);
      if (entry->version() > cut_->version) return;
    } else {
      auto* marker = pointer_of<Marker>(word);
      if (marker->status->committed_or_barred() && marker->status->version() <= cut_->version) {
        entry = marker->after;
      } else if (marker->before != nullptr && marker->before->version() <= cut_->version) {
        entry = marker->before;
      }
    }
    if (entry == nullptr) return;
    entry->retain();
    keys.emplace_back(CutKey::Reference(const_cast<Entry*>(entry)), false);
  });
  done_ = ++position_ == 0;
  return !done_;
}

void Store::RunningCut::take_left(std::vector<CutKey>& keys) {
  std::vector<Entry*> left = cut_->take_left();
  std::vector<CutKey::Reference> owned(std::make_move_iterator(left.begin()), std::make_move_iterator(left.end()));
  for (CutKey::Reference& entry : owned) keys.emplace_back(std::move(entry), true);
}

}  // namespace cubby::detail
