// SPDX-License-Identifier: Apache-2.0
// EpochDomain: a reader never meets an object that has been freed, and everything is freed in the end.

#include <memory>

#include "base/epoch.hpp"
#include "models/model.hpp"

namespace cubby::models {
namespace {

template <class Policy>
struct EpochSuite : rl::test_suite<EpochSuite<Policy>, 3> {
  using Domain = detail::EpochDomain<Policy>;
  using Participant = typename Domain::Participant;

  struct Object {
    Plain<int> value{1};
    ~Object() { value.set(0); }  // a race with a reader that has not left
  };

  EpochSuite() {
    domain->link(participants[0]);
    domain->link(participants[1]);
    shared.store(new Object, std::memory_order_release);
  }

  void replace(Participant& self) {
    domain->enter(self);
    Object* old = shared.exchange(new Object, std::memory_order_acq_rel);
    domain->retire(
        self, old, [](void* object) { delete static_cast<Object*>(object); }, sizeof(Object));
    domain->leave(self);
  }
  void read(Participant& self) {
    domain->enter(self);
    require(shared.load(std::memory_order_acquire)->value.get() == 1, "read a freed object");
    domain->leave(self);
  }

  void thread(unsigned index) {
    Participant& self = participants[index];
    if (index == 0) {
      for (int round = 0; round < 2; ++round) {
        replace(self);
        domain->hand_over(self, true);
      }
    } else if (index == 1) {
      for (int round = 0; round < 3; ++round) read(self);
    } else {
      domain->link(self);  // a thread that comes later
      domain->enter(self);
      read(self);  // nested
      domain->leave(self);
      replace(self);
      domain->hand_over(self, false);
      domain->hand_over(self, true);
    }
  }

  void after() {
    for (Participant& each : participants) domain->hand_over(each, true);
    for (int round = 0; round < 2; ++round) domain->hand_over(participants[0], true);
    require(!domain->pending(), "something is never freed");
    delete shared.load(std::memory_order_relaxed);  // the others are Relacy's leak check's
  }

  std::unique_ptr<Domain> domain = std::make_unique<Domain>();
  typename Policy::template Atomic<Object*> shared{nullptr};
  Participant participants[3];
};

CUBBY_RELAXED(leave);
CUBBY_RELAXED(advance);

/// Frees after one step of the epoch instead of two.
struct OneStep : Faithful {
  template <class T>
  static T loaded(std::string_view function, T value) {
    if constexpr (std::is_same_v<T, std::uint64_t>) return function == "collect" ? value + 1 : value;
    return value;
  }
};

}  // namespace
}  // namespace cubby::models

int main(int count, char** arguments) {
  using namespace cubby::models;
  Runner runner(count, arguments);
  runner.holds<EpochSuite<RelacyAtomics<>>>("fences on both sides", 60000);
  runner.holds<EpochSuite<AsymmetricAtomics<>>>("fence on the reclaimer's side", 60000);

  runner.is_found<EpochSuite<RelacyAtomics<Unfenced>>>("enter without a fence", 200000);
  runner.is_found<EpochSuite<AsymmetricAtomics<Unfenced>>>("advance without a fence", 200000);
  runner.is_found<EpochSuite<RelacyAtomics<Relaxed_leave>>>("leave relaxed", 200000);
  runner.is_found<EpochSuite<AsymmetricAtomics<Relaxed_advance>>>("advance relaxed", 200000);
  runner.is_found<EpochSuite<RelacyAtomics<OneStep>>>("freed after one step", 200000);
  return runner.exit_code();
}
