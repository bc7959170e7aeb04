// SPDX-License-Identifier: Apache-2.0
#include "load/server_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace chat::load {

ServerProcess::ServerProcess(const std::string& store, const std::filesystem::path& data) {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cubby_chat";
  std::vector<std::string> arguments{program, "--port=0", "--store=" + store, "--data=" + data.string(), "--inbox=100"};
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int error = ::posix_spawn(&id_, program.c_str(), &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);

  // "http://127.0.0.1:PORT/ on STORE"
  std::string line;
  char c = 0;
  while (error == 0 && ::read(ends[0], &c, 1) == 1 && c != '\n') line += c;
  ::close(ends[0]);
  const std::size_t colon = line.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("the server doesn't start: " + program.string());
  port_ = static_cast<unsigned short>(std::atoi(line.c_str() + colon + 1));
}

ServerProcess::~ServerProcess() {
  ::kill(id_, SIGTERM);
  ::waitpid(id_, nullptr, 0);
}

}  // namespace chat::load
