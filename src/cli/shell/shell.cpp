// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/shell.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cubby/error.hpp>

#include "cli/exit_codes.hpp"
#include "cli/shell/completion.hpp"
#include "cli/shell/help.hpp"
#include "cli/shell/history_file.hpp"
#include "cli/shell/line_editor.hpp"
#include "cli/text.hpp"
#include "server/settings.hpp"

namespace cubby::cli::shell {

namespace {

void put(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Whether standard output has taken everything.
int exit_code(int code) { return std::ferror(stdout) != 0 ? kExitOutput : code; }

/// The lines of standard input as they come, which Ctrl-C ends.
class InputLines {
 public:
  explicit InputLines(Signals& signals) : signals_(signals) {}
  std::optional<std::string> next() {
    for (;;) {
      const std::size_t end = bytes_.find('\n', looked_at_);
      if (end != std::string::npos || (ended_ && !bytes_.empty())) {
        std::string line = bytes_.substr(0, end);
        bytes_.erase(0, end == std::string::npos ? end : end + 1);
        looked_at_ = 0;
        return line;
      }
      if (ended_) return std::nullopt;
      looked_at_ = bytes_.size();
      std::array<pollfd, 2> descriptors{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{signals_.descriptor(), POLLIN, 0}};
      if (::poll(descriptors.data(), descriptors.size(), -1) < 0 && errno != EINTR) throw StoreError("poll has failed");
      signals_.check();
      if (descriptors[0].revents == 0) continue;
      std::array<char, 65536> bytes;
      const ssize_t count = ::read(STDIN_FILENO, bytes.data(), bytes.size());
      if (count > 0) bytes_.append(bytes.data(), static_cast<std::size_t>(count));
      if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) ended_ = true;
    }
  }

 private:
  Signals& signals_;
  std::string bytes_;
  std::size_t looked_at_ = 0;
  bool ended_ = false;
};

}  // namespace

Shell::Shell(Link& link, Login login, Signals& signals, bool raw)
    : link_(link),
      signals_(signals),
      session_(link, std::move(login), signals, [this](const RespValue& value) { print(value, {}); }),
      raw_(raw) {}

std::string Shell::text_of(const RespValue& value, std::span<const std::string> command) const {
  if (raw_) return raw(value);
  const std::string name = command.empty() ? std::string() : lower_case(command.front());
  const bool json = name == "json.get" || name == "json.arrpop" || name == "cubby.select" || name == "cubby.wait";
  return formatted(value, {has_colours(), terminal_width()}, json);
}

void Shell::print(const RespValue& value, std::span<const std::string> command) {
  const std::string text = text_of(value, command);
  if (above_) {
    *above_ += text;
  } else if (value.is_error() && !terminal_) {
    complain(value.text);
  } else {
    put(text);
  }
}

void Shell::complain(const std::string& text) {
  if (terminal_) {
    put(has_colours() ? fmt::format("\x1b[31m{}\x1b[0m\n", printable(text)) : printable(text) + "\n");
  } else {
    tell(fmt::format("cubby shell: {}\n", printable(text)));
  }
}

// --- commands
// -----------------------------------------------------------------------------------------------------------------

Shell::Done Shell::run_line(std::string_view line) {
  std::vector<std::string> words;
  try {
    words = server::split_words(line);
  } catch (const server::SettingError& error) {
    complain(error.what());
    return Done::failed;
  }
  if (words.empty()) return Done::well;
  return run_command(words);
}

Shell::Done Shell::run_command(std::span<const std::string> command) {
  const std::string name = lower_case(command.front());
  if (name == "help" || name == "?") {
    put(help(command.subspan(1), terminal_width()));
    return Done::well;
  }
  if ((name == "exit" || name == "quit") && command.size() == 1) return Done::leave;
  if (name == "clear" && command.size() == 1 && terminal_) {
    put("\x1b[H\x1b[2J");
    return Done::well;
  }
  try {
    const std::optional<RespValue> reply = session_.run(command);
    if (!reply) return Done::well;
    print(*reply, command);
    return reply->is_error() ? Done::failed : Done::well;
  } catch (const LinkLost& error) {
    if (link_.ended()) return Done::leave;
    if (name == "shutdown") return Done::well;  // that the connection ends is the reply
    complain(error.what());
    return Done::failed;
  }
}

int Shell::run_one(std::span<const std::string> command) {
  session_.connect();
  const Done done = run_command(command);
  return follow_messages(done == Done::failed ? kExitNo : kExitOk);
}

int Shell::run_script() {
  session_.connect();
  InputLines lines(signals_);
  int code = kExitOk;
  while (const std::optional<std::string> line = lines.next()) {
    const Done done = run_line(*line);
    if (done == Done::leave) return exit_code(code);
    if (done == Done::failed) code = kExitNo;
    if (std::ferror(stdout) != 0) return kExitOutput;
  }
  return follow_messages(code);
}

int Shell::follow_messages(int code) {
  if (session_.subscribed()) session_.take_messages();  // those that have come with the confirmation
  while (session_.subscribed() && std::ferror(stdout) == 0) session_.wait_for_messages();
  return exit_code(code);
}

// --- the terminal
// -------------------------------------------------------------------------------------------------------------

std::vector<std::string> Shell::find_keys(std::string_view prefix) {
  constexpr int kRounds = 20;
  constexpr std::size_t kMostKeys = 200;
  std::vector<std::string> keys;
  std::string cursor = "0";
  for (int round = 0; round < kRounds && keys.size() < kMostKeys; ++round) {
    const std::array<std::string, 6> scan{"SCAN", cursor, "MATCH", pattern_of_prefix(prefix), "COUNT", "1000"};
    const std::optional<RespValue> reply = session_.ask(scan);
    if (!reply || reply->items.size() != 2) break;
    for (const RespValue& key : reply->items[1].items) keys.push_back(key.text);
    cursor = reply->items[0].text;
    if (cursor == "0") break;
  }
  return keys;
}

int Shell::run_terminal() {
  terminal_ = true;
  try {
    session_.connect();
  } catch (const Interrupted&) {
    return kExitInterrupted;
  } catch (const LinkLost& error) {
    complain(error.what());
  }
  LineEditor editor(signals_, {.complete =
                                   [this](std::string_view line) {
                                     return complete(line, [this](std::string_view prefix) { return find_keys(prefix); });
                                   },
                               .descriptor = [this] { return session_.descriptor(); },
                               .idle =
                                   [this] {
                                     above_.emplace();
                                     session_.take_messages();
                                     std::string text = std::move(*above_);
                                     above_.reset();
                                     return text;
                                   }});
  HistoryFile history;
  for (const std::string& line : history.read()) editor.remember(line);
  put("cubby shell: help lists the commands, TAB completes, Ctrl-D leaves.\n");
  for (;;) {
    std::string line;
    const LineEditor::Outcome outcome = editor.read(session_.prompt(), line);
    if (outcome == LineEditor::Outcome::ended) {
      put("\n");
      return exit_code(kExitOk);
    }
    if (outcome == LineEditor::Outcome::cancelled || line.find_first_not_of(" \t") == std::string::npos) continue;
    editor.remember(line);
    if (!holds_password(line)) history.add(line);
    try {
      if (run_line(line) == Done::leave) return exit_code(kExitOk);
    } catch (const Interrupted&) {
      if (signals_.ending()) return exit_code(kExitOk);
      put("\n");
    } catch (const StoreError& error) {
      complain(error.what());
    } catch (const UsageError& error) {
      complain(error.what());
    }
    if (session_.connected()) continue;
    // The next prompt says where one is; that it can't be reached is said by the next command.
    try {
      session_.connect();
    } catch (const Interrupted&) {
      if (signals_.ending()) return exit_code(kExitOk);
    } catch (const StoreError&) {
    } catch (const UsageError&) {
    }
  }
}

}  // namespace cubby::cli::shell
