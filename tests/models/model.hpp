// SPDX-License-Identifier: Apache-2.0
#pragma once

// Running suites: `cubby_X_model` checks all that has to hold; `cubby_X_model mutants` breaks the code in one way after the
// other and succeeds only if Relacy finds each of them. An argument more: only those whose name contains it, a failure with its
// history.
//
// CUBBY_TEST_SCALE  multiplies iterations; 1 by default

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "models/relacy_atomics.hpp"

namespace cubby::models {

class Runner {
 public:
  Runner(int count, char** arguments) {
    if (const char* scale = std::getenv("CUBBY_TEST_SCALE")) scale_ = std::strtod(scale, nullptr);
    int next = 1;
    if (next < count && arguments[next] == std::string_view("mutants")) {
      mutants_ = true;
      ++next;
    }
    if (next < count) only_ = arguments[next];
  }

  /// Has to hold in that many executions, chosen at random.
  template <class Suite>
  void holds(const char* name, unsigned iterations) {
    if (!mutants_) run<rl::random_scheduler, Suite>(name, rl::random_scheduler_type, iterations, 0, true);
  }
  /// Has to hold in all executions with so many preemptions.
  template <class Suite>
  void holds_in_all(const char* name, unsigned preemptions) {
    if (!mutants_) run<rl::context_bound_scheduler, Suite>(name, rl::fair_context_bound_scheduler_type, 1, preemptions, true);
  }
  /// Has to fail in one of that many executions.
  template <class Suite>
  void is_found(const char* name, unsigned iterations) {
    if (mutants_) run<rl::random_scheduler, Suite>(name, rl::random_scheduler_type, iterations, 0, false);
  }

  int exit_code() const {
    if (runs_ == 0) std::cout << "nothing to run\n";
    return failed_ || runs_ == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
  }

 private:
  template <template <rl::thread_id_t> class Scheduler, class Suite>
  void run(const char* name, rl::scheduler_type_e search, unsigned iterations, unsigned preemptions, bool has_to_hold) {
    if (std::string_view(name).find(only_) == std::string_view::npos) return;
    ++runs_;
    std::ostream silence(nullptr);
    rl::test_params params;
    params.search_type = search;
    params.iteration_count = static_cast<rl::iteration_t>(iterations * (scale_ > 0 ? scale_ : 1));
    if (params.iteration_count == 0) params.iteration_count = 1;
    params.context_bound = preemptions;
    params.execution_depth_limit = 20000;
    params.output_stream = &silence;
    params.progress_stream = &silence;
    // As rl::simulate(), which would compile each suite for every scheduler.
    using SuiteScheduler = Scheduler<Suite::params::thread_count>;
    rl::ostringstream state;
    const bool held = rl::run_test<Suite, SuiteScheduler>(params, state, false) == rl::test_result_success;
    const bool shows = !held && (has_to_hold || !only_.empty());
    std::cout << (held == has_to_hold ? "ok      " : "FAILED  ") << name << ": " << rl::test_result_str(params.test_result)
              << " after " << params.stop_iteration << " executions" << std::endl;
    if (shows) {
      params.initial_state = state.str();
      params.collect_history = true;
      params.output_stream = &std::cout;
      rl::run_test<Suite, SuiteScheduler>(params, state, true);
    }
    failed_ = failed_ || held != has_to_hold;
  }

  double scale_ = 1;
  bool mutants_ = false;
  std::string only_;
  int runs_ = 0;
  bool failed_ = false;
};

}  // namespace cubby::models
