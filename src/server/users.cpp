// SPDX-License-Identifier: Apache-2.0
#include "server/users.hpp"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>

#include "server/arguments.hpp"
#include "server/command_table.hpp"

namespace cubby::server {

namespace {

constexpr std::string_view kDefaultUser = "default";

constexpr std::array<std::pair<std::string_view, std::uint32_t>, 15> kAclCategories{{{"keyspace", kKeyspace},
                                                                                     {"read", kRead},
                                                                                     {"write", kWriting},
                                                                                     {"string", kString},
                                                                                     {"list", kList},
                                                                                     {"hash", kHash},
                                                                                     {"json", kJson},
                                                                                     {"pubsub", kPubSubCategory},
                                                                                     {"transaction", kTransaction},
                                                                                     {"connection", kConnection},
                                                                                     {"admin", kAdminCategory},
                                                                                     {"dangerous", kDangerous},
                                                                                     {"blocking", kBlockingCategory},
                                                                                     {"fast", 0},
                                                                                     {"slow", 0}}};

/// Categories of Redis that none of the commands here is in: files that name them can be read.
constexpr std::array<std::string_view, 7> kEmptyCategories{"set", "sortedset", "bitmap",   "hyperloglog",
                                                           "geo", "stream",    "scripting"};

std::string sha256_hex(std::string_view password) {
  // Otherwise OpenSSL would tidy itself up at exit, before encrypted stores are closed there.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(password.data()), password.size(), digest.data());
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

bool is_sha256_hex(std::string_view text) noexcept {
  return text.size() == std::size_t{2} * SHA256_DIGEST_LENGTH &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string acl_lower_case(std::string_view text) {
  std::string lower(text);
  for (char& byte : lower) {
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte + 32);
  }
  return lower;
}

/// Notes a rule such as "+get" behind those there are; an earlier one for the same means nothing any more.
void note_command_rule(std::string& rules, bool allow, const std::string& what) {
  const std::string rule = (allow ? '+' : '-') + what;
  if (what == "@all") {
    rules = rule;
    return;
  }
  std::string kept;
  std::size_t at = 0;
  while (at < rules.size()) {
    const std::size_t end = std::min(rules.find(' ', at), rules.size());
    const std::string_view old = std::string_view(rules).substr(at, end - at);
    if (old.substr(1) != what) kept.append(old).append(" ");
    at = end + 1;
  }
  rules = kept + rule;
}

void apply_command_rule(User& user, bool allow, std::string_view given) {
  const std::string what = acl_lower_case(given);
  if (what.find('|') != std::string::npos) throw SettingError("rules for subcommands there are none");
  std::function<bool(const CommandSpec&)> concerned;
  if (what == "@all") {
    concerned = [](const CommandSpec&) { return true; };
  } else if (what.starts_with('@')) {
    const std::string_view category = std::string_view(what).substr(1);
    const bool known =
        std::ranges::find(kAclCategories, category, &decltype(kAclCategories)::value_type::first) != kAclCategories.end();
    if (!known && std::ranges::find(kEmptyCategories, category) == kEmptyCategories.end()) {
      throw SettingError("there is no category " + what);
    }
    concerned = [category, known](const CommandSpec& spec) { return known && is_in_category(spec, category); };
  } else {
    const CommandSpec* const command = CommandTable::instance().find(what);
    if (command == nullptr) throw SettingError("there is no command " + what);
    concerned = [command](const CommandSpec& spec) { return spec.name == command->name; };
  }
  std::set<const CommandSpec*> commands;
  const auto consider = [&](const CommandSpec& spec) {
    if (concerned(spec) ? allow : user.may_run(spec)) commands.insert(&spec);
  };
  for (const CommandSpec* spec : CommandTable::instance().all()) consider(*spec);
  consider(client_administration());
  consider(store_making());
  user.all_commands = commands.size() == CommandTable::instance().all().size() + 2;
  if (user.all_commands) commands.clear();
  user.commands = std::move(commands);
  note_command_rule(user.command_rules, allow, what);
}

void add_key_pattern(User& user, std::string_view pattern, bool may_write) {
  if (user.all_keys) throw SettingError("a pattern after ~* has no effect");
  if (pattern == "*" && may_write) {
    user.all_keys = true;
    user.key_patterns.clear();
    return;
  }
  for (User::KeyPattern& there : user.key_patterns) {
    if (there.pattern == pattern) {
      there.may_write |= may_write;
      return;
    }
  }
  user.key_patterns.push_back({std::string(pattern), may_write});
}

/// %R~pattern or %RW~pattern.
void apply_permissions(User& user, std::string_view rule) {
  const std::size_t tilde = rule.find('~');
  const std::string permissions = acl_lower_case(rule.substr(1, tilde == std::string_view::npos ? tilde : tilde - 1));
  const bool reads = permissions.find('r') != std::string::npos;
  const bool writes = permissions.find('w') != std::string::npos;
  if (tilde == std::string_view::npos || permissions.empty() || permissions.find_first_not_of("rw") != std::string::npos) {
    throw SettingError("syntax error");
  }
  // A command that writes may reply with what was there, so that one can't be had without the other.
  if (!reads) throw SettingError("%W~ alone there is not: %RW~ allows to write");
  add_key_pattern(user, rule.substr(tilde + 1), writes);
}

void add_channel_pattern(User& user, std::string_view pattern) {
  if (user.all_channels) throw SettingError("a pattern after &* has no effect");
  if (pattern == "*") {
    user.all_channels = true;
    user.channel_patterns.clear();
  } else if (std::ranges::find(user.channel_patterns, pattern) == user.channel_patterns.end()) {
    user.channel_patterns.emplace_back(pattern);
  }
}

void add_password(User& user, std::string hash) {
  if (std::ranges::find(user.password_hashes, hash) == user.password_hashes.end()) {
    user.password_hashes.push_back(std::move(hash));
  }
  user.needs_no_password = false;
}

void remove_password(User& user, const std::string& hash) {
  if (std::erase(user.password_hashes, hash) == 0) throw SettingError("the user has no such password");
}

std::string checked_hash(std::string_view hash) {
  if (!is_sha256_hex(hash)) throw SettingError("a hash has 64 digits, 0 to 9 and a to f");
  return std::string(hash);
}

/// False if it is no such word.
bool apply_word(User& user, const std::string& word) {
  if (word == "on" || word == "off") {
    user.enabled = word == "on";
  } else if (word == "nopass" || word == "resetpass") {
    user.needs_no_password = word == "nopass";
    user.password_hashes.clear();
  } else if (word == "allkeys" || word == "resetkeys") {
    user.all_keys = word == "allkeys";
    user.key_patterns.clear();
  } else if (word == "allchannels" || word == "resetchannels") {
    user.all_channels = word == "allchannels";
    user.channel_patterns.clear();
  } else if (word == "allcommands" || word == "nocommands") {
    apply_command_rule(user, word == "allcommands", "@all");
  } else if (word == "reset") {
    user = User(user.name);
  } else {
    // What ACL LIST of Redis prints, too: nothing is restored here, and there are no selectors.
    return word == "sanitize-payload" || word == "skip-sanitize-payload" || word == "clearselectors";
  }
  return true;
}

}  // namespace

std::span<const std::pair<std::string_view, std::uint32_t>> category_names() { return kAclCategories; }

bool is_in_category(const CommandSpec& command, std::string_view category) {
  if (category == "fast") return command.has(kFast);
  if (category == "slow") return !command.has(kFast);
  const auto* const found = std::ranges::find(kAclCategories, category, &decltype(kAclCategories)::value_type::first);
  return (command.categories & found->second) != 0;
}

bool User::may_use_key(std::string_view key, bool to_write) const {
  return all_keys || std::ranges::any_of(key_patterns, [&](const KeyPattern& allowed) {
           return (allowed.may_write || !to_write) && matches(allowed.pattern, key);
         });
}

bool User::may_use_channel(std::string_view channel, bool is_pattern) const {
  if (all_channels) return true;
  // A pattern may stand for any channel, so only one that was allowed as it is will do.
  return std::ranges::any_of(channel_patterns, [&](const std::string& allowed) {
    return is_pattern ? allowed == channel : matches(allowed, channel);
  });
}

void User::apply(std::string_view rule) {
  if (rule.empty() || apply_word(*this, acl_lower_case(rule))) return;
  const std::string_view rest = rule.substr(1);
  switch (rule.front()) {
    case '>':
      return add_password(*this, sha256_hex(rest));
    case '#':
      return add_password(*this, checked_hash(rest));
    case '<':
      return remove_password(*this, sha256_hex(rest));
    case '!':
      return remove_password(*this, checked_hash(rest));
    case '~':
      return add_key_pattern(*this, rest, true);
    case '%':
      return apply_permissions(*this, rule);
    case '&':
      return add_channel_pattern(*this, rest);
    case '+':
    case '-':
      return apply_command_rule(*this, rule.front() == '+', rest);
    default:
      throw SettingError("there is no such rule");
  }
}

std::string User::key_rules() const {
  if (all_keys) return "~*";
  std::string text;
  for (const KeyPattern& key : key_patterns) {
    if (!text.empty()) text += ' ';
    text.append(key.may_write ? "~" : "%R~").append(key.pattern);
  }
  return text;
}

std::string User::channel_rules() const {
  if (all_channels) return "&*";
  std::string text;
  for (const std::string& channel : channel_patterns) {
    if (!text.empty()) text += ' ';
    text.append("&").append(channel);
  }
  return text;
}

std::string User::rules() const {
  std::string text = enabled ? "on" : "off";
  if (needs_no_password) text += " nopass";
  for (const std::string& hash : password_hashes) text.append(" #").append(hash);
  if (const std::string keys = key_rules(); !keys.empty()) text.append(" ").append(keys);
  const std::string channels = channel_rules();
  text.append(" ").append(channels.empty() ? "resetchannels" : channels);
  return text.append(" ").append(command_rules);
}

Users::Users(const Settings& settings) {
  if (!settings.users.empty()) read(settings.users);
  const bool named = users_.contains(kDefaultUser);
  if (named && !settings.requirepass.empty()) {
    throw SettingError("requirepass: " + settings.users + " says already what the user default needs");
  }
  if (named) {
    put(users_.find(kDefaultUser)->second);
  } else if (settings.users.empty() || !settings.requirepass.empty()) {
    set_default_password(settings.requirepass);
  } else {
    put(std::make_shared<User>(std::string(kDefaultUser)));
  }
}

void Users::read(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in || std::filesystem::is_directory(file)) {
    throw SettingError("users: " + file.string() + " can't be read: " + std::strerror(in ? EISDIR : errno));
  }
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    try {
      read_line(line);
    } catch (const SettingError& error) {
      throw SettingError(file.string() + ":" + std::to_string(number) + ": " + error.what());
    }
  }
}

void Users::read_line(std::string_view line) {
  std::vector<std::string_view> words;
  std::size_t begin = 0;
  while ((begin = line.find_first_not_of(" \t\r", begin)) != std::string_view::npos) {
    const std::size_t end = std::min(line.find_first_of(" \t\r", begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = end;
  }
  if (words.empty() || words.front().starts_with('#')) return;
  if (words.front() != "user" || words.size() < 2) throw SettingError("a line is: user NAME RULE ...");
  const auto user = std::make_shared<User>(std::string(words[1]));
  if (users_.contains(user->name)) throw SettingError("there is a user " + user->name + " already");
  for (const std::string_view rule : std::span(words).subspan(2)) {
    try {
      user->apply(rule);
    } catch (const SettingError& error) {
      // Passwords don't belong into a log.
      const bool secret = rule.starts_with('>') || rule.starts_with('<');
      throw SettingError("'" + std::string(secret ? rule.substr(0, 1) : rule) + "': " + error.what());
    }
  }
  users_.emplace(user->name, user);
}

void Users::put(std::shared_ptr<const User> user) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const User>& there = users_[user->name];
  if (user->name == kDefaultUser) {
    needs_password_.store(!user->enabled || !user->needs_no_password, std::memory_order_relaxed);
  }
  if (there && there != user) former_.push_back(std::move(there));
  there = std::move(user);
}

const User* Users::initial() const {
  const std::lock_guard lock(mutex_);
  const User& user = *users_.find(kDefaultUser)->second;
  return user.enabled && user.needs_no_password ? &user : nullptr;
}

const User* Users::sign_in(std::string_view name, std::string_view password) const {
  const std::string hash = sha256_hex(password);  // of a name that is unknown, too: it takes as long
  const User* const user = find(name);
  if (user == nullptr || !user->enabled) return nullptr;
  bool right = user->needs_no_password;
  for (const std::string& allowed : user->password_hashes) {
    right |= CRYPTO_memcmp(allowed.data(), hash.data(), hash.size()) == 0;
  }
  return right ? user : nullptr;
}

const User* Users::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(name);
  return found == users_.end() ? nullptr : found->second.get();
}

std::vector<const User*> Users::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<const User*> users;
  for (const auto& [name, user] : users_) users.push_back(user.get());
  return users;
}

void Users::set_default_password(std::string_view password) {
  const User* const former = find(kDefaultUser);
  const auto user = former != nullptr ? std::make_shared<User>(*former) : std::make_shared<User>(std::string(kDefaultUser));
  if (former == nullptr) {
    for (const std::string_view rule : {"on", "~*", "&*", "+@all"}) user->apply(rule);
  }
  user->apply(password.empty() ? "nopass" : "resetpass");
  if (!password.empty()) add_password(*user, sha256_hex(password));
  put(user);
}

}  // namespace cubby::server
