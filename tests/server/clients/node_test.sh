#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Usage: node_test.sh CUBBY TEST.mjs FOLDER. Installs what package-lock.json says into the folder, unless that was done already, and
# runs the test there.
set -euo pipefail

cubby=$1
test=$2
folder=$3
here=$(dirname "$(readlink -f "$0")")
for program in node npm; do
  command -v $program > /dev/null || { echo "skipped: there is no $program"; exit 77; }
done
if ! node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 18 || (a == 18 && b >= 19) ? 0 : 1)'; then
  echo "skipped: node $(node --version) is older than the clients want (18.19)"
  exit 77
fi

mkdir -p "$folder"
exec 9> "$folder/lock"
flock 9  # tests that run at once install once
if ! cmp -s "$here/package-lock.json" "$folder/installed"; then
  cp "$here/package.json" "$here/package-lock.json" "$folder"
  # The lock names no registry: the one that npm is set to is asked, and has to deliver what the lock's hashes say.
  if ! (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved --fetch-retries 1) > "$folder/log" 2>&1; then
    grep -E 'EINTEGRITY|EUSAGE' "$folder/log" && exit 1
    echo "skipped: npm can't install the clients (see $folder/log)"
    exit 77
  fi
  cp "$here/package-lock.json" "$folder/installed"
fi
# Modules are looked for where the test lies.
for module in "$here"/*.mjs; do
  cmp -s "$module" "$folder/${module##*/}" || cp "$module" "$folder"
done
flock -u 9
cd "$folder"
exec node "$test" "$cubby"
