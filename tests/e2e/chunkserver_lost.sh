#!/bin/bash
# timeout: 120 long: 120
# Which files are on a chunkserver, by path: before it is given up, and afterwards. What was lost with it is told until those files are
# removed or overwritten, or somebody says that it is settled.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 2 --chunkservers 2
await_agreement 20 1 2

place() { local text; text=$(<"$CLUSTER/run/chunkserver-$1.address") && echo "$text"; }
number() { kfs_at 1 chunkserver list --json | jq -r --arg a "$(place "$1")" '.[] | select(.address == $a) | .id'; }
one=$(number 1) two=$(number 2)
# Paths that it is asked for through either metaserver; nothing on stderr.
paths() { kfs_at "$1" chunkserver files "$2" --json | jq -r '.files[] | .path' | sort; }
expect() {  # expect NUMBER PATH...
  local n wanted id=$1
  shift
  wanted=$(printf '%s\n' "$@" | sort)
  for n in 1 2; do [ "$(paths $n "$id")" = "$wanted" ] || { kfs_at $n chunkserver files "$id"; fail "metaserver $n lists others on chunkserver $id than $*"; }; done
}
put() { head -c "${2:-100000}" /dev/urandom >"$MNT/$1"; }

says 'no file has chunks on chunkserver 1' 1 chunkserver files 1 || fail "of an empty one: $(<"$WORK/said-by-kfs")"
kfs_at 1 chunkserver cordon "$two" >/dev/null
put here
mkdir -p "$MNT/a dir/below"
kfs_at 1 chunkserver uncordon "$two" >/dev/null
kfs_at 1 chunkserver cordon "$one" >/dev/null
put there
put "a dir/below/"$'two\nlines'
put twice
ln "$MNT/twice" "$MNT/a dir/twice"
put grown
put open
exec 7<"$MNT/open"
rm "$MNT/open"
expect "$one" /here
kfs_at 2 chunkserver files "$two" --json >"$WORK/files"
[ "$(jq '.files | length' "$WORK/files")" = 5 ] && [ "$(jq .complete "$WORK/files")" = true ] || { cat "$WORK/files"; fail "not the five files that are there"; }
[ "$(jq -r '.files[] | select(.named == "nameless") | .path' "$WORK/files")" = null ] || { cat "$WORK/files"; fail "the file that was removed and is open is not said to be"; }
jq -e '.files[] | select(.path == "/a dir/below/two\nlines" and .chunks == 1 and .size == 100000)' "$WORK/files" >/dev/null || { cat "$WORK/files"; fail "a path, a number of chunks or a size is wrong"; }
kfs_at 1 chunkserver files "$(place 2)" >"$WORK/files" 2>"$WORK/err" || fail "it cannot be named by its address: $(<"$WORK/err")"
[ ! -s "$WORK/err" ] || fail "on stderr: $(<"$WORK/err")"
grep -qF ':/a dir/below/two\x0alines' "$WORK/files" || { cat "$WORK/files"; fail "a name with a newline is not on one line"; }
grep -q 'no path, it was removed and is still open' "$WORK/files" || { cat "$WORK/files"; fail "nothing about the removed file"; }
grep -q "^5 files, 5 chunks on chunkserver $two$" "$WORK/files" || { cat "$WORK/files"; fail "no sum"; }
for wrong in 0 99 nobody; do
  code=0
  kfs_at 1 chunkserver files $wrong >/dev/null 2>"$WORK/err" || code=$?
  [ $code = 4 ] || fail "files of chunkserver $wrong exits with $code: $(<"$WORK/err")"
done
exec 7<&-
gone() { [ "$(kfs_at 1 chunkserver files "$two" --json | jq '.files | length')" = 4 ]; }
wait_until 15 gone || fail "the removed file stays in the list"

# ---- given up

lost() { kfs_at "${1:-1}" health --json | jq -r '[.findings[] | select(.alarm == "chunk.lost")] | length'; }
[ "$(lost)" = 0 ] || fail "chunks are lost before anything was given up"
kill_role chunkserver 2
down() { [ "$(kfs_at 1 chunkserver list --json | jq -r --argjson n "$two" '.[] | select(.id == $n) | .up')" = false ]; }
wait_until 10 down || fail "a chunkserver that was killed counts as up"
echo no | kfs_at 1 chunkserver remove "$two" --lost >"$WORK/asked" 2>&1 && fail "given up without being asked for"
grep -q "kfs chunkserver files $two" "$WORK/asked" || fail "it does not name the way to see what is lost: $(<"$WORK/asked")"
says "kfs chunkserver files $two" 1 chunkserver remove "$two" --lost --yes || fail "afterwards it says: $(<"$WORK/said-by-kfs")"
await_agreement 10 1 2
told() { [ "$(lost 1)" = 1 ] && [ "$(lost 2)" = 1 ]; }
wait_until 10 told || { kfs_at 1 health; fail "health does not say that chunks are lost"; }
code=0
kfs_at 2 health >"$WORK/health" || code=$?
[ $code = 2 ] || fail "health exits with $code when chunks are lost"
grep -q "has lost 4 chunks of 4 files with chunkserver $two, which was removed  -> kfs chunkserver files $two" "$WORK/health" || { cat "$WORK/health"; fail "health says something else"; }
says "has lost 4 chunks of 4 files with chunkserver $two: kfs chunkserver files $two" 1 volume status || fail "volume status: $(<"$WORK/said-by-kfs")"
kfs_at 2 chunkserver files "$two" --json >"$WORK/files"
[ "$(jq -r '.files[].path' "$WORK/files" | grep -c twice)" = 1 ] || { cat "$WORK/files"; fail "a file with two names is not listed once"; }
expect "$one" /here

# ---- until they are gone

kfs_at 1 chunkserver uncordon "$one" >/dev/null
rm "$MNT/there"
echo anew >"$MNT/grown"
fewer() { kfs_at 1 volume status --json | jq -e '.volumes[0].lost == [{chunkserver: '"$two"', chunks: 2, files: 2, settled: false}]' >/dev/null; }
wait_until 20 fewer || { kfs_at 1 volume status --json | jq .volumes; fail "removed and overwritten files still count as lost"; }
refused 'is in the cluster: nothing was lost with it' 1 chunkserver settle "$one"
code=0
kfs_at 1 chunkserver settle 99 2>/dev/null || code=$?
[ $code = 4 ] || fail "settling a chunkserver that never was exits with $code"
says 'what was lost with it is settled' 2 chunkserver settle "$two" || fail "settle says: $(<"$WORK/said-by-kfs")"
silent() { [ "$(lost 1)" = 0 ] && [ "$(lost 2)" = 0 ]; }
wait_until 10 silent || { kfs_at 1 health; fail "what is settled is still an alarm"; }
says '2 files, 2 chunks' 1 chunkserver files "$two" || fail "what is settled is not listed: $(<"$WORK/said-by-kfs")"
says 'nothing has changed' 1 chunkserver settle "$two" || fail "settling twice: $(<"$WORK/said-by-kfs")"
rm -r "$MNT/a dir" "$MNT/twice"
none() { [ "$(kfs_at 1 volume status --json | jq '.volumes[0].lost // [] | length')" = 0 ]; }
wait_until 20 none || { kfs_at 1 volume status --json | jq .volumes; fail "files that are gone count"; }

# ---- a volume that is not served

kfs_at 1 volume create resting --owner "$(address_of 2)" >/dev/null
kfs_at 1 volume stop resting --yes >/dev/null
code=0
kfs_at 1 chunkserver files "$one" >"$WORK/files" 2>"$WORK/err" || code=$?
[ $code = 1 ] && grep -q 'volume resting: volume "resting" is stopped' "$WORK/err" || { cat "$WORK/err"; fail "a stopped volume is passed over in silence (exit code $code)"; }
grep -q ':/here$' "$WORK/files" && grep -q 'and what could not be asked for' "$WORK/files" || { cat "$WORK/files"; fail "the other volumes are not listed"; }
kfs_at 1 chunkserver files "$one" --volume "$(kfs_at 1 volume list --json | jq -r '.[] | select(.name != "resting") | .name')" >/dev/null || fail "one volume of several"
pass
