# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the test scripts share. Sourced with the command's path as $1; works in a folder of its own that goes at the end.

set -u
cubby=$(realpath "$1")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
unset CUBBY_FILE CUBBY_DIR CUBBY_KEY_FILE
failures=0

fail() {
  echo "FAILED (line ${BASH_LINENO[1]}): $*"
  failures=$((failures + 1))
}

# expect CODE OUTPUT ARGUMENT...: runs cubby; its exit code and standard output must be these, and nothing may be on standard error.
expect() {
  local code=$1 output=$2 got
  shift 2
  got=$("$cubby" "$@" 2>stderr; echo "[$?]")
  [[ $got == "${output:+$output$'\n'}[$code]" ]] || fail "cubby $*: expected $output [$code], got $got $(cat stderr)"
  [[ ! -s stderr ]] || fail "cubby $*: on standard error: $(cat stderr)"
}

# refuse CODE TEXT ARGUMENT...: cubby must end with this code, say nothing on standard output and TEXT on standard error.
refuse() {
  local code=$1 text=$2 got
  shift 2
  got=$("$cubby" "$@" 2>stderr; echo "[$?]")
  [[ $got == "[$code]" ]] || fail "cubby $*: expected [$code], got $got $(cat stderr)"
  [[ $(cat stderr) == *"$text"* ]] || fail "cubby $*: expected \"$text\" on standard error, got: $(cat stderr)"
}

# flip FILE BYTE: flips a bit in place.
flip() {
  local byte
  byte=$(od -An -tu1 -j"$2" -N1 "$1")
  printf '%b' "\\x$(printf %02x $((byte ^ 4)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

finish() {
  if ((failures > 0)); then
    echo "$failures checks failed"
    exit 1
  fi
  echo "all checks passed"
}
