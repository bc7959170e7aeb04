// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/line_editor.hpp"

#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <cwchar>

#include "cli/exit_codes.hpp"
#include "cli/shell/help.hpp"
#include "cli/shell/history_file.hpp"
#include "cli/shell/printing.hpp"

namespace cubby::cli::shell {

namespace {

/// The key that is pressed when SIGINT comes.
constexpr wchar_t kInterrupt = L'\x03';

}  // namespace

struct LineEditor::State {
  State(Signals& the_signals, Hooks the_hooks) : signals(the_signals), hooks(std::move(the_hooks)) {}
  ~State() {
    if (editor != nullptr) el_end(editor);
    if (past != nullptr) history_end(past);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  static State& of(EditLine* editor) {
    void* data = nullptr;
    el_get(editor, EL_CLIENTDATA, &data);
    return *static_cast<State*>(data);
  }
  static char* prompt_of(EditLine* editor) { return of(editor).prompt.data(); }
  static int read_character(EditLine* editor, wchar_t* character) { return of(editor).next(character); }
  static unsigned char complete_word(EditLine* editor, int /*key*/) { return of(editor).complete(); }
  static unsigned char cancel_line(EditLine* editor, int /*key*/) {
    of(editor).cancelled = true;
    el_cursor(editor, 1 << 20);
    el_set(editor, EL_REFRESH);
    return CC_NEWLINE;
  }

  int next(wchar_t* character);
  enum class Waited : std::uint8_t { key, interrupt, end };
  Waited wait();
  unsigned char complete();

  Signals& signals;
  const Hooks hooks;
  EditLine* editor = nullptr;
  History* past = nullptr;
  std::string prompt;
  bool cancelled = false;
};

/// Until a key has been pressed or a signal has come.
LineEditor::State::Waited LineEditor::State::wait() {
  for (;;) {
    std::array<pollfd, 3> descriptors{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{signals.descriptor(), POLLIN, 0},
                                      pollfd{hooks.descriptor(), POLLIN, 0}};
    if (::poll(descriptors.data(), descriptors.size(), -1) < 0 && errno != EINTR) return Waited::end;
    if (signals.ending()) return Waited::end;
    if (signals.take_interrupt()) return Waited::interrupt;
    if (descriptors[2].revents != 0) {
      const std::string text = hooks.idle();
      if (!text.empty()) {
        std::fputs(("\r\x1b[K" + text).c_str(), stdout);
        std::fflush(stdout);
        el_set(editor, EL_REFRESH);
      }
    }
    if (descriptors[0].revents != 0) return Waited::key;
  }
}

int LineEditor::State::next(wchar_t* character) {
  std::mbstate_t part{};
  for (;;) {
    const Waited what = wait();
    if (what == Waited::end) return 0;
    if (what == Waited::interrupt) {
      *character = kInterrupt;
      return 1;
    }
    char byte = 0;
    const ssize_t count = ::read(STDIN_FILENO, &byte, 1);
    if (count == 0) return 0;
    if (count < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return -1;
    }
    const std::size_t used = std::mbrtowc(character, &byte, 1, &part);
    if (used == static_cast<std::size_t>(-2)) continue;
    if (used == static_cast<std::size_t>(-1)) {
      part = {};
      continue;
    }
    return 1;
  }
}

unsigned char LineEditor::State::complete() {
  const LineInfo* info = el_line(editor);
  const std::string line(info->buffer, info->cursor);
  const Completion found = hooks.complete(line);
  const std::string typed = line.substr(found.begin);
  std::string insert = common_prefix(found.words);
  if (found.words.size() == 1) insert += ' ';
  if (insert.size() > typed.size() || (insert.size() == typed.size() && insert != typed)) {
    // Its case or quotes may change too.
    const std::size_t characters = std::mbstowcs(nullptr, typed.c_str(), 0);
    if (characters != static_cast<std::size_t>(-1) && characters != 0) el_deletestr(editor, static_cast<int>(characters));
    el_insertstr(editor, insert.c_str());
    return CC_REFRESH;
  }
  if (found.words.empty() && found.hint.empty()) return CC_REFRESH_BEEP;
  std::string text = "\n";
  if (!found.words.empty()) text += in_columns(found.words, terminal_width());
  if (!found.hint.empty()) text += found.hint + "\n";
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  return CC_REDISPLAY;
}

LineEditor::LineEditor(Signals& signals, Hooks hooks) : state_(std::make_unique<State>(signals, std::move(hooks))) {
  // Keys are in UTF-8 whatever the locale says.
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");

  State& state = *state_;
  state.past = history_init();
  state.editor = el_init("cubby", stdin, stdout, stderr);
  if (state.past == nullptr || state.editor == nullptr) throw StoreError("this terminal can't be used");
  HistEvent event;
  history(state.past, &event, H_SETSIZE, static_cast<int>(HistoryFile::kMost));
  history(state.past, &event, H_SETUNIQUE, 1);

  EditLine* const editor = state.editor;
  el_set(editor, EL_CLIENTDATA, static_cast<void*>(&state));
  el_set(editor, EL_EDITOR, "emacs");
  el_set(editor, EL_PROMPT, &State::prompt_of);
  el_set(editor, EL_GETCFN, &State::read_character);
  el_set(editor, EL_HIST, &history, state.past);
  el_set(editor, EL_SIGNAL, 0);
  el_set(editor, EL_ADDFN, "cubby-complete", "Completes the word before the cursor", &State::complete_word);
  el_set(editor, EL_ADDFN, "cubby-cancel", "Cancels the line", &State::cancel_line);
  static constexpr std::array<std::array<const char*, 2>, 10> kKeys{{{"^I", "cubby-complete"},
                                                                     {"^C", "cubby-cancel"},
                                                                     {"^R", "em-inc-search-prev"},
                                                                     {"^W", "ed-delete-prev-word"},
                                                                     {"\\e[3~", "ed-delete-next-char"},
                                                                     {"\\e[1~", "ed-move-to-beg"},
                                                                     {"\\e[4~", "ed-move-to-end"},
                                                                     {"\\e[1;5C", "em-next-word"},
                                                                     {"\\e[1;5D", "ed-prev-word"},
                                                                     {"\\e[Z", "cubby-complete"}}};
  for (const auto& [key, function] : kKeys) el_set(editor, EL_BIND, key, function, nullptr);
  el_source(editor, nullptr);  // ~/.editrc
}

LineEditor::~LineEditor() = default;

LineEditor::Outcome LineEditor::read(const std::string& prompt, std::string& line) {
  State& state = *state_;
  state.prompt = prompt;
  state.cancelled = false;
  el_resize(state.editor);
  el_set(state.editor, EL_PREP_TERM, 1);  // before the prompt: who sees it may type
  int count = 0;
  const char* text = el_gets(state.editor, &count);
  if (state.cancelled) {
    std::fputs("^C\n", stdout);
    std::fflush(stdout);
    return Outcome::cancelled;
  }
  if (text == nullptr || count <= 0) return Outcome::ended;
  line = text;
  while (line.ends_with('\n') || line.ends_with('\r')) line.pop_back();
  return Outcome::line;
}

void LineEditor::remember(const std::string& line) {
  HistEvent event;
  history(state_->past, &event, H_ENTER, line.c_str());
}

}  // namespace cubby::cli::shell
