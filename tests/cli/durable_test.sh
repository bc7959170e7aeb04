#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The command on durable folders: the shell's operations, check, info, export, import, rekey, repair, and the durable demo.
source "$(dirname "$0")/support.sh"

for command in check info export import rekey repair; do
  "$cubby" $command --help | grep -q 'Examples:' || fail "$command --help has no examples"
  "$cubby" --help | grep -q "^  $command " || fail "--help doesn't list $command"
done

# contents ARGUMENT...: of a store, as text.
contents() { "$cubby" export "$@" 2>&1; }

# Which store.
refuse 2 'which store?' get k
refuse 2 '--file and --dir: a store is one or the other' get k --file s.json --dir store
refuse 2 '--key-file goes with a durable store' get k --file s.json --key-file key
refuse 3 'no durable store in store' get k --dir store
refuse 3 'no durable store in store' del k --dir store
[[ ! -e store ]] || fail "a command that found no store made one"
mkdir empty
refuse 3 'no durable store in empty' keys --dir empty
[[ -z $(ls empty) ]] || fail "a reading command wrote into a folder"
echo '{}' >s.json
refuse 3 's.json is no folder: name a JSON file with --file' get k --dir s.json
refuse 3 'empty is a folder: name a file in it, or a durable store with --dir' get k --file empty
CUBBY_FILE=s.json CUBBY_DIR=store refuse 2 'CUBBY_FILE and CUBBY_DIR are both set' get k
for command in check info 'rekey --decrypt' repair; do
  # shellcheck disable=SC2086
  refuse 2 'which store? Name its folder' $command
  # shellcheck disable=SC2086
  refuse 2 'the store is named twice, as store and with --dir' $command store --dir store
done
for command in export import; do
  refuse 2 'which store?' $command
  refuse 2 'the store is named twice, as store and with --dir' $command store --dir store
  refuse 2 'the store is named twice, as store and with --file' $command store --file s.json
done
for command in 'rekey --decrypt' repair; do
  # shellcheck disable=SC2086
  CUBBY_DIR=store refuse 2 'CUBBY_DIR doesn'"'"'t count' $command
done

# The operations, each a process of its own.
expect 0 '' set k '{"a": [1, 2]}' --dir store
expect 0 '{"a":[1,2]}' get k --dir store
export CUBBY_DIR=store
expect 0 '' set n 40
expect 0 42 incr n 2
expect 0 41 decr n
expect 0 1 push q first --string
expect 0 2 push q '[2]'
expect 0 3 unshift q 0
expect 0 0 shift q
expect 0 '[2]' pop q
expect 0 first shift q --raw
refuse 1 'array "q" in store is empty' shift q
refuse 1 'no key "absent" in store' get absent
expect 0 '{"a":[1,2],"b":true}' update k '{"b": true}'
expect 0 '' set t 1 --ttl 1h
left=$("$cubby" ttl t)
((left > 3500000 && left <= 3600000)) || fail "ttl is $left"
expect 0 true persist t
expect 0 '' expire t 2h
expect 0 '' rename t u
expect 0 '["k","n","q","u"]' keys
expect 0 4 size
expect 0 41 take n
expect 0 1 del q
expect 0 null swap other 1
expect 0 true exists other
refuse 1 'already' set k 1 --once
refuse 3 'key "k" in store: the key holds something else than a number' incr k
expect 0 '' set doomed 1
expect 0 1 del doomed nope
expect 1 0 del doomed nope
"$cubby" stats | grep -q '"expiring":1,"file_bytes":[0-9]*,"keys":3' || fail "stats: $("$cubby" stats)"
expect 0 '' set $'\xff' 1
expect 0 1 get $'\xff'
expect 0 1 del $'\xff'
before=$(stat -c '%n %Y %s' store/* | sort)
for command in 'get k' keys size dump stats 'ttl u' 'check store' 'check --open store' 'info --dir store' 'export --dir store'; do
  # shellcheck disable=SC2086
  "$cubby" $command >/dev/null || fail "$command"
done
[[ $(stat -c '%n %Y %s' store/* | sort) == "$before" ]] || fail "a reading command changed the folder"

# Many writers at once, one folder.
for ((writer = 0; writer < 4; ++writer)); do
  (for ((i = 0; i < 10; ++i)); do "$cubby" incr many >/dev/null 2>>errors || echo failed >>errors; done) &
done
wait
[[ ! -s errors ]] || fail "$(sort errors | uniq -c)"
expect 0 40 get many
expect 0 1 del many

# A program that has it open: the shell reads beside it, and says who it is when it would write.
mkfifo hold
"$cubby" import --merge <hold >/dev/null &
holder=$!
exec 7>hold
printf '{"from the holder": 1' >&7
for ((try = 0; try < 1000; ++try)); do
  [[ $("$cubby" info --json) == *'"in_use": true'* ]] && break
done
"$cubby" info | grep -q "in use by  *process $holder" || fail "info: $("$cubby" info)"
"$cubby" info --json | grep -q "\"in_use_by\": $holder" || fail "info --json: $("$cubby" info --json)"
"$cubby" check >out || fail "check of a folder in use: $(cat out)"
grep -q "in use  *by process $holder" out && grep -q '^result  *sound' out || fail "check: $(cat out)"
expect 0 '{"a":[1,2],"b":true}' get k
head -c 32 /dev/urandom >key
refuse 3 "store is in use by process $holder" rekey store --new-key-file key
refuse 3 "store is in use by process $holder" repair store --yes
printf '}' >&7
exec 7>&-
wait $holder
[[ $? == 0 ]] || fail "the import that held the folder"
expect 0 1 get 'from the holder'
expect 0 1 del 'from the holder'

# Killed, and nothing lost.
"$cubby" import --merge <hold >/dev/null &
holder=$!
exec 7>hold
# shellcheck disable=SC2046
{ printf '{"a":1'; printf ',"killed %d":"some text that is not short"' $(seq 0 19999); } >&7
for ((try = 0; try < 1000; ++try)); do
  [[ $("$cubby" exists 'killed 12000') == true ]] && break
done
{ kill -9 $holder && wait $holder; } 2>/dev/null
exec 7>&-
expect 0 true exists 'killed 12000'
"$cubby" check >out || fail "check of what a crash left: $(cat out)"
grep -q '^closed .*left by a crash' out || fail "check: $(cat out)"
cp -r store crashed
"$cubby" check --open --dir crashed >out || fail "check --open of what a crash left: $(cat out)"
keys=$("$cubby" size --dir crashed)
grep -q "^opened  *${keys:0:-3},${keys: -3} keys, once the log is carried out" out || fail "check --open: $(cat out)"

# Export and import.
contents store >exported.json
[[ $(sed -n 2p exported.json) == '  "$cubby": {' ]] || fail "no deadlines in $(head -3 exported.json)"
expect 0 "$(grep -c '^  "[^$]' exported.json)" import copy <exported.json
contents copy | cmp -s - exported.json || fail "export, import: $(contents copy | diff - exported.json | head -5)"
expect 0 "$(grep -c '^  "[^$]' exported.json)" import copy.json <exported.json
cmp -s copy.json exported.json || fail "import into a JSON file: $(diff copy.json exported.json | head -5)"
contents --file copy.json | cmp -s - exported.json || fail "a JSON file: $(contents copy.json | diff - exported.json | head -5)"
refuse 1 'copy has' import copy <exported.json
expect 0 1 import --dir copy --merge <<<'{"k": "new"}'
expect 0 '"new"' get k --dir copy
expect 0 2 import small <<<'{ "a" : [1, {"b": "}{,\"\\"}] , "c" : {} }'
expect 0 $'{\n  "a": [\n    1,\n    {\n      "b": "}{,\\"\\\\"\n    }\n  ],\n  "c": {}\n}' export small
expect 0 0 import nothing <<<'{}'
expect 0 '{}' export nothing
expect 0 2 import late <<<'{"x": 1, "gone": 2, "$cubby": {"version": 1, "expires": {"x": 9000000000000, "gone": 5, "none": 7}}}'
expect 0 $'{\n  "$cubby": {\n    "expires": {\n      "x": 9000000000000\n    },\n    "version": 1\n  },\n  "x": 1\n}' export late
for text in '{"a": 1,}' '{"a": 1' '{"a" 1}' '[1]' '' '{"a": 1} x' '{"a": [1}' '{,"a": 1}' '{"a": 1]' '{"$cubby": {"version": 2}}'; do
  refuse 2 'standard input' import bad <<<"$text"
  expect 0 0 size --dir bad
done
refuse 2 'byte 9: ' import bad <<<'{"a": 1, x}'
refuse 3 'there is no' info nowhere
refuse 3 'no store file nowhere.json' export nowhere.json
"$cubby" export store >/dev/full 2>stderr
[[ $? == 3 ]] || fail "a full disk on standard output"

# Keys.
openssl rand -hex 32 >hexkey 2>/dev/null || printf '%064d\n' 12345 >hexkey
cp -r copy secret
"$cubby" rekey secret --new-key-file key || fail "rekey"
refuse 3 'secret is encrypted: add --key-file FILE' get k --dir secret
refuse 3 'secret is encrypted: add --key-file FILE' check secret
refuse 3 'another key' get k --dir secret --key-file hexkey
refuse 3 'another key' check secret --key-file hexkey
refuse 3 'is not encrypted: leave out --key-file' get k --dir copy --key-file key
refuse 3 'copy is not encrypted: there is nothing to decrypt' rekey copy --decrypt
refuse 3 'copy is not encrypted: there is nothing to decrypt' rekey copy --decrypt --key-file key
refuse 3 'secret is encrypted: add --key-file FILE' rekey secret --decrypt
refuse 2 'nothing would change' rekey secret --key-file key --new-key-file key
expect 0 '"new"' get k --dir secret --key-file key
CUBBY_KEY_FILE=key expect 0 '"new"' get k --dir secret
expect 0 '' set k '"newer"' --dir secret --key-file key
"$cubby" check secret --key-file key >out || fail "check of an encrypted store: $(cat out)"
"$cubby" info secret | grep -q '^encrypted  *yes' || fail "info of an encrypted store"
! grep -rq newer secret || fail "the encrypted folder holds plain text"
"$cubby" rekey secret --key-file key --new-key-file hexkey || fail "rekey to another key"
refuse 3 'another key' get k --dir secret --key-file key
expect 0 '"newer"' get k --dir secret --key-file hexkey
"$cubby" rekey secret --key-file hexkey --decrypt || fail "rekey --decrypt"
expect 0 '"newer"' get k --dir secret
"$cubby" rekey crashed --new-key-file key || fail "rekey of what a crash left"
"$cubby" export crashed --key-file key | cmp -s - exported.json || fail "rekey of what a crash left changed it"
refuse 2 'Give either --new-key-file FILE or --decrypt' rekey secret
refuse 2 'key file none can'"'"'t be read' rekey secret --new-key-file none
echo short >badkey
refuse 2 'key file badkey holds no key: 32 bytes, or 64 hex digits' get k --dir secret --key-file badkey

# Damage is found and named, and nothing opens it.
"$cubby" repair copy | grep -q 'copy is sound: there is nothing to repair' || fail "repair of a sound store"
checkpoint=$(echo copy/checkpoint.*)
flip "$checkpoint" 300
"$cubby" check copy >out
[[ $? == 1 ]] || fail "check of a damaged checkpoint: $(cat out)"
grep -q "^DAMAGED .*$checkpoint is damaged at byte 128: .*cubby repair" out && grep -q '^result  *damaged' out || fail "check: $(cat out)"
refuse 3 "is damaged at byte 128" get k --dir copy
before=$(sha256sum copy/[!L]* | sort)
refuse 3 "is damaged at byte 128" set k 1 --dir copy
[[ $(sha256sum copy/[!L]* | sort) == "$before" ]] || fail "a damaged folder was written"
echo n | "$cubby" repair copy >out 2>stderr
[[ $? == 1 ]] || fail "repair answered with no: $(cat out stderr)"
[[ $(tail -1 stderr) == 'cubby: nothing was changed' ]] || fail "$(cat stderr)"
"$cubby" repair copy </dev/null >out 2>stderr
[[ $? == 1 && $(tail -1 stderr) == 'cubby: nothing was changed: answer y, or give --yes' ]] || fail "repair without an answer: $(cat stderr)"
grep -q 'keys of the checkpoint' out || fail "repair says: $(cat out)"
[[ $(echo copy.*) == copy.json ]] || fail "repair answered with no left $(echo copy.*)"
echo y | "$cubby" repair --dir copy >out 2>stderr || fail "repair: $(cat out stderr)"
"$cubby" check copy >out || fail "check of a repaired store: $(cat out)"
kept=$(echo copy.damaged-*)
[[ $(sha256sum "$kept"/[!L]* | sed "s|$kept|copy|" | sort) == "$before" ]] || fail "what is kept is not what was damaged"
saved=$("$cubby" size --dir copy)
((0 < saved && saved < $(grep -c '^  "[^$]' exported.json))) || fail "repair saved $saved keys"

# A log that is damaged, and a manifest that is gone.
log=$(echo store/log.* | cut -d' ' -f1)
flip "$log" 100000
"$cubby" check store >out && fail "a damaged log is said to be sound"
"$cubby" repair store --yes >out || fail "repair of a log: $(cat out)"
grep -q 'the log from there on' out && grep -q 'records behind that' out || fail "repair says: $(cat out)"
"$cubby" check store >/dev/null || fail "a repaired log"
expect 0 '{"a":[1,2],"b":true}' get k --dir store
rm late/MANIFEST
refuse 3 'late/MANIFEST is missing, though there is checkpoint.' get x --dir late
"$cubby" check late >out
[[ $? == 1 ]] || fail "check without a manifest: $(cat out)"
grep -q '^DAMAGED  *late/MANIFEST is missing' out || fail "check without a manifest: $(cat out)"
"$cubby" repair late --yes >out || fail "repair without a manifest: $(cat out)"
expect 0 1 get x --dir late

# A checkpoint that is gone, and with it all there was.
mv late gone
rm gone/checkpoint.*
refuse 3 'is missing, and the manifest names it' get x --dir gone
"$cubby" check gone >out
grep -q '^DAMAGED  *gone/checkpoint.* is missing, and the manifest names it' out || fail "check without a checkpoint: $(cat out)"
echo n | "$cubby" repair gone >out 2>stderr
grep -q 'not one key can be read' out && grep -q 'Put an empty store in the place of gone' stderr ||
  fail "repair without a checkpoint: $(cat out stderr)"
"$cubby" repair gone --yes | tail -1 | grep -q '^gone is an empty store now' || fail "repair without a checkpoint"
expect 0 0 size --dir gone
refuse 3 'there is no durable store in empty' repair empty --yes
refuse 3 'there is no store in' check empty

# A folder of stores, as a server has it, is no store, and doesn't become one.
unset CUBBY_DIR
expect 0 '' set k 1 --dir small
mkdir many
for name in typo db0 db0.damaged-20260102-030405; do
  cp -r small "many/$name"
done
is_many='many is a folder of stores (db0, typo), as cubby serve has it: name one, --dir many/db0'
for command in 'get k' 'set k 2' 'incr k' keys export import; do
  # shellcheck disable=SC2086
  refuse 3 "$is_many" $command --dir many </dev/null
  # shellcheck disable=SC2086
  CUBBY_DIR=many refuse 3 "$is_many" $command </dev/null
done
for command in check info repair 'rekey --new-key-file key'; do
  # shellcheck disable=SC2086
  refuse 3 "$is_many" $command many
done
[[ $(ls many) == $'db0\ndb0.damaged-20260102-030405\ntypo' ]] || fail "in a folder of stores something was made: $(ls many)"
expect 0 1 get k --dir many/typo

# The demonstration.
printf '[{"code": "AD-02", "name": "Canillo"}, {"code": "AD-03", "name": "Encamp"}]' >records.json
run() { "$cubby" demo sessions --durable --data records.json --workers 20 "$@" >table 2>progress; }
run --seconds 0.5 || fail "the demo: $(cat table progress)"
grep -q 'cubby is durable here' table && grep -q 'leaving a checkpoint of' table || fail "the demo says: $(cat table)"
[[ $(grep -c '^  ok ' table) == 8 ]] || fail "not all is verified: $(cat table)"
[[ $(echo cubby-demo-*) == 'cubby-demo-*' ]] || fail "the demo left its folder"
run --dir kept --seconds 0.2 || fail "the demo: $(cat table progress)"
expect 0 true exists session:AD-02 --dir kept
refuse 2 '--dir kept is already there' demo sessions --durable --dir kept --data records.json
refuse 2 '--dir needs --durable' demo sessions --dir other --data records.json

finish
