#!/bin/bash
# timeout: 180 long: 600
# A volume changes its metaserver under a mount that works: no call fails, open files and locks stay, nothing is lost. Refusals leave
# it where it is; killed in the middle, either metaserver (and both) come back with the volume in exactly one place.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
export KFS_TEST_STOP=1
start_cluster --metaservers 3 --chunkservers 2
await_agreement 20 1 2 3
kfs_at 1 volume create data --owner "$(address_of 1)"
mount_through 2 data "$WORK/data"
owner() { kfs_at "${1:-1}" volume list --json | jq -r '.[] | select(.name == "data") | .owner'; }
owned_by() { [ "$(owner "${2:-1}" 2>/dev/null)" = "$(address_of "$1")" ]; }
number=$(kfs_at 1 volume list --json | jq '.[] | select(.name == "data") | .id')
files_on() { find "$CLUSTER/metaserver-$1/volumes/$number" "$CLUSTER/metaserver-$1/incoming" -type f 2>/dev/null | wc -l; }
nothing_on() { [ "$(files_on "$1")" = 0 ]; }

# One process makes, renames and removes; each call is counted, the longest is noted, an error ends it.
cat >"$WORK/worker.py" <<'P'
import os, sys, time
root, enough = sys.argv[1:]
longest = n = 0
os.mkdir(root)
while not os.path.exists(enough):
    begin = time.monotonic()
    name = f"{root}/f{n}"
    with open(name, "x") as f:
        f.write(f"{n}\n")
    os.rename(name, f"{root}/g{n}")
    if n >= 20:
        assert open(f"{root}/g{n - 20}").read() == f"{n - 20}\n"
        if n % 2:
            os.unlink(f"{root}/g{n - 20}")
    longest = max(longest, time.monotonic() - begin)
    n += 1
left = sorted(int(e[1:]) for e in os.listdir(root))
want = sorted(m for m in range(n) if m > n - 21 or m % 2 == 0 or (m + 20) >= n)
print(f"{n} rounds, longest {longest:.2f} s")
sys.exit(0 if [m for m in left if m % 2 == 0] == [m for m in range(n) if m % 2 == 0] else 1)
P
sed -i '/^want = /d; s/if n % 2:/if (n - 20) % 2:/' "$WORK/worker.py"
python3 "$WORK/worker.py" "$WORK/data/work" "$WORK/enough" >"$WORK/worker.log" 2>&1 &
worker=$!
cat >"$WORK/holder.py" <<'P'
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
fcntl.lockf(fd, fcntl.LOCK_EX)
os.unlink(sys.argv[1] + ".gone") if os.path.exists(sys.argv[1] + ".gone") else None
gone = os.open(sys.argv[1] + ".gone", os.O_RDWR | os.O_CREAT)
os.unlink(sys.argv[1] + ".gone")
os.write(gone, b"unlinked")
print("locked", flush=True)
for line in sys.stdin:
    os.pwrite(fd, line.encode(), 0)
    os.fsync(fd)
    print("written" if os.pread(gone, 100, 0) == b"unlinked" else "lost", flush=True)
P
mkfifo "$WORK/say"
exec 7<>"$WORK/say"
python3 "$WORK/holder.py" "$WORK/data/held" <"$WORK/say" >"$WORK/said" 2>&1 &
holder=$!
wait_until 10 grep -q locked "$WORK/said"
mount_through 3 data "$WORK/again"
locked() { ! flock_of_ranges; }
flock_of_ranges() { python3 -c 'import fcntl, sys; fcntl.lockf(open(sys.argv[1], "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)' "$WORK/again/held" 2>/dev/null; }
held() {  # the file that was opened at first can be written, is locked for others, and what has no name is there
  local before
  before=$(wc -l <"$WORK/said")
  echo "$RANDOM" >&7
  said_more() { [ "$(wc -l <"$WORK/said")" -gt "$before" ]; }
  wait_until 20 said_more || fail "the open file cannot be written $1"
  [ "$(tail -1 "$WORK/said")" = written ] || fail "the open file without a name is lost $1: $(tail -1 "$WORK/said")"
  locked || fail "another mount gets the lock $1"
}
held "before the move"

# What is refused, and tried out.
refused "there is no volume" 1 volume move nothing "$(address_of 2)"
refused "there is no peer" 1 volume move data m9:7400
refused "serves volume .data. already" 2 volume move data "$(address_of 1)"
says "would change" 3 volume move data "$(address_of 2)" --dry-run || fail "a dry run says something else"
owned_by 1 || fail "a dry run has moved it"

# Round and round.
for round in 1 2 3; do
  for to in 2 3 1; do
    kfs_at $((to % 3 + 1)) volume move data "$(address_of $to)" >>"$WORK/moves"
    owned_by $to || fail "round $round: it is not with metaserver $to"
    held "in round $round, on metaserver $to"
  done
done
wait_until 10 nothing_on 2 || fail "metaserver 2 keeps $(files_on 2) files of a volume that it does not serve"
wait_until 10 nothing_on 3 || fail "metaserver 3 keeps $(files_on 3) files of a volume that it does not serve"

# While it is stopped: callers wait or are told so, as the mount options say, and it stays stopped until it is started, wherever it is.
kfs_at 1 volume create idle --owner "$(address_of 1)"
mount_through 1 idle "$WORK/idle"
echo kept >"$WORK/idle/file"
unmount "$WORK/idle"
kfs_at 1 volume stop idle --yes
idle() { kfs_at 3 volume list --json | jq -r '.[] | select(.name == "idle") | "\(.owner) \(.started)"'; }
for to in 2 3 1 2; do
  kfs_at 1 volume move idle "$(address_of $to)" >>"$WORK/moves"
  [ "$(idle)" = "$(address_of $to) false" ] || fail "a stopped volume that was moved to metaserver $to is: $(idle)"
done
kill_role metaserver 3
refused "was not moved.*othing was changed" 1 volume move idle "$(address_of 3)"
start_role metaserver 3
await_agreement 20 1 2 3
kfs_at 1 volume start idle
mount_through 1 idle "$WORK/idle"
[ "$(<"$WORK/idle/file")" = kept ] || fail "a volume that was moved while it was stopped is not what it was"
unmount "$WORK/idle"

# To one that is down.
kill_role metaserver 3
refused "was not moved.*othing was changed" 1 volume move data "$(address_of 3)"
held "after a refused move"
start_role metaserver 3
await_agreement 20 1 2 3

# From one that hangs: nobody waits for as long as a move may take.
kill_role metaserver 1 STOP
began=$SECONDS
refused "served by $(address_of 1), which alone can hand it over, and nothing was changed" 2 volume move data "$(address_of 2)"
[ $((SECONDS - began)) -lt 30 ] || fail "a move from an owner that hangs is refused after $((SECONDS - began)) s"
kill_role metaserver 1 CONT
await_agreement 20 1 2 3
held "after a move from one that hung was refused"

# Killed at the moments that matter: the present owner decides the move, the next one is asked.
both=0
kill_moving() {  # kill_moving VICTIM MOMENT PHASE
  local victim=$1 moment=$2 phase=$3 from=1 to=2
  owned_by 1 || { from=2 to=1; }
  [ "$victim" = from ] && victim=$from || victim=$to
  echo "$moment $phase" >"$CLUSTER/metaserver-$victim/test-stop"
  (trap - ERR; code=0; kfs_at $from volume move data "$(address_of $to)" --timeout 15 >"$WORK/said-by-move" 2>&1 || code=$?; echo $code >"$WORK/move-code") &
  local command=$!
  at_the_stop() { grep -q '^State:.T' "/proc/$(pid_of metaserver "$victim")/status" && [ ! -e "$CLUSTER/metaserver-$victim/test-stop" ]; }
  wait_until 15 at_the_stop || fail "metaserver $victim did not come to '$moment $phase': $(<"$WORK/said-by-move")"
  kill_role metaserver "$victim"
  if [ $both = 1 ]; then kill_role metaserver $((3 - victim)); start_role metaserver $((3 - victim)); fi
  start_role metaserver "$victim"
  wait $command || fail "the command's shell ended"
  local code
  code=$(<"$WORK/move-code")
  await_agreement 30 1 2 3
  held "after '$moment $phase' on metaserver $victim"
  owned_by 1 3 || owned_by 2 3 || fail "nobody owns it"
  local is=1 other=2
  owned_by 2 && is=2 other=1
  # What the command was told is true: 0 made, 1 not made, 5 one of the two.
  case $code in
    0) [ $is = $to ] ;;
    1) [ $is = $from ] ;;
    5) : ;;
    *) false ;;
  esac || fail "'$moment $phase' on $victim: exit code $code, and it is with $is: $(<"$WORK/said-by-move")"
  wait_until 20 nothing_on $other || fail "'$moment $phase' on $victim: metaserver $other keeps $(files_on $other) files though $is owns it"
  echo "$victim $moment $phase: now with $is" >>"$WORK/kills"
}
kill_moving from send LOCK
kill_moving from send STAGE
kill_moving from send COMMIT
kill_moving from send UNLOCK
kill_moving to receive STAGE
kill_moving to receive COMMIT
kill_moving to receive UNLOCK
both=1
kill_moving from send COMMIT
kill_moving to receive COMMIT

: >"$WORK/enough"
wait $worker || fail "the worker ended with: $(tail -5 "$WORK/worker.log")"
say "$(<"$WORK/worker.log")"
sed 's/^/  /' "$WORK/kills"
held "at the end"
diff -r "$WORK/data" "$WORK/again" || fail "two mounts differ"
# A metaserver that owns nothing any more can go.
refused "owns volume .dev.: .*kfs volume move dev" 2 peer detach "$(address_of 1)"
kfs_at 2 volume move dev "$(address_of 3)" >/dev/null
owned_by 1 2 && kfs_at 2 volume move data "$(address_of 3)" >/dev/null
kfs_at 2 peer detach "$(address_of 1)" >/dev/null || fail "a metaserver whose volumes have moved cannot be detached"
kill_role metaserver 1
held "after its first metaserver is gone"
echo x >"$MNT/file" || fail "the other volume cannot be used"
kill $holder
wait $holder || :
unmount "$WORK/data"
unmount "$WORK/again"
pass
