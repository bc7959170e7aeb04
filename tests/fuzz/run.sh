#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Usage: run.sh <fuzzer> <name>: fuzzes for CUBBY_FUZZ_SECONDS. New inputs go to ./corpus, a failing one to ./findings.
set -eu
fuzzer=$1
name=$2
seeds=$(dirname "$0")/corpus/$name
mkdir -p "corpus/$name" findings
set -- "corpus/$name"
[ ! -d "$seeds" ] || set -- "$@" "$seeds"
exec "$fuzzer" -max_total_time="${CUBBY_FUZZ_SECONDS:-10}" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 -verbosity=0 \
  -artifact_prefix="findings/$name-" "$@"
