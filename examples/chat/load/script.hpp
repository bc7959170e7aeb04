// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace chat::load {

/// What clients do. `everyday`: of 20 requests 6 say something, 8 tell what was seen, 2 that somebody types, 2 that somebody is
/// here, and 2 open a room, in rooms of 20. `writes`: each message changes a preference of the session, then goes to a room of
/// 200 and into the 199 inboxes of the others.
enum class Mix { everyday, writes };

inline std::string_view name_of(Mix mix) { return mix == Mix::everyday ? "everyday" : "write-heavy"; }
inline int room_size(Mix mix) { return mix == Mix::everyday ? 20 : 200; }
/// How many of the requests say something.
inline double messages_of(Mix mix) { return mix == Mix::everyday ? 0.3 : 0.5; }

/// The number of the message that an event tells of; 0 if it tells of none.
inline std::int64_t number_in(std::string_view event) {
  if (!event.ends_with(R"("type":"message"})")) return 0;
  const std::size_t at = event.find(R"("number":)");
  std::int64_t number = 0;
  for (std::size_t i = at + 9; i < event.size() && event[i] >= '0' && event[i] <= '9'; ++i)
    number = number * 10 + (event[i] - '0');
  return number;
}

/// One client's requests, one after the other.
class Script {
 public:
  enum class Kind { say, other, no_answer };

  Script(Mix mix, int client)
      : mix_(mix),
        name_("client " + std::to_string(client)),
        room_("team " + std::to_string(client / room_size(mix))),
        step_(static_cast<unsigned>(client) * 7u) {}

  std::string hello() const { return R"({"type":"hello","name":")" + name_ + R"("})"; }
  std::string leave_lobby() const { return R"({"type":"leave","room":"lobby"})"; }
  std::string enter() const { return R"({"type":"open","room":")" + room_ + R"("})"; }

  /// The next request; `seen` is the number of the last message that has come.
  std::string next(std::int64_t seen) {
    ++step_;
    if (mix_ == Mix::writes) {
      kind_ = step_ % 2 == 0 ? Kind::say : Kind::no_answer;
      if (kind_ == Kind::say) return say("@everyone ");
      return R"({"type":"prefer","preference":"draft","value":"of message )" + std::to_string(n_ + 1) + R"("})";
    }
    kind_ = Kind::other;
    switch (step_ % 20) {
      case 0:
      case 3:
      case 6:
      case 9:
      case 12:
      case 16:
        kind_ = Kind::say;
        return say("");
      case 5:
      case 15:
        kind_ = Kind::no_answer;  // everybody hears of it, oneself too; nobody waits for that
        return R"({"type":"typing","room":")" + room_ + R"("})";
      case 8:
      case 18:
        return R"({"type":"ping"})";
      case 1:
      case 11:
        return enter();
      default:
        return R"({"type":"seen","room":")" + room_ + R"(","number":)" + std::to_string(seen) + '}';
    }
  }
  Kind kind() const { return kind_; }
  /// How many calls the last request makes for its session: it is read and touched, and changed by some.
  unsigned session_operations() const { return mix_ == Mix::writes && kind_ == Kind::no_answer ? 3 : 2; }

 private:
  std::string say(std::string_view prefix) {
    return R"({"type":"say","room":")" + room_ + R"(","client":"load","n":)" + std::to_string(++n_) + R"(,"text":")" +
           std::string(prefix) + R"(A message of the usual length, as people write them to each other."})";
  }

  const Mix mix_;
  const std::string name_;
  const std::string room_;
  unsigned step_;
  std::int64_t n_ = 0;
  Kind kind_ = Kind::other;
};

}  // namespace chat::load
