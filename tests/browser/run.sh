#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: run.sh TEST PROGRAM FOLDER [FOLDER FOR SCREENSHOTS]. Installs what package-lock.json says into the folder, unless that was
# done already, and runs the test (dashboard, chat) of the program there; or says what is missing for it, and exits with 77.
set -euo pipefail

test=$1
program=$(readlink -f "$2")
folder=$3
screenshots=${4:+$(readlink -m "$4")}
here=$(dirname "$(readlink -f "$0")")
skip() {
  echo "skipped: $1"
  exit 77
}
for tool in node npm; do
  command -v $tool > /dev/null || skip "there is no $tool"
done
for browser in "${CHROMIUM-}" chromium chromium-browser google-chrome; do
  if [ -n "$browser" ] && CHROMIUM=$(command -v "$browser"); then break; fi
done
[ -n "${CHROMIUM-}" ] || skip "there is no chromium"
export CHROMIUM

mkdir -p "$folder"
if ! cmp -s "$here/package-lock.json" "$folder/installed"; then
  cp "$here/package.json" "$here/package-lock.json" "$folder"
  # The lock names no registry: the one that npm is set to is asked, and has to deliver what the lock's hashes say.
  if ! (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved --fetch-retries 1) \
    > "$folder/log" 2>&1; then
    if grep -E 'EINTEGRITY|EUSAGE' "$folder/log"; then exit 1; fi
    skip "npm can't install playwright-core (see $folder/log)"
  fi
  cp "$here/package-lock.json" "$folder/installed"
fi
# Modules are looked for where the test lies.
cp "$here"/*.js "$folder"
cd "$folder"
exec node "${test}_test.js" "$program" ${screenshots:+"$screenshots"}
