#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A short demonstration, its table, its verification, its file, and what it says to bad input.
source "$(dirname "$0")/support.sh"

records='{"people": [{"code": "AD-02", "name": "Canillo", "type": "Parish"}, {"code": "AD-02", "name": "Twin"}, {"n": 1}]}'
printf '%s' "$records" >records.json

run() { "$cubby" demo sessions --workers 20 --seconds 1 "$@"; }

run --data records.json --file kept.json >table 2>progress
[[ $? == 0 ]] || fail "the demo: $(cat table progress)"
for text in 'reads (get)' 'reads (visit)' touches updates counters pushes consumed p99.9 ratio 'Verified:'; do
  grep -qF "$text" table || fail "no \"$text\" in the table: $(cat table)"
done
[[ $(grep -c '^  ok ' table) == 8 ]] || fail "not all is verified: $(cat table)"
grep -q '^replaced: ' progress && grep -q '^cubby: ' progress || fail "no progress lines: $(cat progress)"
expect 0 true exists session:AD-02 --file kept.json
expect 0 '["session:3","session:AD-02","session:AD-02#2"]' keys session: --file kept.json
((0 < $("$cubby" ttl session:3 --file kept.json))) || fail "the session's deadline is not in the file"
refuse 2 '--file kept.json is already there' demo sessions --data records.json --file kept.json

run --data records.json --replaced exclusive --json >result.json 2>progress
[[ $? == 0 ]] || fail "the demo with --json: $(cat result.json progress)"
"$cubby" set result - --file results.json <result.json || fail "the result is no JSON: $(cat result.json)"
grep -q '"verified": true' result.json || fail "not verified: $(cat result.json)"

# Interrupted while cubby runs, it still verifies and tells what it has.
rm progress  # or the lines of the one before are found
"$cubby" demo sessions --data records.json --workers 20 --seconds 3 >table 2>progress &
demo=$!
for ((try = 0; try < 3000; ++try)); do
  grep -q '^cubby: [1-9][0-9]* of' progress && break
  read -rt 0.02 <> <(:) || true
done
kill -INT $demo
wait $demo
[[ $? == 0 ]] || fail "an interrupted demo: $(cat table progress)"
[[ $(grep -c '^  ok ' table) == 8 ]] || fail "not all is verified after an interrupt: $(cat table)"

# Before that there is nothing to verify of it.
rm progress
"$cubby" demo sessions --data records.json --workers 20 --seconds 300 >table 2>progress &
demo=$!
for ((try = 0; try < 3000; ++try)); do
  grep -q '^replaced: [1-9][0-9]* of' progress && break
  read -rt 0.02 <> <(:) || true
done
kill -INT $demo
wait $demo
[[ $? == 130 ]] || fail "a demo interrupted early: $(cat table progress)"
grep -q 'interrupted before cubby ran' table || fail "$(cat table)"

refuse 3 '--data none.json: No such file' demo sessions --data none.json
printf '{"a":' >bad.json
refuse 2 '--data bad.json is not JSON' demo sessions --data bad.json
printf '[1, 2]' >numbers.json
refuse 2 '--data numbers.json holds no records: a JSON array of objects' demo sessions --data numbers.json
printf '{"a": [{}], "b": [{}]}' >two.json
refuse 2 'more than one array of objects' demo sessions --data two.json
refuse 2 '--workers' demo sessions --workers 1
refuse 2 '--replaced' demo sessions --replaced other
refuse 2 'its folder does not exist' demo sessions --data records.json --file nowhere/kept.json
if [[ ! -e /usr/share/iso-codes/json/iso_3166-2.json ]]; then
  refuse 3 'package iso-codes' demo sessions
fi

finish
