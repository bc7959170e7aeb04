#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `cubby shell` without a terminal: single commands and scripts, to a server, and to stores without one.
source "$(dirname "$0")/serving.sh"
export XDG_STATE_HOME=$folder/state
unset CUBBY_PASSWORD

# on SOCKET CODE OUTPUT ARGUMENT...: as expect, of a command there.
on() {
  local name=$1 code=$2 output=$3
  shift 3
  expect "$code" "$output" shell --unixsocket "$folder/$name" "$@"
}

# The command line.
"$cubby" shell --help | grep -q 'Examples:' || fail "shell --help has no examples"
"$cubby" shell --help | tr -s ' \n' ' ' | grep -qF "or a name (default: 0); it is made if it isn't there" ||
  fail "shell --help: that -n makes a store"
refuse 2 'there is no option --prot' shell --prot 1
refuse 2 '--read-only goes with --dir or --file' shell --read-only get a
refuse 2 '--user goes with a server' shell --user ann --file s.json get a
refuse 2 'leave one out' shell --dir d --file s.json get a
refuse 2 'leave one out' shell --raw --no-raw get a
refuse 2 "--password-file none can't be read" shell --password-file none get a
for port in abc 0 65536 7379x ''; do
  refuse 2 "--port $port: a port is a number from 1 to 65535" shell --port "$port" get a
done
refuse 3 '/none: No such file or directory; no server is there: start cubby serve --unixsocket' shell --unixsocket "$folder/none" get a
port=$(free_port)
refuse 3 "no connection to 127.0.0.1:$port: Connection refused; start cubby serve, or name --port, or --dir" shell --port "$port" ping
[[ ! -e state ]] || fail "a command left a history"

# Replies for programs.
serve plain --dir data
on plain 0 PONG ping
on plain 0 OK set greeting 'hello  world'
on plain 0 'hello  world' get greeting
[[ $("$cubby" shell --unixsocket "$folder/plain" get absent | od -An -c | tr -d ' ') == '\n' ]] || fail "a nil"
on plain 0 2 rpush jobs one -2
on plain 0 $'one\n-2' lrange jobs 0 -1
on plain 0 OK set list '[a,b]'
on plain 0 '[a,b]' get list
on plain 0 OK json.set user '$' '{"name": "Ada", "tags": [1, 2.50, "x"], "more": {"a": null, "b": true}}'
on plain 0 '{"more":{"a":null,"b":true},"name":"Ada","tags":[1,2.5,"x"]}' json.get user
refuse 1 'cubby shell: WRONGTYPE' shell --unixsocket "$folder/plain" lpush greeting x
refuse 1 "cubby shell: ERR unknown command 'zadd'" shell --unixsocket "$folder/plain" zadd k 1 a

# Replies for people.
on plain 0 '"hello  world"' --no-raw get greeting
on plain 0 '(nil)' --no-raw get absent
on plain 0 '(integer) 2' --no-raw llen jobs
on plain 0 $'1) "one"\n2) "-2"' --no-raw lrange jobs 0 -1
on plain 0 '(empty array)' --no-raw lrange absent 0 -1
on plain 0 OK set binary $'a\n"b"\\\xff\tü'
on plain 0 '"a\n\"b\"\\\xff\tü"' --no-raw get binary
on plain 0 '{"more": {"a": null, "b": true}, "name": "Ada", "tags": [1, 2.5, "x"]}' --no-raw json.get user
on plain 0 $'1# "more" => {"a": null, "b": true}\n2# "name" => "Ada"\n3# "tags" => [1, 2.5, "x"]' --no-raw hgetall user
long=$(printf '"%s",' {1..30}0000)
on plain 0 OK json.set long '$' "[${long%,}]"
[[ $("$cubby" shell --unixsocket "$folder/plain" --no-raw json.get long | head -n 2) == $'[\n  "10000",' ]] ||
  fail "a long value isn't in lines"
"$cubby" shell --unixsocket "$folder/plain" --no-raw info server | grep -q '^redis_version:' || fail "INFO isn't text"
[[ $("$cubby" shell --unixsocket "$folder/plain" --no-raw get greeting) != *$'\e'* ]] || fail "colours without a terminal"

# Help, from the command table.
expect 0 $'INCRBY key increment\n  Adds to an integer; an absent key counts as 0\n  group: @string' shell \
  --unixsocket "$folder/plain" help incrby
"$cubby" shell --unixsocket "$folder/plain" help config | grep -q '^    CONFIG RESETSTAT$' || fail "help has no subcommands"
"$cubby" shell --unixsocket "$folder/plain" help @list | grep -q '^LPUSH key' || fail "help has no groups"
"$cubby" shell --unixsocket "$folder/plain" help | grep -q '^@hash$' || fail "help doesn't list groups"

# Scripts: quotes, comments of nothing, errors that don't stop it, transactions, other stores.
script() { "$cubby" shell --unixsocket "$folder/plain" "$@" 2>stderr; }
got=$(printf 'set "a b" "x\\ny"\n\nget "a b"\nincr greeting\nget greeting' | script; echo "[$?]")
[[ $got == $'OK\nx\ny\nhello  world\n[1]' ]] || fail "a script: $got"
grep -q '^cubby shell: ERR value is not an integer or out of range$' stderr || fail "a script: $(cat stderr)"
got=$(printf 'get "a\nping\n' | script; echo "[$?]")
[[ $got == $'PONG\n[1]' ]] || fail "quotes that don't close: $got"
got=$(printf 'multi\nset t 1\nincr t\nexec\n' | script)
[[ $got == $'OK\nQUEUED\nQUEUED\nOK\n2' ]] || fail "a transaction: $got"
got=$(printf 'select 3\nset there 3\ncubby.use orders\nset there orders\nselect 0\nexists there\n' | script)
[[ $got == $'OK\nOK\nOK\nOK\nOK\n0' ]] || fail "other stores: $got"
on plain 0 3 -n 3 get there
on plain 0 orders --store orders get there
refuse 2 'store 99: ERR DB index is out of range' shell --unixsocket "$folder/plain" -n 99 get there
got=$(printf 'ping\nexit\nping\n' | script)
[[ $got == PONG ]] || fail "exit: $got"
got=$(printf 'client reply skip\nset skipped 1\nget skipped\n' | script)
[[ $got == 1 ]] || fail "CLIENT REPLY SKIP: $got"
got=$(printf 'hello 2\nset u 1\nlrange jobs 0 0\nsubscribe a b\nunsubscribe\nping\n' | script | tail -n 15 | tr '\n' ' ')
[[ $got == 'OK one subscribe a 1 subscribe b 2 unsubscribe a 1 unsubscribe b 0 PONG ' ]] || fail "RESP2: $got"

# A subscription goes on until it is interrupted.
"$cubby" shell --unixsocket "$folder/plain" subscribe news >news 2>stderr &
listener=$!
for ((try = 0; try < 6000; ++try)); do
  [[ $("$cubby" shell --unixsocket "$folder/plain" publish news hello) == 1 ]] && break
  sleep 0.01
done
for ((try = 0; try < 6000; ++try)); do
  grep -q hello news && break
  sleep 0.01
done
kill -TERM $listener
wait $listener
[[ $? == 130 ]] || fail "a subscription that was ended"
[[ $(tr '\n' ' ' <news) == 'subscribe news 1 message news hello ' ]] || fail "messages: $(cat news)"

# Passwords and users.
printf 'user default off\nuser ann on >secret ~* +@all\n' >users
serve guarded --users users
printf 'secret\nno part of it\n' >password
printf 'wrong\n' >wrong
on guarded 0 ann --user ann --password-file password acl whoami
CUBBY_PASSWORD=secret on guarded 0 ann --user ann acl whoami
refuse 3 'WRONGPASS' shell --unixsocket "$folder/guarded" --user ann --password-file wrong ping
refuse 1 'NOAUTH' shell --unixsocket "$folder/guarded" get a
got=$(printf 'auth ann secret\nhello\n' | "$cubby" shell --unixsocket "$folder/guarded" | grep -A 1 '^proto$' | tail -n 1)
[[ $got == 3 ]] || fail "after AUTH it speaks RESP$got"

# TLS, to a name and to an address.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>stderr || fail "openssl: $(cat stderr)"
tls_port=$(free_port)
serve tls --bind 127.0.0.1 --tls-port "$tls_port" --tls-cert-file cert.pem --tls-key-file key.pem
expect 0 OK shell --port "$tls_port" --tls --cacert cert.pem set secure 1
expect 0 1 shell --host localhost --port "$tls_port" --cacert cert.pem get secure
refuse 3 'no TLS connection' shell --port "$tls_port" --tls get secure
refuse 2 "--cacert none.pem can't be read: No such file or directory" shell --port "$tls_port" --cacert none.pem get secure
refuse 2 "--cert none.pem can't be read: No such file or directory" shell --port "$tls_port" --cert none.pem get secure
refuse 3 'no TLS connection' shell --unixsocket "$folder/plain" --tls get secure

# Beside the server that has it open, and without it.
expect 0 'hello  world' shell --dir data --read-only get greeting
refuse 1 'READONLY' shell --dir data --read-only set greeting x
expect 0 orders shell --dir data --read-only --store orders get there
refuse 3 'in use' shell --dir data get greeting
kill "${servers[0]}"
wait "${servers[0]}" || fail "the server: $?"
expect 0 OK shell --dir data set greeting again
expect 0 again shell --dir data get greeting
expect 0 OK shell --dir data -n 5 set five 5
expect 0 '"again"' get greeting --dir data/db0
expect 0 5 get five --dir data/db5
expect 0 OK shell --dir data/db5 set five 6 # a store by itself
expect 0 6 get five --dir data/db5
refuse 2 'store 5: ERR' shell --dir data/db5 -n 5 get five
refuse 3 'no store in nowhere' shell --dir nowhere get a
[[ ! -e nowhere ]] || fail "a folder was made"

# A JSON file: made, written at the end, left alone by those that only read.
expect 0 OK shell --file s.json set k 1
[[ $(cat s.json) == $'{\n  "k": 1\n}' ]] || fail "the file is $(cat s.json)"
printf '{"k":   1, "o": {"a": [1]}}' >s.json
cp -p s.json before.json
expect 0 1 shell --file s.json get k
expect 0 '[1]' shell --file s.json json.get o .a
expect 0 1 shell --file s.json --read-only get k
refuse 1 'READONLY' shell --file s.json --read-only set k 2
refuse 3 'none.json' shell --file none.json --read-only get k
refuse 2 '--file= has no value' shell --file= get k
expect 0 0 shell --file s.json exists --file= # what a command has for arguments is its own
cmp -s s.json before.json || fail "a command that changed nothing wrote the file"
got=$(printf 'set k 2\nsave\nget k\nsubscribe c\npublish c m\nunsubscribe c\nblpop none 0.01\nset k 3\n' |
  "$cubby" shell --file s.json 2>stderr | tr '\n' ' ')
[[ $got == 'OK OK 2 subscribe c 1 '*'message c m '*'unsubscribe c 0  OK ' ]] || fail "a script on a file: $got $(cat stderr)"
expect 0 3 get k --file s.json
refuse 1 'ERR' shell --file s.json select 1
printf 'set k 4\nshutdown\nset k 5\n' | "$cubby" shell --file s.json >/dev/null 2>stderr || fail "SHUTDOWN: $(cat stderr)"
expect 0 4 get k --file s.json

# What it can't print is an error.
"$cubby" shell --file s.json get k >/dev/full 2>stderr
[[ $? == 5 ]] || fail "a full disk on standard output"

finish
