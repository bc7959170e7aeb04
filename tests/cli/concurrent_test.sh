#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Many commands on one file at once: no update is lost, no item comes twice, and readers see a whole file.
source "$(dirname "$0")/support.sh"
export CUBBY_FILE=s.json
writers=4
each=25

for ((writer = 0; writer < writers; ++writer)); do
  (
    for ((i = 0; i < each; ++i)); do
      "$cubby" incr n >/dev/null && "$cubby" push queue "\"$writer-$i\"" >/dev/null || echo "a write failed" >>errors
    done
  ) &
done
(
  until [[ -e s.json ]]; do :; done
  until [[ -e finished ]]; do
    "$cubby" dump >/dev/null 2>>errors || echo "a read failed" >>errors
  done
) &
reader=$!
for job in $(jobs -p); do
  [[ $job == "$reader" ]] || wait "$job"
done
touch finished
wait
[[ ! -e errors || ! -s errors ]] || fail "$(sort errors | uniq -c | head)"
expect 0 $((writers * each)) get n

for ((taker = 0; taker < writers; ++taker)); do
  (while item=$("$cubby" shift queue --raw 2>/dev/null); do echo "$item" >>"taken.$taker"; done) &
done
wait
[[ $(cat taken.* | wc -l) == $((writers * each)) ]] || fail "$(cat taken.* | wc -l) items were taken"
[[ $(cat taken.* | sort -u | wc -l) == $((writers * each)) ]] || fail "an item was taken twice"
expect 0 '[]' get queue

finish
