# shellcheck shell=bash
# What the tests of deploy/ and of the command line share. To be sourced.
set -u
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${KFS_BUILD:-$repo/build/release}
devcluster=$repo/deploy/devcluster
quickstart=$repo/deploy/quickstart
# shellcheck source=../../deploy/lib/process.sh
. "$repo/deploy/lib/process.sh"

work=$(mktemp -d "${TMPDIR:-/tmp}/kfs-deploy.XXXXXX")
passed=0 failed=0

pass() { passed=$((passed + 1)); echo "PASS $1"; }
flunk() {
  failed=$((failed + 1))
  echo "FAIL $1"
  shift
  printf '%s\n' "$@" | head -n 40 | sed 's/^/    /'
}
# check NAME COMMAND...: the command succeeds.
check() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then pass "$name"; else flunk "$name" "exit code $?: $*" "$output"; fi
}
# refused NAME CODE WORDS COMMAND...: the command ends with this exit code and says these words (a regular expression).
refused() {
  local name=$1 code=$2 words=$3 output status
  shift 3
  output=$("$@" 2>&1 </dev/null)
  status=$?
  if [[ $status =~ ^$code$ ]] && grep -qE -e "$words" <<<"$output"; then
    pass "$name"
  else
    flunk "$name" "exit code $status (expected $code, words /$words/): $*" "$output"
  fi
}
finish() {
  echo "$passed passed, $failed failed, 0 skipped"
  [ $failed = 0 ]
}
