// SPDX-License-Identifier: Apache-2.0
#include "server/http_metrics.hpp"

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <utility>
#include <vector>

#include <cubby/version.hpp>

#include "server/client.hpp"
#include "server/command_table.hpp"
#include "server/server.hpp"
#include "server/server_health.hpp"

namespace cubby::server {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class ServerMetrics final : public prometheus::Collectable {
 public:
  explicit ServerMetrics(Server& server) : server_(server) {}

  std::vector<MetricFamily> Collect() const override {
    std::vector<MetricFamily> families;
    collect_server(families);
    collect_stores(families);
    collect_commands(families);
    return families;
  }

 private:
  static MetricFamily& begin(std::vector<MetricFamily>& families, std::string name, std::string help, MetricType type) {
    return families.emplace_back(MetricFamily{"cubby_" + std::move(name), std::move(help), type, {}});
  }
  static void add(MetricFamily& family, double number, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = number;
    family.metric.push_back(std::move(metric));
  }
  template <class Number>
  static void single(std::vector<MetricFamily>& families, std::string name, std::string help, MetricType type, Number number) {
    add(begin(families, std::move(name), std::move(help), type), static_cast<double>(number));
  }

  void collect_server(std::vector<MetricFamily>& families) const {
    constexpr MetricType kGauge = MetricType::Gauge;
    constexpr MetricType kCounter = MetricType::Counter;
    const Figures& figures = server_.figures;
    add(begin(families, "build_info", "1; the label has the version", kGauge), 1, {{"version", CUBBY_VERSION}});
    single(families, "start_time_seconds", "When the server was started, since the epoch", kGauge,
           std::chrono::duration<double>(server_.started.time_since_epoch()).count());
    single(families, "healthy", "1 if each store can be written and saved", kGauge, server_health(server_).empty() ? 1 : 0);

    const auto clients = server_.clients.all();
    single(families, "connected_clients", "Clients that are connected", kGauge, clients.size());
    single(families, "blocked_clients", "Clients that wait in a blocking command", kGauge,
           std::ranges::count_if(clients, [](const auto& client) { return client->blocked(); }));
    single(families, "max_clients", "Clients that may be connected at once", kGauge, server_.settings().maxclients);
    single(families, "connections_total", "Connections that were accepted", kCounter, figures.sum(Figures::connections));
    single(families, "rejected_connections_total", "Connections that were refused because of maxclients", kCounter,
           figures.sum(Figures::rejected_connections));
    single(families, "failed_sign_ins_total", "Wrong names or passwords", kCounter, figures.sum(Figures::auth_failures));
    MetricFamily& cut_off = begin(families, "disconnected_clients_total", "Clients cut off because of a limit", kCounter);
    add(cut_off, static_cast<double>(figures.sum(Figures::output_limit_disconnections)), {{"limit", "output"}});
    add(cut_off, static_cast<double>(figures.sum(Figures::query_limit_disconnections)), {{"limit", "query"}});

    single(families, "received_bytes_total", "Bytes received from clients", kCounter, figures.sum(Figures::bytes_in));
    single(families, "sent_bytes_total", "Bytes sent to clients", kCounter, figures.sum(Figures::bytes_out));
    single(families, "keyspace_hits_total", "Keys that were looked up and there", kCounter, figures.sum(Figures::hits));
    single(families, "keyspace_misses_total", "Keys that were looked up and not there", kCounter, figures.sum(Figures::misses));
    single(families, "error_replies_total", "Replies that were errors", kCounter, figures.sum(Figures::errors));

    single(families, "max_memory_bytes", "Memory above which writes are refused; 0: any", kGauge, server_.maxmemory());
    const Databases::Saves saves = server_.databases.saves();
    single(families, "last_save_time_seconds", "When the stores were last saved or opened, since the epoch", kGauge,
           std::chrono::duration<double>(saves.last.time_since_epoch()).count());
    single(families, "save_running", "1 while SAVE or BGSAVE works", kGauge, saves.running ? 1 : 0);
  }

  void collect_stores(std::vector<MetricFamily>& families) const {
    struct Column {
      const char* name;
      const char* help;
      MetricType type;
      double (*of)(const Stats&);
    };
    static constexpr Column kColumns[] = {
        {"store_keys", "Keys of the store", MetricType::Gauge,
         [](const Stats& stats) { return static_cast<double>(stats.keys); }},
        {"store_memory_bytes", "Memory of its keys and values", MetricType::Gauge,
         [](const Stats& stats) { return static_cast<double>(stats.bytes); }},
        {"store_waiters", "Calls that wait for one of its keys", MetricType::Gauge,
         [](const Stats& stats) { return static_cast<double>(stats.waiters); }},
        {"store_reads_total", "Keys that were read", MetricType::Counter,
         [](const Stats& stats) { return static_cast<double>(stats.reads); }},
        {"store_writes_total", "Calls that changed a key", MetricType::Counter,
         [](const Stats& stats) { return static_cast<double>(stats.writes); }},
        {"store_expired_keys_total", "Keys removed because their time had come", MetricType::Counter,
         [](const Stats& stats) { return static_cast<double>(stats.expired); }},
        {"store_checkpoints_total", "Checkpoints that were made", MetricType::Counter,
         [](const Stats& stats) { return static_cast<double>(stats.saves); }},
        {"store_log_bytes", "Log since the last checkpoint", MetricType::Gauge,
         [](const Stats& stats) { return static_cast<double>(stats.log_bytes); }},
    };
    std::vector<std::pair<std::string, Stats>> stores;
    for (const auto& [name, store] : server_.databases.all()) stores.emplace_back(name, store.stats());
    for (const Column& column : kColumns) {
      MetricFamily& family = begin(families, column.name, column.help, column.type);
      for (const auto& [name, stats] : stores) add(family, column.of(stats), {{"store", name}});
    }
  }

  void collect_commands(std::vector<MetricFamily>& families) const {
    MetricFamily calls{"cubby_commands_total", "Commands that were run", MetricType::Counter, {}};
    MetricFamily seconds{"cubby_command_seconds_total", "Time spent in them", MetricType::Counter, {}};
    MetricFamily failed{"cubby_failed_commands_total", "Those that replied with an error", MetricType::Counter, {}};
    const auto commands = CommandTable::instance().all();
    double all_seconds = 0;
    for (std::size_t index = 0; index < commands.size(); ++index) {
      const Figures::CommandFigures figures = server_.figures.of_command(index);
      if (figures.calls == 0) continue;
      const Labels labels{{"command", std::string(commands[index]->name)}};
      const double time = static_cast<double>(figures.nanoseconds) / 1e9;
      add(calls, static_cast<double>(figures.calls), labels);
      add(seconds, time, labels);
      add(failed, static_cast<double>(figures.failed), labels);
      all_seconds += time;
    }
    families.push_back(std::move(calls));
    families.push_back(std::move(seconds));
    families.push_back(std::move(failed));

    const auto latencies = server_.figures.latencies();
    ClientMetric metric;
    std::uint64_t below = 0;
    double bound = 1e-6;
    for (std::size_t bucket = 0; bucket < latencies.size(); ++bucket) {
      below += latencies[bucket];
      if (bucket + 1 < latencies.size()) metric.histogram.bucket.push_back({below, bound});
      bound *= 2;
    }
    metric.histogram.bucket.push_back({below, std::numeric_limits<double>::infinity()});
    metric.histogram.sample_count = below;
    metric.histogram.sample_sum = all_seconds;
    begin(families, "batch_duration_seconds", "What it took to run commands that came in one piece", MetricType::Histogram)
        .metric.push_back(std::move(metric));
  }

  Server& server_;
};

}  // namespace

std::string metrics_text(Server& server) {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, ServerMetrics(server).Collect());
  return std::move(out).str();
}

}  // namespace cubby::server
