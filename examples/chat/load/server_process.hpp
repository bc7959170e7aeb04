// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>
#include <filesystem>
#include <string>

namespace chat::load {

/// A cubby_chat that listens on a free port, until this goes. Lies beside this program.
class ServerProcess {
 public:
  ServerProcess(const std::string& store, const std::filesystem::path& data);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  unsigned short port() const { return port_; }
  pid_t id() const { return id_; }

 private:
  pid_t id_ = 0;
  unsigned short port_ = 0;
};

}  // namespace chat::load
