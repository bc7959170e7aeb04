#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `cubby serve`: what it says where it can't start, and what it notes in its log.
source "$(dirname "$0")/serving.sh"

# stop: ends the last server.
stop() {
  kill "${servers[-1]}"
  wait "${servers[-1]}" || fail "the server ended with $?"
  unset 'servers[-1]'
}
# refuse_to_serve CODE TEXT ARGUMENT...: as refuse; a server that starts all the same is ended.
refuse_to_serve() {
  local code=$1 text=$2 got
  shift 2
  got=$(timeout 60 "$cubby" serve --port 0 --http-port 0 --unixsocket "$folder/refused" "$@" 2>stderr; echo "[$?]")
  [[ $got == "[$code]" ]] || fail "cubby serve $*: expected [$code], got $got $(cat stderr)"
  [[ $(cat stderr) == *"$text"* ]] || fail "cubby serve $*: expected \"$text\" on standard error, got: $(cat stderr)"
}
# logged TEXT NAME: the log of the server NAME has it.
logged() { grep -qF -- "$1" "$2.err" || fail "expected \"$1\" in the log of $2, got: $(cat "$2.err")"; }

# A value is the word that it is: none, a list or the next option are no value.
refuse_to_serve 2 "--requirepass= has no value: write --requirepass VALUE, or --requirepass '' for an empty one" \
  --requirepass= --loglevel warning
refuse_to_serve 2 '--config= has no value' --loglevel warning --config=
refuse_to_serve 2 "--port: argument couldn't be parsed into an integer" --port '[0]'
refuse_to_serve 2 'was not expected: ::1' --bind 127.0.0.1 ::1
refuse_to_serve 2 'cubby: bind: foo is not an IP address' --bind foo
grep -q '^cubby: --port: argument' <<<"$("$cubby" serve --port x 2>&1)" || fail "a setting is named twice"
serve passwords --requirepass '[a,b]'
CUBBY_PASSWORD='[a,b]' expect 0 PONG shell --unixsocket "$folder/passwords" ping
stop
serve empty --requirepass '' --logfile=a=
expect 0 PONG shell --unixsocket "$folder/empty" ping
stop
[[ -e a= ]] || fail "a value with an equals sign: $(ls)"

# Spelling matters to options only.
printf 'MAX_CLIENTS 17\nlog-level warning\n' >spelt.conf
CUBBY_Max_Memory=17mb serve spelt --config spelt.conf
expect 0 $'maxclients\n17' shell --unixsocket "$folder/spelt" config get maxclients
expect 0 $'maxmemory\n17825792' shell --unixsocket "$folder/spelt" config get maxmemory
stop
refuse_to_serve 2 'was not expected: --max_clients' --max_clients=17
refuse_to_serve 2 'was not expected: --MaxClients' --MaxClients=17

# Variables that are misspelt are told, and those of other commands aren't.
export CUBBY_REQUIREPAS=secret CUBBY_PASSWORD=x CUBBY_KEY_FILE=key
serve misspelt
unset CUBBY_REQUIREPAS CUBBY_PASSWORD CUBBY_KEY_FILE
stop
logged 'environment variable ignored name="CUBBY_REQUIREPAS"' misspelt
! grep -qE 'secret|CUBBY_PASSWORD|CUBBY_KEY_FILE' misspelt.err || fail "the log: $(cat misspelt.err)"

# Certificates without a port, and one that isn't there.
refuse_to_serve 2 'tls-cert-file needs tls-port' --tls-cert-file server.crt --tls-key-file server.key
refuse_to_serve 2 'tls-cert-file: none.crt: No such file or directory' --tls-port "$(free_port)" --tls-cert-file none.crt \
  --tls-key-file none.key

# CUBBY_DIR is the folder of the stores to the server, and one store to the commands.
CUBBY_DIR=of-stores serve by-variable
expect 0 OK shell --unixsocket "$folder/by-variable" set k 1
CUBBY_DIR=of-stores refuse 3 'of-stores is a folder of stores (db0), as cubby serve has it: name one, --dir of-stores/db0' get k
CUBBY_DIR=of-stores/db0 expect 0 1 get k
stop
for help in --help 'serve --help'; do
  # shellcheck disable=SC2086
  "$cubby" $help | tr '\n' ' ' | grep -qE 'CUBBY_DIR (is its setting dir|names the folder of the stores)' || fail "$help: CUBBY_DIR"
done

# A folder that is a store, and how its content gets into a server.
expect 0 '' set k 1 --dir copy
refuse_to_serve 2 'dir: copy is a durable store itself: name the folder above it' --dir copy
expect 0 1 get k --dir copy
mkdir with-orders
"$cubby" export copy >copy.json || fail "export"
expect 0 1 import with-orders/orders <copy.json
serve imported --dir with-orders
expect 0 1 shell --unixsocket "$folder/imported" -n orders get k
stop

# One that another has open, and one that is encrypted: what is there and what to do, without the library's names.
serve first --dir 'da"ta'
refuse_to_serve 3 "cubby: da\"ta/db0 is in use by process ${servers[-1]}: end that first" --dir 'da"ta'
grep -qF "reason=\"da\\\"ta/db0 is in use by" stderr || fail "quotes in the log: $(cat stderr)"
! grep -qE 'of store|read_only|  ' stderr || fail "the library's names in: $(cat stderr)"
refuse 3 "da\"ta/db0 is in use by process ${servers[-1]}: commands that read it work" shell --dir 'da"ta' get k
stop
openssl rand -hex 32 >key
"$cubby" rekey 'da"ta/db0' --new-key-file key || fail "rekey"
refuse_to_serve 3 'cubby: da"ta/db0 is encrypted: set encryption-key-file' --dir 'da"ta'
refuse 3 'da"ta/db0 is encrypted: add --key-file FILE' shell --dir 'da"ta' get k
refuse 3 'da"ta/db0 is encrypted: add --key-file FILE' shell --dir 'da"ta' --read-only get k
serve encrypted --dir 'da"ta' --encryption-key-file key
stop

# A store that is damaged: checked and repaired while the server is stopped, and then it starts.
serve one --dir data
expect 0 OK shell --unixsocket "$folder/one" set kept 1
expect 0 OK shell --unixsocket "$folder/one" -n orders set also 2
stop
checkpoint=$(echo data/db0/checkpoint.*)
flip "$checkpoint" 130
refuse_to_serve 3 "$checkpoint is damaged at byte" --dir data
"$cubby" check data/db0 >/dev/null && fail "a damaged store is said to be sound"
"$cubby" repair data/db0 --yes >/dev/null || fail "repair"
kept=$(echo data/db0.damaged-*)
cp -r data/db0 data/db0.repaired-20260102-030405
serve again --dir data
logged "folder not served folder=\"$kept\"" again
logged 'folder not served folder="data/db0.repaired-20260102-030405"' again
expect 0 2 shell --unixsocket "$folder/again" -n orders get also
expect 0 OK shell --unixsocket "$folder/again" set new 3
refuse 2 'none of those that cubby repair gives' shell --unixsocket "$folder/again" -n orders.damaged-20260102-030405 get a
expect 0 3 shell --dir data --read-only get new
stop

finish
