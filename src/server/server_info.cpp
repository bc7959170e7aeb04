// SPDX-License-Identifier: Apache-2.0
#include "server/server_info.hpp"

#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

#include <cubby/version.hpp>

#include "server/arguments.hpp"
#include "server/client.hpp"
#include "server/command_table.hpp"
#include "server/server.hpp"

namespace cubby::server {

namespace {

class InfoText {
 public:
  void section(std::string_view name) {
    if (!text_.empty()) text_ += "\r\n";
    text_.append("# ").append(name).append("\r\n");
  }
  void field(std::string_view name, std::string_view value) { text_.append(name).append(":").append(value).append("\r\n"); }
  void field(std::string_view name, std::uint64_t number) { field(name, std::to_string(number)); }
  void signed_field(std::string_view name, std::int64_t number) { field(name, std::to_string(number)); }
  void real_field(std::string_view name, double number, int digits) {
    std::array<char, 64> buffer;
    const int size = std::snprintf(buffer.data(), buffer.size(), "%.*f", digits, number);
    field(name, std::string_view(buffer.data(), static_cast<std::size_t>(size)));
  }
  /// The number, and again with a unit.
  void memory(const std::string& name, std::uint64_t bytes) {
    field(name, bytes);
    if (bytes < 1024) return field(name + "_human", std::to_string(bytes) + "B");
    std::array<char, 64> buffer;
    double scaled = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    for (; scaled >= 1024 && unit < 4; ++unit) scaled /= 1024;
    const int size = std::snprintf(buffer.data(), buffer.size(), "%.2f%c", scaled, "KMGTP"[unit]);
    field(name + "_human", std::string_view(buffer.data(), static_cast<std::size_t>(size)));
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::int64_t unix_seconds(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

void info_server(Server& server, InfoText& text) {
  const Settings settings = server.settings();
  const auto now = std::chrono::system_clock::now();
  const auto uptime = static_cast<std::uint64_t>(
      std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::seconds>(now - server.started).count(), 0));
  text.field("redis_version", "7.0.15");  // that its commands are like
  text.field("cubby_version", CUBBY_VERSION);
  text.field("redis_mode", "standalone");
  utsname system{};
  if (::uname(&system) == 0) {
    text.field("os", std::string(system.sysname) + " " + system.release + " " + system.machine);
  }
  text.field("arch_bits", std::uint64_t{sizeof(void*) * 8});
  text.field("multiplexing_api", "epoll");
  text.signed_field("process_id", ::getpid());
  text.field("run_id", server.run_id);
  text.signed_field("tcp_port", settings.port);
  text.signed_field("server_time_usec", std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count());
  text.field("uptime_in_seconds", uptime);
  text.field("uptime_in_days", uptime / 86400);
  std::error_code error;
  const std::filesystem::path executable = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) text.field("executable", executable.string());
}

void info_clients(Server& server, InfoText& text) {
  const std::vector<std::shared_ptr<Client>> clients = server.clients.all();
  text.field("connected_clients", std::uint64_t{clients.size()});
  text.field("maxclients", std::uint64_t{server.settings().maxclients});
  text.field("blocked_clients", static_cast<std::uint64_t>(std::ranges::count_if(
                                    clients, [](const std::shared_ptr<Client>& client) { return client->blocked(); })));
}

std::uint64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

void info_memory(Server& server, InfoText& text) {
  server.refresh_memory();
  const std::uint64_t used = server.used_memory.load(std::memory_order_relaxed);
  const std::uint64_t resident = resident_bytes();
  text.memory("used_memory", used);
  text.memory("used_memory_rss", resident);
  text.memory("total_system_memory",
              static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  text.memory("maxmemory", server.maxmemory());
  text.field("maxmemory_policy", "noeviction");
  if (used != 0) {
    text.real_field("mem_fragmentation_ratio", static_cast<double>(resident) / static_cast<double>(used), 2);
  }
  text.field("mem_allocator", "cubby");
}

void info_persistence(Server& server, InfoText& text) {
  const Databases::Saves saves = server.databases.saves();
  std::uint64_t count = 0;
  std::uint64_t log_bytes = 0;
  bool failing = !saves.last_error.empty();
  for (const auto& [name, store] : server.databases.all()) {
    const Stats stats = store.stats();
    count += stats.saves;
    log_bytes += stats.log_bytes;
    failing |= !stats.last_save_error.empty();
  }
  text.field("loading", "0");
  text.field("async_loading", "0");
  text.field("rdb_bgsave_in_progress", saves.running ? "1" : "0");
  text.signed_field("rdb_last_save_time", unix_seconds(saves.last));
  text.field("rdb_last_bgsave_status", failing ? "err" : "ok");
  text.signed_field("rdb_last_bgsave_time_sec", saves.last_background ? saves.last_background->count() : -1);
  text.signed_field("rdb_current_bgsave_time_sec", saves.current ? saves.current->count() : -1);
  text.field("rdb_saves", count);
  text.field("aof_enabled", server.databases.durable() ? "1" : "0");
  text.field("aof_rewrite_in_progress", "0");
  if (server.databases.durable()) text.field("aof_current_size", log_bytes);
}

void info_stats(Server& server, InfoText& text) {
  const Figures& figures = server.figures;
  std::uint64_t expired = 0;
  for (const auto& [name, store] : server.databases.all()) expired += store.stats().expired;
  text.field("total_connections_received", figures.sum(Figures::connections));
  text.field("total_commands_processed", figures.sum(Figures::commands));
  text.field("total_net_input_bytes", figures.sum(Figures::bytes_in));
  text.field("total_net_output_bytes", figures.sum(Figures::bytes_out));
  text.field("rejected_connections", figures.sum(Figures::rejected_connections));
  text.field("expired_keys", expired);
  text.field("evicted_keys", "0");
  text.field("keyspace_hits", figures.sum(Figures::hits));
  text.field("keyspace_misses", figures.sum(Figures::misses));
  text.field("pubsub_channels", std::uint64_t{server.pubsub.channels(std::nullopt).size()});
  text.field("pubsub_patterns", std::uint64_t{server.pubsub.patterns()});
  text.field("total_error_replies", figures.sum(Figures::errors));
  text.field("acl_access_denied_auth", figures.sum(Figures::auth_failures));
  text.field("client_query_buffer_limit_disconnections", figures.sum(Figures::query_limit_disconnections));
  text.field("client_output_buffer_limit_disconnections", figures.sum(Figures::output_limit_disconnections));
}

void info_replication(Server& server, InfoText& text) {
  text.field("role", "master");
  text.field("connected_slaves", "0");
  text.field("master_failover_state", "no-failover");
  text.field("master_replid", server.run_id);
  text.field("master_repl_offset", "0");
}

void info_cpu(Server& /*server*/, InfoText& text) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  text.real_field("used_cpu_sys", seconds(usage.ru_stime), 6);
  text.real_field("used_cpu_user", seconds(usage.ru_utime), 6);
  ::getrusage(RUSAGE_CHILDREN, &usage);
  text.real_field("used_cpu_sys_children", seconds(usage.ru_stime), 6);
  text.real_field("used_cpu_user_children", seconds(usage.ru_utime), 6);
}

void info_commands(Server& server, InfoText& text) {
  const auto commands = CommandTable::instance().all();
  for (std::size_t index = 0; index < commands.size(); ++index) {
    const Figures::CommandFigures figures = server.figures.of_command(index);
    if (figures.calls == 0) continue;
    std::array<char, 256> buffer;
    // What was refused before it ran is among the failed.
    const int size = std::snprintf(
        buffer.data(), buffer.size(), "calls=%llu,usec=%llu,usec_per_call=%.2f,rejected_calls=0,failed_calls=%llu",
        static_cast<unsigned long long>(figures.calls), static_cast<unsigned long long>(figures.nanoseconds / 1000),
        static_cast<double>(figures.nanoseconds) / 1000 / static_cast<double>(figures.calls),
        static_cast<unsigned long long>(figures.failed));
    text.field("cmdstat_" + std::string(commands[index]->name),
               std::string_view(buffer.data(), static_cast<std::size_t>(size)));
  }
}

void info_cluster(Server& /*server*/, InfoText& text) { text.field("cluster_enabled", "0"); }

void info_keyspace(Server& server, InfoText& text) {
  std::vector<std::pair<std::string, Datastore>> stores = server.databases.all();
  // By number, and those that have none behind them, by name.
  const auto place = [](const auto& store) {
    return Databases::number_of(store.first).value_or(std::numeric_limits<int>::max());
  };
  std::ranges::stable_sort(stores, {}, place);
  for (const auto& [name, store] : stores) {
    const Stats stats = store.stats();
    if (stats.keys != 0) text.field(name, "keys=" + std::to_string(stats.keys));
  }
}

struct InfoSection {
  std::string_view name;
  void (*write)(Server&, InfoText&);
  bool by_default = true;
};
constexpr std::array kInfoSections{
    InfoSection{"Server", info_server},   InfoSection{"Clients", info_clients},
    InfoSection{"Memory", info_memory},   InfoSection{"Persistence", info_persistence},
    InfoSection{"Stats", info_stats},     InfoSection{"Replication", info_replication},
    InfoSection{"CPU", info_cpu},         InfoSection{"Commandstats", info_commands, false},
    InfoSection{"Cluster", info_cluster}, InfoSection{"Keyspace", info_keyspace},
};

}  // namespace

std::string server_info(Server& server, std::span<const std::string_view> sections) {
  const auto asked = [sections](std::string_view name) {
    return std::ranges::any_of(sections, [name](std::string_view given) { return matches(name, given, true); });
  };
  const bool all = asked("all") || asked("everything");
  const bool defaults = sections.empty() || asked("default");
  InfoText text;
  for (const InfoSection& section : kInfoSections) {
    if (!all && !(defaults && section.by_default) && !asked(section.name)) continue;
    text.section(section.name);
    section.write(server, text);
  }
  return text.take();
}

}  // namespace cubby::server
