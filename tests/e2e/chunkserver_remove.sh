#!/bin/bash
# timeout: 90 long: 300
# Removing chunkservers: one that has chunks stays, one that is gone can be given up. Files that lay there give EIO at once, also to
# programs that were waiting for it on a hard mount; the others do not notice. Started again it comes back under a new number, with
# what it still has.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3
# Else one that is removed while it runs comes back by itself.
kfs_at 1 cluster set chunkserver-admission command >/dev/null

place() { local text; text=$(<"$CLUSTER/run/chunkserver-$1.address") && echo "$text"; }
server() { kfs_at "${2:-1}" chunkserver list --json | jq -r --arg a "$(place "$1")" '.[] | select(.address == $a)'; }
number() { server "$1" | jq .id; }
down() { [ "$(server "$1" "$2" | jq .up)" = false ]; }
down_everywhere() { down "$1" 1 && down "$1" 2 && down "$1" 3; }
counted() { [ "$(server "$1" | jq '[.disks[].chunks] | add')" = "$2" ]; }
chunks() { find "$CLUSTER/chunkserver-$1" -not -path '*/garbage/*' -name '*.data' | wc -l; }
same() { cmp -s "$WORK/$1" "$MNT/$1"; }
kill_chunkserver() {
  kill_role chunkserver "$1"
  wait_until 10 down_everywhere "$1" || fail "a chunkserver that was killed counts as up"
}
second=$(server 2 | jq -r .uuid)

# Which chunkserver has a file: the one that was up.
for name in here-a here-b; do head -c 200000 /dev/urandom >"$WORK/$name"; done
for name in there-a there-b there-gone there-open there-read; do head -c 200000 /dev/urandom >"$WORK/$name"; done
kill_chunkserver 2
cp "$WORK"/here-? "$MNT"
start_role chunkserver 2
kill_chunkserver 1
cp "$WORK"/there-* "$MNT"
start_role chunkserver 1
[ "$(chunks 1)" = 2 ] && [ "$(chunks 2)" = 5 ] || fail "the files are not where they should be"
wait_until 10 counted 1 2 && wait_until 10 counted 2 5 || fail "the metaserver does not know how many chunks there are"

# ---- refusals change nothing

before=$(standing 1)
for n in 1 3; do
  refused 'holds 2 chunks, which would be lost' $n chunkserver remove "$(number 1)"
  refused 'is up: --lost is for one that will never be seen again' $n chunkserver remove "$(number 2)" --lost
  refused 'holds 5 chunks' $n chunkserver remove "$(place 2)" --dry-run
done
refused 'no chunkserver' 2 chunkserver remove 4711
code=0
kfs_at 1 chunkserver remove 4711 2>/dev/null || code=$?
[ $code = 4 ] || fail "removing one that does not exist exits with $code"
code=0
kfs_at 1 chunkserver remove "$(number 1)" 2>/dev/null || code=$?
[ $code = 1 ] || fail "a refusal exits with $code"
[ "$(standing 1)" = "$before" ] || fail "a refusal has changed the configuration"
for name in here-a here-b there-a there-b there-gone; do same $name || fail "after refusals $name cannot be read"; done

# ---- down, and given up

# What is open, and what waits for the chunkserver, hears of it too.
cat >"$WORK/waiting.py" <<'P'
import errno, os, sys, time
what, path = sys.argv[1:]
fd = os.open(path, os.O_RDWR)
os.pread(fd, 10, 0)
print("open", flush=True)
sys.stdin.readline()
print("calls", flush=True)
try:
    os.pread(fd, 100, 0) if what == "read" else (os.pwrite(fd, b"more", 100), os.fsync(fd))
    print("done", flush=True)
except OSError as e:
    print(errno.errorcode[e.errno], flush=True)
P
for what in read open; do
  mkfifo "$WORK/go-$what"
  python3 "$WORK/waiting.py" $what "$MNT/there-$what" <>"$WORK/go-$what" >"$WORK/waiting-$what" &
  wait_until 10 grep -q open "$WORK/waiting-$what"
done
kill_chunkserver 2
for what in read open; do
  echo >"$WORK/go-$what"
  wait_until 5 grep -q calls "$WORK/waiting-$what"
done
was=$(number 2)
refused 'is down, and may hold chunks: .*--lost' 1 chunkserver remove "$was"
refused 'is down, and may hold chunks: .*--lost' 3 chunkserver remove "$was" --dry-run
says 'would change' 2 chunkserver remove "$was" --lost --dry-run || fail "a dry run of what will be done is refused"
[ "$(server 2 | jq .id)" = "$was" ] || fail "a dry run has removed it"
[ "$(tail -qn1 "$WORK"/waiting-* | sort -u)" = calls ] || fail "a chunkserver that is down makes a hard mount fail"
echo no | kfs_at 3 chunkserver remove "$was" --lost >"$WORK/asked" 2>&1 && fail "a chunkserver is given up without being asked for"
grep -q 'they are lost.*fails with EIO' "$WORK/asked" || fail "giving up a chunkserver is asked for with: $(<"$WORK/asked")"
kfs_at 3 chunkserver remove "$was" --lost --yes >/dev/null || fail "a chunkserver that is down cannot be given up"
await_agreement 10 1 2 3
for n in 1 2 3; do [ "$(kfs_at $n chunkserver list --json | jq length)" = 1 ] || fail "metaserver $n still lists it"; done
for what in read open; do
  wait_until 5 grep -q EIO "$WORK/waiting-$what" || fail "who waited for it ($what) does not hear that it was given up: $(<"$WORK/waiting-$what")"
done

for name in there-a there-b there-gone; do
  ! timeout 2 cat "$MNT/$name" >/dev/null 2>"$WORK/error" || fail "$name, which is lost, can be read"
  grep -q 'Input/output error' "$WORK/error" || fail "reading $name, which is lost, gives within 2 s: $(<"$WORK/error")"
  [ "$(timeout 2 stat -c %s "$MNT/$name")" = 200000 ] || fail "$name cannot be looked at"
done
same here-a && same here-b || fail "other files cannot be read"
timeout 2 rm "$MNT/there-gone" || fail "a lost file cannot be removed"
[ ! -e "$MNT/there-gone" ]
timeout 2 mv "$MNT/there-b" "$MNT/there-c" || fail "a lost file cannot be renamed"
timeout 5 sh -c 'echo anew >"$1"' - "$MNT/there-read" || fail "a lost file cannot be overwritten"
[ "$(cat "$MNT/there-read")" = anew ]
[ "$(answers "$MNT")" = ok ] || fail "nothing can be written any more"

# ---- it comes back

# start_role waits until it is accepted.
start_role chunkserver 2 & starting=$!
asks() { [ "$(grep -c 'not accepted yet' "$CLUSTER/log/chunkserver-2.log")" -ge "$1" ]; }
wait_until 20 asks 1 || fail "its log does not say that it waits"
same here-a || fail "one that waits disturbs others"
[ "$(kfs_at 1 chunkserver list --json | jq length)" = 1 ] || fail "it is in the cluster without having been added"
kfs_at 2 chunkserver add "$second" >/dev/null
wait $starting || fail "it does not come back"
now=$(number 2)
[ "$now" -gt "$was" ] || fail "its old number $was was given out again, as $now"
back() { timeout 5 cmp -s "$WORK/there-a" "$MNT/there-a" && timeout 5 cmp -s "$WORK/there-b" "$MNT/there-c"; }
wait_until 10 back || fail "the files that it has cannot be read"
timeout 5 cmp "$WORK/there-open" <(timeout 5 cat "$MNT/there-open") || fail "the file that could not be written is not as it was"
[ ! -e "$MNT/there-gone" ]
[ "$(cat "$MNT/there-read")" = anew ] || fail "what was overwritten meanwhile is not there"
# The chunks of what was removed and overwritten meanwhile go.
left() { [ "$(chunks 2)" = "$1" ]; }
on_first=$(chunks 1)
wait_until 10 left 3 || fail "it has $(chunks 2) chunks, of 3 files"
timeout 5 sh -c 'echo more >>"$1"' - "$MNT/there-a" && echo more >>"$WORK/there-a"
same there-a || fail "a file that came back cannot be written"

# ---- empty ones

never=$(cat /proc/sys/kernel/random/uuid)
kfs_at 1 chunkserver add "$never" --label rack=r1 >/dev/null
kfs_at 2 chunkserver remove "${never:0:8}" >/dev/null || fail "one that was never seen cannot be removed"
! kfs_at 1 chunkserver list --json | grep -q "$never" || fail "one that was never seen stays in the list"

rm "$MNT"/there-?  "$MNT/there-open"
wait_until 20 left 0 || fail "the chunks of removed files stay: $(chunks 2)"
wait_until 10 counted 2 0 || fail "the metaserver does not hear that it is empty: $(server 2) $(find "$CLUSTER/chunkserver-2" -type f)"
asked=$(grep -c 'not accepted yet' "$CLUSTER/log/chunkserver-2.log")
# Not within seconds of the last file that was put there: a heartbeat may not have counted it yet.
removed() { kfs_at 3 chunkserver remove "$now" >"$WORK/removed" 2>&1; }
wait_until 15 removed || fail "one that is up and empty cannot be removed: $(<"$WORK/removed")"
await_agreement 10 1 2 3
[ "$(kfs_at 1 chunkserver list --json | jq length)" = 1 ] || fail "it is still in the list"
wait_until 20 asks $((asked + 1)) || fail "it does not ask to be added again"
for n in 1 2 3 4; do echo "$n" >"$MNT/after-$n"; done
[ "$(chunks 2)" = 0 ] && [ "$(chunks 1)" = $((on_first + 4)) ] || fail "one that was removed gets new chunks"
same here-a && same here-b
kfs_at 1 cluster reset chunkserver-admission >/dev/null
anew() { [ "$(number 2)" -gt "$now" ] 2>/dev/null; }
wait_until 10 anew || fail "with chunkserver-admission=any it does not register by itself"
pass
