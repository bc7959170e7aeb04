#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every shell command on a JSON file store: outputs, exit codes, messages, and what becomes of the file.
source "$(dirname "$0")/support.sh"

# The command itself.
expect 0 "cubby $("$cubby" --version | sed 's/^cubby //')" --version
"$cubby" --version | grep -Eq '^cubby [0-9]+\.[0-9]+\.[0-9]+$' || fail "--version"
"$cubby" --help | grep -q 'Exit codes:' || fail "--help has no exit codes"
for command in get exists keys size ttl dump stats set swap incr decr update del take rename clear expire persist push unshift shift pop \
  demo "demo sessions"; do
  # shellcheck disable=SC2086  # "demo sessions" are two words
  "$cubby" $command --help | grep -q 'Examples:' || fail "$command --help has no examples"
done
refuse 2 'Usage: cubby'
refuse 2 'there is no command "gte"; cubby --help lists them' gte k
refuse 2 'KEY is required' get
refuse 2 'was not expected: --bogus' get --bogus k
refuse 2 'was not expected: extra' get k extra --file s.json
refuse 2 '--file= has no value: write --file VALUE' get --file= s.json
refuse 2 '--data= has no value' demo sessions --data= --seconds 1
refuse 2 '--raw= has nothing behind the equals sign' get k --raw= --file s.json
refuse 2 'which store? Add --file store.json, or set CUBBY_FILE' get k

# Which file.
refuse 3 'no store file s.json' get k --file s.json
refuse 3 'no store file s.json' keys --file s.json
refuse 3 'no store file s.json' del k --file s.json
refuse 3 'no store file s.json' pop k --file s.json
[[ ! -e s.json ]] || fail "a command that found no file made one"
refuse 3 'nowhere of store file nowhere/s.json can'"'"'t be opened' set k 1 --file nowhere/s.json
refuse 3 'is a folder' set k 1 --file .
expect 0 '' set k 1 --file s.json
[[ $(cat s.json) == $'{\n  "k": 1\n}' ]] || fail "the file is $(cat s.json)"
[[ $(ls) == $'s.json\nstderr' ]] || fail "something lies beside the file: $(ls)"
expect 0 '' set k 2 -f other.json
export CUBBY_FILE=s.json
expect 0 1 get k
expect 0 2 get k --file other.json
rm other.json

# Values.
for value in null true -7 2.5 '"text"' '[1,[2,{}]]' '{"a":{"b":[]}}' '{"$binary":{"base64":"AAH/","subType":"00"}}'; do
  expect 0 '' set v "$value"
  expect 0 "$value" get v
done
expect 0 '' set v '{"b": 1, "a": "x"}'
expect 0 $'{\n  "a": "x",\n  "b": 1\n}' get v --indent 2
expect 0 '' set v 'plain "text"' --string
expect 0 '"plain \"text\""' get v
expect 0 'plain "text"' get v --raw
printf '[1, 2]' | "$cubby" set v - || fail "a value from standard input"
expect 0 '[1,2]' get v
printf 'two\nlines' | "$cubby" set v - --string || fail "a text from standard input"
expect 0 '"two\nlines"' get v
expect 0 '' set -- -key -5
expect 0 -5 get -- -key
expect 0 '' set --file s.json -- --key= 1
expect 0 1 get -- --key=
expect 0 1 del -- --key=
expect 0 '' set '' '"empty key"'
expect 0 '"empty key"' get ''
expect 0 '' set get '"as a command"'
expect 0 '"as a command"' get get
expect 0 4 del -- v -key '' get
expect 0 '' set '[x,y]' 1
expect 0 1 del absent '[x,y]' '[z]'
expect 1 0 del absent
expect 0 1 swap k '"one"'
expect 0 '"one"' swap k 1
expect 0 null swap fresh 5
expect 0 5 take fresh
refuse 1 'no key "fresh" in s.json' take fresh
refuse 1 'no key "absent" in s.json' get absent
expect 0 true exists k
expect 1 false exists absent

# Numbers and objects.
expect 0 1 incr n
expect 0 -4 incr n -5
expect 0 -1.5 incr n 2.5
expect 0 -2.5 decr n
expect 0 '' set max 9223372036854775807
refuse 3 'key "max" in s.json: ' incr max
refuse 2 'N "x" is not JSON' incr n x
refuse 2 'N is "5", which is no number' incr n '"5"'
expect 0 '{"a":1,"b":{"c":2}}' update o '{"a": 1, "b": {"c": 2}}'
expect 0 '{"b":{"c":2,"d":3}}' update o '{"a": null, "b": {"d": 3}}'
refuse 2 'the patch is no JSON object' update o 5
refuse 3 'key "k" in s.json: the key holds something else than an object' update k '{"a": 1}'

# Arrays.
expect 0 1 push q 1
expect 0 2 push q '[2,3]'
expect 0 3 unshift q first --string
expect 0 '["first",1,[2,3]]' get q
expect 0 first shift q --raw
expect 0 '[2,3]' pop q
expect 0 1 shift q
refuse 1 'array "q" in s.json is empty' shift q
refuse 1 'no key "absent" in s.json' pop absent
refuse 3 'key "k" in s.json: the key holds something else than an array' push k 1

# Times to live.
expect 0 '' set t 1 --ttl 5m
left=$("$cubby" ttl t)
((left > 200000 && left <= 300000)) || fail "ttl is $left"
expect 0 '' set t 2
((0 < $("$cubby" ttl t))) || fail "set dropped the deadline"
expect 0 null ttl k
refuse 1 'no key "absent" in s.json' ttl absent
expect 0 true persist t
expect 1 false persist t
expect 0 null ttl t
refuse 1 'no key "absent"' persist absent
expect 0 '' expire t
left=$("$cubby" ttl t)
((left > 3500000 && left <= 3600000)) || fail "the default ttl is $left"
expect 0 '' expire t 0
expect 1 false exists t
refuse 1 'no key "absent"' expire absent 5s
refuse 2 'TTL "5x" has an unknown unit: write a number and a unit, such as 500ms, 10s, 5m, 2h or 1d' expire k 5x
refuse 2 '--ttl "5" has no unit' set k 1 --ttl 5
expect 0 '' set t 1 --once --ttl 1ms
for ((try = 0; try < 1000; ++try)); do
  "$cubby" exists t >/dev/null || break
done
expect 1 false exists t
expect 0 '' set once 1 --once
refuse 1 'key "once" is already in s.json' set once 2 --once
expect 0 1 get once

# Keys.
expect 0 '["k","max","n","o","once","q"]' keys
expect 0 $'o\nonce' keys o --lines
expect 0 '[]' keys none
expect 0 6 size
expect 0 '' rename once twice
refuse 1 'no key "once" in s.json' rename once thrice
refuse 1 'key "k" is already in s.json' rename twice k
expect 0 '{"n":-2.5}' dump n --indent -1
expect 0 $'{\n  "o": {\n    "b": {\n      "c": 2,\n      "d": 3\n    }\n  }\n}' dump o
"$cubby" stats | grep -q '"expiring":0.*"keys":6' || fail "stats: $("$cubby" stats)"
expect 0 6 clear
expect 0 0 size
expect 0 '{}' dump

# What is refused leaves no trace.
refuse 2 'the value "{bad" is not JSON' set k '{bad'
refuse 2 "pass --string for plain text" set k hello
refuse 2 'key "k\xff" is not UTF-8' set $'k\xff' 1
refuse 2 'key "k\xff" is not UTF-8' get $'k\xff'
refuse 2 'the value is not UTF-8' set k $'\xff' --string
refuse 2 'key "$cubby"' set '$cubby' 1
expect 0 '{}' dump
printf '{"b" : 1,\n\n   "a" : {"z": 1,  "y": [2]}}' >s.json # not as cubby would write it
cp -p s.json before.json
for command in 'get a' 'exists a' 'keys' 'size' 'ttl a' 'dump' 'stats'; do
  # shellcheck disable=SC2086
  "$cubby" $command >/dev/null || fail "$command"
done
refuse 3 'a' incr a
refuse 3 'a' push a 1
refuse 1 'no key' rename none other
refuse 1 'no key' take none
refuse 1 'already' set a 1 --once
expect 1 0 del none
cmp -s s.json before.json || fail "a command that changed no key changed the file"
[[ ! s.json -nt before.json ]] || fail "a command that changed no key wrote the file"

# Damaged files are left alone, and named.
for text in '{"a":' '[1]' '{"$cubby": {"version": 99}}' $'{"a": "\xff"}' ''; do
  printf '%s' "$text" >damaged.json
  cp damaged.json before.json
  refuse 3 'damaged.json' get a --file damaged.json
  refuse 3 'damaged.json' set a 1 --file damaged.json
  cmp -s damaged.json before.json || fail "a damaged file was written"
done

# A link stays a link.
mkdir real
echo '{}' >real/store.json
ln -s real/store.json link.json
expect 0 '' set k 1 --file link.json
[[ -L link.json ]] || fail "the link was replaced"
expect 0 1 get k --file real/store.json

# Output that can't be written is an error.
"$cubby" dump >/dev/full 2>stderr
[[ $? == 5 ]] || fail "a full disk on standard output"
grep -q "standard output can't be written" stderr || fail "$(cat stderr)"
"$cubby" --help >/dev/full 2>stderr
[[ $? == 5 ]] || fail "a full disk on the help"

# Messages that can't be written change nothing about the exit code.
"$cubby" get none 2>/dev/full
[[ $? == 1 ]] || fail "a full disk on standard error"
"$cubby" get none 2>&-
[[ $? == 1 ]] || fail "no standard error"
"$cubby" incr full >/dev/full 2>&1
[[ $? == 5 ]] || fail "a full disk on both"

finish
