// SPDX-License-Identifier: Apache-2.0
// HashTable in one size: keys come, go and change under readers; a full bucket gets a further one; reset() takes all keys away.

#include "models/table_suite.hpp"

namespace cubby::models {
namespace {

/// A key that stays is always found, whatever happens to the others of its bucket.
template <class Policy>
struct WriteSuite : TableSuite<Policy, WriteSuite<Policy>> {
  using Base = TableSuite<Policy, WriteSuite<Policy>>;
  static constexpr std::uint64_t kTwin = 0x100;  // same tag as key(0, 0), another fingerprint

  WriteSuite() { this->write(Base::key(0, 0), 1); }

  void thread(unsigned index) {
    const std::uint64_t stays = Base::key(0, 0), comes = Base::key(0, 1), twin = stays | kTwin << 4;
    if (index == 0) {
      const int seen = this->read(comes);
      require(seen == 0 || seen == 1, "a value that nobody wrote");
      const int first = this->read(stays);
      const int second = this->read(stays);
      require(first >= 1 && second >= first, "a key that stays is not found, or goes back");
      const int other = this->read(twin);
      require(other == 0 || other == 3, "found another key");
    } else if (index == 1) {
      this->write(comes, 1);
      this->write(stays, 2);
      this->write(comes, 0);
      this->tidy();
    } else {
      this->write(twin, 3);
      this->tidy();
      this->write(stays | kTwin << 5, 0);  // absent
    }
  }
  void check() {
    require(this->table->size() == 2, "the count of keys is wrong");
    require(this->read(Base::key(0, 0)) == 2 && this->read(Base::key(0, 1)) == 0, "the outcome is wrong");
  }
};

/// A key that was inserted before another is there when the other is seen.
template <class Policy>
struct OrderSuite : TableSuite<Policy, OrderSuite<Policy>> {
  using Base = TableSuite<Policy, OrderSuite<Policy>>;

  void thread(unsigned index) {
    const std::uint64_t first = Base::key(1, 2), second = Base::key(0, 1);
    if (index == 0) {
      this->write(first, 1);
      this->write(second, 1);
    } else if (this->read(second) != 0) {
      require(this->read(first) == 1, "the effect is there without its cause");
    }
  }
  void check() { require(this->table->size() == 2, "the count of keys is wrong"); }
};

/// The eighth key of a bucket moves the seventh to a further bucket.
template <class Policy>
struct LinkSuite : TableSuite<Policy, LinkSuite<Policy>> {
  using Base = TableSuite<Policy, LinkSuite<Policy>>;

  LinkSuite() {
    for (std::uint64_t number = 0; number < detail::kSlots; ++number) this->write(Base::key(0, number, number), 1);
  }

  void thread(unsigned index) {
    const std::uint64_t last = Base::key(0, 6, 6), comes = Base::key(0, 7, 7);
    if (index == 0) {
      this->write(comes, 1);
      this->write(last, 2);
      this->tidy();
    } else if (index == 1) {
      const int first = this->read(last);
      require(first >= 1, "a key that stays is not found");
      const bool there = this->read(comes) != 0;
      require(this->read(last) >= first, "a key that stays is not found, or goes back");
      require(!there || this->read(comes) == 1, "a key that came has gone");
    } else {
      int found = 0;
      const typename Base::Inside inside(*this->traits);
      std::uint64_t position = 0;
      do {
        position =
            this->table->scan(nullptr, position, [&found, last](detail::Word, std::uint64_t hash) { found += hash == last; });
      } while (++position != 0);
      require(found >= 1, "a scan misses a key that stays");
    }
  }
  void check() {
    require(this->table->size() == 8, "the count of keys is wrong");
    for (std::uint64_t number = 0; number < 8; ++number)
      require(this->read(Base::key(0, number, number)) != 0, "a key is lost");
  }
};

/// reset() takes all keys away at one instant.
template <class Policy>
struct ResetSuite : TableSuite<Policy, ResetSuite<Policy>> {
  using Base = TableSuite<Policy, ResetSuite<Policy>>;
  using Table = typename Base::Table;

  ResetSuite() { this->write(Base::key(0, 0), 1); }

  void thread(unsigned index) {
    const std::uint64_t old = Base::key(0, 0), comes = Base::key(1, 1), other = Base::key(0, 2);
    if (index == 0) {
      {
        const typename Base::Inside inside(*this->traits);
        auto* chain = this->table->reset();
        this->traits->retire(
            chain, [](void* gone) { Table::destroy(static_cast<typename Table::Chain*>(gone), Base::Traits::dispose); },
            sizeof(*chain));
      }
      this->write(comes, 1);
      this->tidy();
    } else if (index == 1) {
      const bool after = this->read(comes) != 0;
      const bool there = this->read(old) != 0;
      require(!after || !there, "a key from before the reset");
    } else {
      this->write(other, 1);
      this->write(other, 2);
      this->tidy();
    }
  }
  void check() {
    require(this->read(Base::key(0, 0)) == 0 && this->read(Base::key(1, 1)) == 1, "the outcome is wrong");
    const int other = this->read(Base::key(0, 2));
    require(other == 0 || other == 2, "the outcome is wrong");
  }
};

CUBBY_RELAXED(place);
CUBBY_RELAXED(replace);
CUBBY_RELAXED(find_in_chain);
CUBBY_RELAXED(link);
CUBBY_RELAXED(reset);

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<WriteSuite<RelacyAtomics<>>>("writes under a reader", 40000);
  runner.holds<OrderSuite<RelacyAtomics<>>>("order of inserts", 60000);
  runner.holds<LinkSuite<RelacyAtomics<>>>("a further bucket", 30000);
  runner.holds<ResetSuite<RelacyAtomics<>>>("reset under a reader and a writer", 30000);
  runner.holds<ResetSuite<AsymmetricAtomics<>>>("reset, with the fence on the reclaimer's side", 20000);

  runner.is_found<WriteSuite<RelacyAtomics<Relaxed_replace>>>("replace relaxed", 50000);
  runner.is_found<WriteSuite<RelacyAtomics<Relaxed_find_in_chain>>>("reading a slot relaxed", 50000);
  runner.is_found<OrderSuite<RelacyAtomics<Relaxed_place>>>("insert relaxed", 50000);
  runner.is_found<LinkSuite<RelacyAtomics<Relaxed_link>>>("link relaxed", 50000);
  runner.is_found<ResetSuite<RelacyAtomics<Relaxed_reset>>>("reset relaxed", 50000);
  return runner.exit_code();
}
