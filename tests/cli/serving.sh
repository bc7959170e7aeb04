# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Servers for the test scripts, which end with the script. Sourced instead of support.sh, which it sources.
source "${BASH_SOURCE%/*}/support.sh"

servers=()
stop_servers() {
  ((${#servers[@]} == 0)) || kill "${servers[@]}" 2>/dev/null
  wait
}
trap 'stop_servers; rm -rf "$folder"' EXIT

# serve NAME ARGUMENT...: starts a server on the Unix socket NAME, and waits until it is there.
serve() {
  local name=$1
  shift
  "$cubby" serve --port 0 --http-port 0 --unixsocket "$folder/$name" --loglevel warning "$@" >"$name.out" 2>"$name.err" &
  servers+=($!)
  for ((try = 0; try < 6000; ++try)); do
    grep -q ' serves on ' "$name.out" && return
    kill -0 $! 2>/dev/null || break
    sleep 0.01
  done
  fail "no server: $(cat "$name.err")"
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
