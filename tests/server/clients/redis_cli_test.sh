#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: redis_cli_test.sh CUBBY. redis-cli and redis-benchmark as clients.
set -euo pipefail

cubby=$1
for program in redis-cli redis-benchmark; do
  command -v $program > /dev/null || { echo "skipped: there is no $program (redis-tools)"; exit 77; }
done

folder=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || kill -9 "$server" 2> /dev/null || true
  rm -rf "$folder"
}
trap end EXIT

# The port is found by trying, as nothing else says which one is free.
for port in $(shuf -i 20000-32000 -n 20); do
  mkfifo "$folder/out"
  "$cubby" serve --port "$port" --bind 127.0.0.1 --http-port 0 --unixsocket "$folder/socket" > "$folder/out" 2> "$folder/log" &
  server=$!
  if grep -q ' serves on ' < "$folder/out"; then break; fi
  wait $server || true
  server=
  rm "$folder/out"
done
[ -n "$server" ] || { cat "$folder/log"; exit 1; }

cli() { redis-cli -p "$port" "$@"; }

# same <what> <expected> <got>
same() {
  [ "$2" = "$3" ] || { printf '%s: expected\n%s\n  got\n%s\n' "$1" "$2" "$3"; exit 1; }
  echo "  $1"
}

same ping PONG "$(cli ping)"
same set OK "$(cli set greeting 'hello world')"
same get 'hello world' "$(cli get greeting)"
same "a value from standard input" OK "$(head -c 3000000 /dev/zero | tr '\0' z | cli -x set large)"
same strlen 3000000 "$(cli strlen large)"
same "the Unix socket" 'hello world' "$(redis-cli -s "$folder/socket" get greeting)"
same "several commands" $'OK\n2\n1\nb' "$(printf 'set a 1\nincr a\nrpush l b\nlpop l\n' | cli)"
same "a transaction" $'OK\nQUEUED\nQUEUED\nOK\n2' "$(printf 'multi\nset n 1\nincr n\nexec\n' | cli)"
same "an error's status" 1 "$(cli -e lpush greeting x > /dev/null 2>&1; echo $?)"
same "an error" $'WRONGTYPE Operation against a key holding the wrong kind of value\n' "$(cli lpush greeting x)"$'\n'
same "another database" $'OK' "$(cli -n 3 set only here)"
same "and not in the first" '' "$(cli get only)"
same csv '"one","two"' "$(cli rpush csv one two > /dev/null; cli --csv lrange csv 0 -1)"
same "RESP3" '1# "f" => "v"' "$(cli hset h f v > /dev/null; cli -3 --no-raw hgetall h)"
same "repetition" $'1\n2\n3' "$(cli -r 3 incr repeated)"

awk 'BEGIN { for (n = 1; n <= 20000; n++) printf "SET pipe:%d %d\r\n", n, n }' | cli --pipe > "$folder/pipe"
same "mass insertion" 'errors: 0, replies: 20000' "$(tail -n 1 "$folder/pipe")"
same "a scan" 20000 "$(cli --scan --pattern 'pipe:*' | sort -u | wc -l)"
cli --bigkeys > "$folder/bigkeys"
same "big keys" 1 "$(grep -c 'Biggest string found .*large.* has 3000000 bytes' "$folder/bigkeys")"
cli --memkeys > "$folder/memkeys"
same "memory of keys" 1 "$(grep -c 'Biggest string found .*large.* has 3[0-9]* bytes' "$folder/memkeys")"
same "info" "redis_version:7.0.15" "$(cli info server | tr -d '\r' | grep redis_version)"

mkfifo "$folder/messages"
timeout 60 redis-cli -p "$port" subscribe news > "$folder/messages" &
subscriber=$!
exec 3< "$folder/messages"
for _ in 1 2 3; do read -r -u 3 line; done
same "subscribing" 1 "$line"
same "publishing" 1 "$(cli publish news hello)"
for _ in 1 2 3; do read -r -u 3 line; done
same "a message" hello "$line"
kill $subscriber
wait $subscriber 2> /dev/null || true
exec 3<&-

redis-cli -p "$port" blpop queue 60 > "$folder/popped" &
waiting=$!
until [ "$(cli info clients | tr -d '\r' | grep blocked_clients)" = blocked_clients:1 ]; do :; done
same "waking one that waits" 1 "$(cli rpush queue job)"
wait $waiting
same "what it got" $'queue\njob' "$(cat "$folder/popped")"

benchmark() {
  local tests=$1
  shift
  redis-benchmark -p "$port" -q -t "$tests" "$@" > "$folder/benchmark" 2>&1 || { cat "$folder/benchmark"; exit 1; }
  local count
  count=$(tr '\r' '\n' < "$folder/benchmark" | grep -c 'requests per second, p50=' || true)
  [ "$count" -ge "$(tr ',' '\n' <<< "$tests" | wc -l)" ] || { cat "$folder/benchmark"; exit 1; }
  ! grep -qi error "$folder/benchmark" || { cat "$folder/benchmark"; exit 1; }
  echo "  redis-benchmark $* -t $tests"
}
benchmark ping,set,get,incr,lpush,rpush,lpop,rpop,hset,mset -n 2000 -c 20
benchmark set,get,incr,lpush,lpop,hset -n 10000 -c 50 -P 32 -r 10000 -d 200
benchmark lrange_100,lrange_300 -n 500 -c 20
benchmark set,get -n 10000 -c 20 -P 8 --threads 2 -3

kill "$server"
wait "$server" || { echo "it ends with $?"; exit 1; }
server=
echo "  its end"
