// SPDX-License-Identifier: Apache-2.0
#include "cli/shell/store_link.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "cli/shell_store.hpp"
#include "server/client.hpp"
#include "server/command_table.hpp"
#include "server/dispatch.hpp"
#include "server/server.hpp"
#include "storage/folder_tools.hpp"

namespace cubby::cli::shell {

namespace fs = std::filesystem;

/// A client of the server inside this process.
class StoreLink::LocalClient final : public server::Client {
 public:
  explicit LocalClient(server::Server& server)
      : Client(server, server.clients.next_id()), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (event_ < 0) throw StoreError("no eventfd can be had");
  }
  ~LocalClient() override {
    leave();
    ::close(event_);
  }

  void run(std::span<const std::string_view> command) { server::execute(*this, command, output_); }

  /// Readable when take() may have something.
  int descriptor() const noexcept { return event_; }
  std::string take() {
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(event_, &count));
    std::vector<std::function<void()>> posted;
    std::string messages;
    {
      const std::lock_guard lock(mutex_);
      posted.swap(posted_);
      messages.swap(messages_);
    }
    for (const auto& f : posted) f();
    std::string bytes(output_.view());
    output_.clear();
    return bytes + messages;
  }
  bool gone() const { return closing || killed_; }

  void deliver(std::shared_ptr<const std::string> message) override {
    const std::lock_guard lock(mutex_);
    messages_ += *message;
    ::eventfd_write(event_, 1);
  }
  void kill() override {
    killed_ = true;
    ::eventfd_write(event_, 1);
  }
  void post(std::function<void()> f) override {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(f));
    ::eventfd_write(event_, 1);
  }
  /// Before it is given up, as others may hold it for a moment longer.
  void disconnect() { leave(); }

 private:
  void awake(server::ByteBuffer reply) override { output_.append(reply.view()); }
  void complete(server::ClientFacts& facts) const override { facts.address = facts.local_address = "shell"; }

  const int event_;
  server::ByteBuffer output_;
  std::atomic<bool> killed_{false};
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  std::string messages_;
};

/// The stores, and the server that works on them.
class StoreLink::Stores {
 public:
  Stores(const Invocation& in, bool read_only) : in_(in), read_only_(read_only) {
    std::map<std::string, Datastore> given;
    if (!in.file.empty() || detail::holds_store(detail::real_file_system(), in.dir)) {
      using Access = ShellStore::Access;
      const Access access = read_only ? Access::read : in.file.empty() ? Access::change : Access::create;
      one_ = std::make_unique<ShellStore>(in, access, true);
      given.emplace("db0", one_->store());
    } else {
      if (!holds_stores()) {
        throw StoreError(fmt::format(
            "no store in {}: check --dir, or make one, for instance with cubby set --dir, or cubby serve --dir", in.dir));
      }
      if (read_only) given = open_to_read();
    }
    server::Settings settings;
    if (given.empty()) {
      settings.dir = in.dir;
      settings.encryption_key_file = in.key_file;
      server_ = std::make_unique<server::Server>(settings);
    } else {
      server_ = std::make_unique<server::Server>(settings, std::move(given));
    }
    server_->on_shutdown = [this](bool) { ended_ = true; };
  }
  ~Stores() {
    server_.reset();
    for (const std::string& name : opened_) {
      try {
        cubby::close(name);
      } catch (const Error&) {
        // It was only read.
      }
    }
  }

  server::Server& server() { return *server_; }
  bool ended() const { return ended_; }

  void note(const std::string& command) {
    const server::CommandSpec* spec = server::CommandTable::instance().find(command);
    changed_ |= spec != nullptr && spec->has(server::kWrite);
  }

  void finish() {
    if (one_ == nullptr) {
      server_->databases.close();
      return;
    }
    server_.reset();
    if (!read_only_ && (changed_ || in_.file.empty())) one_->save();
    one_.reset();
  }

 private:
  bool holds_stores() const {
    return detail::holds_store(detail::real_file_system(), fs::path(in_.dir) / server::Databases::name_of(0));
  }

  std::map<std::string, Datastore> open_to_read() {
    std::map<std::string, Datastore> given;
    Options options;
    options.read_only = true;
    options.max_value_bytes = 0;
    options.encryption_key = key_of(in_);
    for (const fs::directory_entry& entry : fs::directory_iterator(in_.dir)) {
      const std::string name = entry.path().filename().string();
      if (!detail::holds_store(detail::real_file_system(), entry.path()) || server::Databases::is_left_by_repair(name))
        continue;
      options.directory = entry.path();
      try {
        const Datastore store = cubby::open("shell/" + name, options);
        opened_.push_back("shell/" + name);
        given.emplace(name, store);
      } catch (const Error& error) {
        throw server::FolderError(error, entry.path(), error.what());
      }
    }
    return given;
  }

  const Invocation& in_;
  const bool read_only_;
  bool changed_ = false;
  std::atomic<bool> ended_{false};
  std::unique_ptr<ShellStore> one_;
  std::vector<std::string> opened_;
  std::unique_ptr<server::Server> server_;
};

namespace {

[[noreturn]] void fail_to_open(const Error& error, const Invocation& in) {
  std::string text = in_words(error, in);
  if (error.code() == Errc::locked) text += ". Connect to the server that has it open, or add --read-only";
  throw StoreError(text);
}

}  // namespace

StoreLink::StoreLink(const Invocation& in, bool read_only) : in_(in), read_only_(read_only) {}

StoreLink::~StoreLink() { close(); }

std::string StoreLink::name() const { return in_.store(); }

void StoreLink::open() {
  close();
  try {
    if (stores_ == nullptr) stores_ = std::make_unique<Stores>(in_, read_only_);
  } catch (const server::SettingError& error) {
    throw UsageError(error.what());
  } catch (const server::FolderError& error) {
    Invocation one = in_;
    one.dir = error.folder().string();
    fail_to_open(error.cause(), one);
  } catch (const Error& error) {
    fail_to_open(error, in_);
  }
  client_ = std::make_shared<LocalClient>(stores_->server());
  stores_->server().clients.add(client_);
  client_->publish_facts();
}

void StoreLink::send(std::span<const std::string> command) {
  stores_->note(command.front());
  const std::vector<std::string_view> words(command.begin(), command.end());
  client_->run(words);
  client_->publish_facts();
}

int StoreLink::descriptor() const { return client_ == nullptr ? -1 : client_->descriptor(); }

std::optional<RespValue> StoreLink::take() {
  reader_.feed(client_->take());
  if (std::optional<RespValue> value = reader_.next()) return value;
  if (client_->gone() || stores_->ended()) throw LinkLost(fmt::format("{} is closed", name()));
  return std::nullopt;
}

bool StoreLink::ended() const { return stores_ != nullptr && stores_->ended(); }

void StoreLink::close() {
  if (client_ != nullptr) client_->disconnect();
  client_.reset();
  reader_.clear();
}

void StoreLink::finish() {
  close();
  if (stores_ != nullptr) {
    try {
      stores_->finish();
    } catch (const Error& error) {
      throw StoreError(in_words(error, in_));
    }
    stores_.reset();
  }
}

}  // namespace cubby::cli::shell
