// SPDX-License-Identifier: Apache-2.0
#include "cli/demo/replaced_store.hpp"

#include <stdexcept>
#include <utility>

namespace cubby::cli {

const ReplacedStore::Entry* ReplacedStore::find(const std::string& key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() || found->second.expired() ? nullptr : &found->second;
}

ReplacedStore::Entry* ReplacedStore::find(const std::string& key) { return const_cast<Entry*>(std::as_const(*this).find(key)); }

void ReplacedStore::set(const std::string& key, Tree value, std::chrono::nanoseconds ttl) {
  const std::unique_lock lock(mutex_);
  entries_[key] = {std::move(value), {}, Clock::now() + ttl};
}

std::optional<Tree> ReplacedStore::get(const std::string& key) const {
  return with_read_lock([&]() -> std::optional<Tree> {
    const Entry* entry = find(key);
    if (entry == nullptr) return std::nullopt;
    return entry->value;
  });
}

bool ReplacedStore::expire(const std::string& key, std::chrono::nanoseconds ttl) {
  const std::unique_lock lock(mutex_);
  Entry* entry = find(key);
  if (entry == nullptr) return false;
  entry->deadline = Clock::now() + ttl;
  return true;
}

bool ReplacedStore::update(const std::string& key, const Tree::Object& patch) {
  const std::unique_lock lock(mutex_);
  Entry* entry = find(key);
  auto* object = entry == nullptr ? nullptr : std::get_if<Tree::Object>(&entry->value.node);
  if (object == nullptr) return false;
  for (const auto& [name, member] : patch) object->insert_or_assign(name, member);
  return true;
}

std::int64_t ReplacedStore::increment(const std::string& key, std::int64_t delta) {
  const std::unique_lock lock(mutex_);
  Tree& value = entries_[key].value;
  if (std::holds_alternative<std::monostate>(value.node)) value.node = std::int64_t{0};
  return std::get<std::int64_t>(value.node) += delta;
}

void ReplacedStore::push(const std::string& key, const Tree& item) {
  const std::unique_lock lock(mutex_);
  entries_[key].queue.push_back(item);
  if (const auto waiters = waiters_.find(key); waiters != waiters_.end()) waiters->second.notify_all();
}

std::optional<Tree> ReplacedStore::shift_wait(const std::string& key, std::chrono::nanoseconds timeout, std::stop_token stop) {
  const auto deadline = Clock::now() + timeout;
  std::unique_lock lock(mutex_);
  const auto filled = [&] {
    const Entry* entry = find(key);
    return entry != nullptr && !entry->queue.empty();
  };
  if (!filled() && !waiters_[key].wait_until(lock, stop, deadline, filled)) return std::nullopt;
  std::deque<Tree>& queue = find(key)->queue;
  std::optional<Tree> item(std::move(queue.front()));
  queue.pop_front();
  return item;
}

std::vector<Tree> ReplacedStore::elements(const std::string& key) const {
  return with_read_lock([&]() -> std::vector<Tree> {
    const Entry* entry = find(key);
    if (entry == nullptr) return {};
    return {entry->queue.begin(), entry->queue.end()};
  });
}

namespace {

Tree tree_of(const cubby::Value& value) {
  switch (value.type()) {
    case Type::null:
      return {};
    case Type::boolean:
      return {value.as_bool()};
    case Type::integer:
      return {value.as_int()};
    case Type::real:
      return {value.as_double()};
    case Type::string:
      return {std::string(value.as_string())};
    case Type::binary: {
      const auto bytes = value.as_binary();
      return {std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
    }
    case Type::array: {
      Tree::Array array;
      for (const cubby::Value& element : value.elements()) array.push_back(tree_of(element));
      return {std::move(array)};
    }
    case Type::object: {
      Tree::Object object;
      for (const auto& [name, member] : value.members()) object.emplace(name, tree_of(member));
      return {std::move(object)};
    }
  }
  return {};
}

std::int64_t integer_member(const Tree& tree, const std::string& name) {
  const auto& object = std::get<Tree::Object>(tree.node);
  const auto member = object.find(name);
  return member == object.end() ? 0 : std::get<std::int64_t>(member->second.node);
}

Message message_of(const Tree& tree) {
  return {static_cast<std::uint32_t>(integer_member(tree, "from")),
          static_cast<std::uint64_t>(integer_member(tree, "number")),
          integer_member(tree, "sent_at"),
          {}};
}

class ReplacedCache final : public SessionCache {
 public:
  explicit ReplacedCache(ReplacedLock reads) : store_(reads) {}

  void add(const Session& session) override { store_.set(session.key, tree_of(session.fields), kSessionTtl); }

  std::int64_t read(const std::string& key) override {
    const std::optional<Tree> session = store_.get(key);
    if (!session) throw std::runtime_error("the replaced design lost " + key);
    return integer_member(*session, "seen");
  }
  std::int64_t look(const std::string& key) override { return read(key); }  // it has no other way

  void touch(const std::string& key) override {
    if (!store_.expire(key, kSessionTtl)) throw std::runtime_error("the replaced design lost " + key);
  }

  void update(const std::string& key, std::int64_t seen, std::string_view status) override {
    Tree::Object patch;
    patch.emplace("seen", Tree{seen});
    patch.emplace("status", Tree{std::string(status)});
    if (!store_.update(key, patch)) throw std::runtime_error("the replaced design lost " + key);
  }

  void count(const std::string& key) override { store_.increment(key, 1); }

  void push(const std::string& inbox, const Message& message) override {
    Tree::Object item;
    item.emplace("from", Tree{std::int64_t{message.from}});
    item.emplace("number", Tree{static_cast<std::int64_t>(message.number)});
    item.emplace("text", Tree{std::string(message.text)});
    if (message.sent_at != 0) item.emplace("sent_at", Tree{message.sent_at});
    store_.push(inbox, Tree{std::move(item)});
  }

  std::optional<Message> shift_wait(const std::string& inbox, std::chrono::nanoseconds timeout, std::stop_token stop) override {
    const std::optional<Tree> item = store_.shift_wait(inbox, timeout, std::move(stop));
    if (!item) return std::nullopt;
    return message_of(*item);
  }

  std::int64_t counter(const std::string& key) override {
    const std::optional<Tree> value = store_.get(key);
    return value ? std::get<std::int64_t>(value->node) : 0;
  }

  std::vector<Message> rest(const std::string& inbox) override {
    std::vector<Message> messages;
    for (const Tree& item : store_.elements(inbox)) messages.push_back(message_of(item));
    return messages;
  }

 private:
  ReplacedStore store_;
};

}  // namespace

std::unique_ptr<SessionCache> make_replaced_cache(ReplacedLock reads) { return std::make_unique<ReplacedCache>(reads); }

}  // namespace cubby::cli
