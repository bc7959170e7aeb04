// SPDX-License-Identifier: Apache-2.0
// HashTable while it grows or shrinks: readers don't notice, whoever helps.

#include "models/table_suite.hpp"

namespace cubby::models {
namespace {

/// Two keys in a table of four buckets; to remove one makes it shrink to two.
template <class Policy>
struct ShrinkSuite : TableSuite<Policy, ShrinkSuite<Policy>> {
  using Base = TableSuite<Policy, ShrinkSuite<Policy>>;
  static constexpr std::uint64_t kStays = 1, kGoes = 0xc000'0000'0100'0003, kComes = 0x4000'0000'0200'0205;

  ShrinkSuite() {
    // Ten keys make it grow; all but two go again, the last key of a counter never.
    for (std::uint64_t number = 1; number < 10; ++number) this->write(number << 60 | number << 8 | 7, 1);
    this->write(kStays, 1);
    this->write(kGoes, 1);
    for (std::uint64_t number = 10; !this->table->moving(); ++number) {
      this->write(number << 56 | number << 8 | 9, 1);
      extra = number;
    }
    while (!this->sweep()) {
    }
    for (std::uint64_t number = 1; number < 10; ++number) this->write(number << 60 | number << 8 | 7, 0);
    for (std::uint64_t number = 10; number <= extra; ++number) this->write(number << 56 | number << 8 | 9, 0);
    require(!this->table->moving() && this->table->bucket_bytes() == 4 * sizeof(typename Base::Traits::Bucket),
            "not as planned");
    this->tidy();
    this->tidy();
    this->traits->moves = 0;
  }

  void thread(unsigned index) {
    if (index == 0) {
      const int first = this->read(kStays);
      require(first >= 1, "a key that stays is not found");
      const bool there = this->read(kComes) != 0;
      require(this->read(kStays) >= first, "a key that stays is not found, or goes back");
      require(!there || this->read(kComes) == 1, "a key that came has gone");
    } else if (index == 1) {
      this->write(kGoes, 0);
      this->write(kStays, 2);
      this->tidy();
    } else {
      this->help(1);
      this->sweep();
      this->write(kComes, 1);
      this->tidy();
    }
  }
  void check() {
    require(this->traits->moves <= 1, "it has shrunk too far");  // or not at all, with one key more
    require(this->table->size() == 2, "the count of keys is wrong");
    require(this->read(kStays) == 2 && this->read(kGoes) == 0 && this->read(kComes) == 1, "the outcome is wrong");
  }
  std::uint64_t extra = 0;
};

/// Nine keys in two buckets, one of them with a further one; the tenth makes the table grow to four.
template <class Policy>
struct GrowSuite : TableSuite<Policy, GrowSuite<Policy>> {
  using Base = TableSuite<Policy, GrowSuite<Policy>>;
  static std::uint64_t number(std::uint64_t each) { return Base::key(each == 0, each, each >= 7 ? 1 : 0); }

  GrowSuite() {
    for (std::uint64_t each = 0; each < 9; ++each) this->write(number(each), 1);
    require(!this->table->moving(), "not as planned");
  }

  void thread(unsigned index) {
    // Seven keys on the first counter: its eighth asks whether there are too many.
    const std::uint64_t comes = Base::key(0, 9, 0), stays = number(8), changes = number(6), goes = number(7);
    if (index == 0) {
      require(this->read(stays) == 1, "a key that stays is not found");
      const bool there = this->read(comes) != 0;
      require(this->read(changes) >= 1, "a key that stays is not found");
      require(!there || this->read(comes) == 1, "a key that came has gone");
      const bool gone = this->read(goes) == 0;
      require(!gone || this->read(goes) == 0, "a key that went is back");
      require(this->read(number(0)) == 1, "a key that stays is not found");
    } else if (index == 1) {
      this->write(comes, 1);
      this->write(changes, 2);
      this->tidy();
    } else {
      this->write(goes, 0);
      this->help(1);
      this->sweep();
      this->tidy();
    }
  }
  void check() {
    require(this->table->size() == 9, "the count of keys is wrong");
    for (std::uint64_t each = 0; each < 9; ++each) {
      require(this->read(number(each)) == (each == 7 ? 0 : each == 6 ? 2 : 1), "the outcome is wrong");
    }
  }
};

/// The smallest of growths: one thread begins it, one moves a bucket because it writes there, and one reads from that bucket.
template <class Policy>
struct MoveSuite : TableSuite<Policy, MoveSuite<Policy>> {
  using Base = TableSuite<Policy, MoveSuite<Policy>>;
  static std::uint64_t number(std::uint64_t each) { return Base::key(each == 0, each, each >= 7 ? 1 : 0); }

  MoveSuite() {
    for (std::uint64_t each = 0; each < 9; ++each) this->write(number(each), 1);
  }
  void await_growth() {
    const typename Base::Inside inside(*this->traits);
    while (!this->table->moving()) rl::yield(1, $);
  }
  void thread(unsigned index) {
    if (index != 1) await_growth();
    if (index == 0) {
      int last = 1;
      for (int round = 0; round < 3; ++round) {
        const int value = this->read(number(0));
        require(value >= last, "a key that stays is not found, or goes back");
        last = value;
      }
    } else if (index == 1) {
      this->write(Base::key(0, 9, 0), 1);
    } else {
      this->write(number(0), 2);
      this->write(number(0), 3);
    }
  }
  void check() {
    require(this->traits->moves == 1 && this->table->size() == 10, "it has not grown");
    require(this->read(number(0)) == 3, "the outcome is wrong");
  }
};

/// A scan meets every key that stays exactly once, however the table grows.
template <class Policy>
struct ScanSuite : TableSuite<Policy, ScanSuite<Policy>> {
  using Base = TableSuite<Policy, ScanSuite<Policy>>;
  static std::uint64_t number(std::uint64_t each) { return Base::key(each & 1, each >> 1, each >= 7 ? 1 : 0); }

  ScanSuite() {
    for (std::uint64_t each = 0; each < 9; ++each) this->write(number(each), 1);
  }
  void thread(unsigned index) {
    if (index == 0) {
      int found[9] = {};
      const typename Base::Inside inside(*this->traits);
      std::uint64_t position = 0;
      do {
        position = this->table->scan(nullptr, position, [&found](detail::Word, std::uint64_t hash) {
          for (std::uint64_t each = 0; each < 9; ++each) found[each] += hash == number(each);
        });
      } while (++position != 0);
      for (const int times : found) require(times == 1, "a scan misses a key that stays, or meets it twice");
    } else if (index == 1) {
      this->write(Base::key(0, 9, 0), 1);
      this->tidy();
    } else {
      this->help(1);
      this->sweep();
      this->tidy();
    }
  }
  void check() { require(this->traits->moves == 1 && this->table->size() == 10, "it has not grown"); }
};

CUBBY_RELAXED(find);
CUBBY_RELAXED(unlock_moved);
CUBBY_RELAXED(append);

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<MoveSuite<RelacyAtomics<>>>("one bucket moves", 20000);
  runner.holds<GrowSuite<RelacyAtomics<>>>("growing", 8000);
  runner.holds<GrowSuite<AsymmetricAtomics<>>>("growing, with the fence on the reclaimer's side", 4000);
  runner.holds<ScanSuite<RelacyAtomics<>>>("a scan while it grows", 6000);
  runner.holds<ShrinkSuite<RelacyAtomics<>>>("shrinking", 8000);

  runner.is_found<MoveSuite<RelacyAtomics<Relaxed_find>>>("reading the control word relaxed", 20000);
  runner.is_found<MoveSuite<RelacyAtomics<Relaxed_unlock_moved>>>("move relaxed", 20000);
  runner.is_found<MoveSuite<RelacyAtomics<Relaxed_append>>>("next table relaxed", 20000);
  return runner.exit_code();
}
