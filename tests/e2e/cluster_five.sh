#!/bin/bash
# timeout: 150 long: 900
# alone: thirteen hosts, three loads and two administrators are as much as a small machine can do in time
# Five metaservers, five chunkservers, three volumes of three owners, each under a load of its own: files made, renamed and removed; a
# tree packed, unpacked and compared; a database with transactions. Meanwhile the network falls into two and three metaservers, and is
# mended; two metaservers are killed and started again; options change all the time, asked of two members. No call of a program fails
# or takes long, whatever is acknowledged is there, and in the end all agree.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
. "$(dirname "$0")/namespaces_common.sh"
rounds=1
if long; then rounds=8; fi

# Hosts 1 to 5 metaservers, 6 to 10 chunkservers, 11 to 13 mounts. Chunkservers are in both parts, mounts with the owner of their
# volume: two volumes are served by the lesser part.
make_hosts 13
lesser="1 2" greater="3 4 5"
metaservers=()
start_metaserver() {
  serve_metaserver "$1"
  metaservers[$1]=$SERVED
}
for n in 1 2 3 4 5; do start_metaserver $n; done
for n in 2 3 4 5; do kfs_at 1 peer probe "$(host_address $n)" >/dev/null; done
await_agreement 20 1 2 3 4 5
for n in 6 7 8 9 10; do serve_chunkserver $n "$(host_address 1):7400,$(host_address 3):7400"; done
for n in 1 2 3 4 5; do
  # shellcheck disable=SC2046
  kfs_at $n status $(printf -- '--wait 10.87.0.%s:7400 ' 6 7 8 9 10) --timeout 20 >/dev/null || fail "not all chunkservers are at metaserver $n"
done
names=(- files tree database)
for n in 1 2 3; do
  kfs_at 4 volume create "${names[n]}" --owner "$(host_address $n)" --chunk-size 1M >/dev/null
  mount_at $((10 + n)) $n "${names[n]}" "$WORK/${names[n]}"
done
kfs_at 1 volume list --json | jq -r '.[].owner' | sort | tr '\n' ' ' | grep -qx '10.87.0.1:7400 10.87.0.2:7400 10.87.0.3:7400 ' || fail "volumes have other owners"

# ---- load. Each writes "DONE LONGEST" after each of its rounds, and ends when there is a file "enough".

start_load() {  # start_load NAME COMMAND...
  local name=$1
  shift
  mkdir "$WORK/$name/work"
  "$@" "$WORK/$name/work" "$WORK/enough" "$WORK/load-$name" >"$WORK/load-$name.out" 2>&1 &
  loads[$name]=$!
  wait_until 20 test -s "$WORK/load-$name" || fail "the load on $name does not begin: $(<"$WORK/load-$name.out")"
}
declare -A loads
done_by() { cut -d' ' -f1 "$WORK/load-$1"; }
longest_of() { cut -d' ' -f2 "$WORK/load-$1"; }
further() { [ "$(done_by "$1")" -gt "$2" ]; }
await_load() {  # await_load WHEN: each of the three goes on
  local name
  for name in "${!loads[@]}"; do
    wait_until 10 further "$name" "$(done_by "$name")" || fail "the load on $name does not go on $1: $(tail -3 "$WORK/load-$name.out")"
  done
}

cat >"$WORK/load.py" <<'P'
import os, random, shutil, sqlite3, subprocess, sys, time
kind, root, enough, report = sys.argv[1:5]
longest = 0.0
def timed(what, call, *args):
    global longest
    began = time.monotonic()
    result = call(*args)
    took = time.monotonic() - began
    if took > longest:
        longest = took
        print(f"{what}: {took:.2f} s", flush=True)
    return result
def note(done):
    with open(report + ".tmp", "w") as f:
        f.write(f"{done} {longest:.3f}\n")
    os.rename(report + ".tmp", report)

def put(path, text):
    with open(path, "x") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
def get(path):
    with open(path) as f:
        return f.read()

def files(n, state):  # made, renamed, read again, every second one removed
    time.sleep(0.005)
    if n == 0:
        for d in range(5):
            os.mkdir(f"{root}/d{d}")
    new, kept = f"{root}/d{n % 5}/new{n}", f"{root}/d{(n + 1) % 5}/f{n}"
    timed("make", put, new, f"content of {n}\n" * 50)
    timed("rename", os.rename, new, kept)
    state[n] = kept
    if n >= 40 and n % 2:
        timed("read", lambda: get(state[n - 40]) == f"content of {n - 40}\n" * 50 or sys.exit("other content"))
        timed("remove", os.unlink, state.pop(n - 40))
def files_end(n, state):
    there = {f"{root}/{d}/{f}" for d in os.listdir(root) for f in os.listdir(f"{root}/{d}")}
    if there != set(state.values()):
        sys.exit(f"other files are there: {sorted(there ^ set(state.values()))[:5]}")
    for i, path in state.items():
        if get(path) != f"content of {i}\n" * 50:
            sys.exit(f"{path} has other content")

def tree(n, state):  # packed into the volume, unpacked there, compared, removed
    source = os.environ["SOURCE"]
    for command in (["tar", "-C", source, "-cf", f"{root}/{n}.tar", "."], ["mkdir", f"{root}/{n}"],
                    ["tar", "-C", f"{root}/{n}", "-xf", f"{root}/{n}.tar"], ["diff", "-r", "--no-dereference", source, f"{root}/{n}"]):
        subprocess.run(command, check=True)  # each is many calls; those are timed below
    timed("stat", os.stat, f"{root}/{n}")
    if n > 0:
        shutil.rmtree(f"{root}/{n - 1}")
        timed("remove", os.unlink, f"{root}/{n - 1}.tar")
def tree_end(n, state):
    if sorted(os.listdir(root)) != sorted([str(n - 1), f"{n - 1}.tar"]):
        sys.exit(f"the root has {os.listdir(root)}")
    subprocess.run(["diff", "-r", "--no-dereference", os.environ["SOURCE"], f"{root}/{n - 1}"], check=True)

def database(n, state):
    if n == 0:
        state["db"] = sqlite3.connect(f"{root}/db", timeout=10, isolation_level=None)
        state["db"].execute("CREATE TABLE t(n INTEGER PRIMARY KEY, data TEXT)")
    timed("transaction", lambda: [state["db"].execute(c) for c in
          ("BEGIN IMMEDIATE", f"INSERT INTO t VALUES({n}, hex(randomblob(2000)))", "COMMIT")])
    if n % 50 == 49:
        timed("select", lambda: state["db"].execute("SELECT count(*) FROM t").fetchone() == (n + 1,) or sys.exit("rows are lost"))
def database_end(n, state):
    state["db"].close()
    with sqlite3.connect(f"{root}/db") as db:
        if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            sys.exit("integrity_check")
        if db.execute("SELECT count(*), min(n), max(n) FROM t").fetchone() != (n, 0, n - 1):
            sys.exit("rows are lost")

n, state = 0, {}
while not os.path.exists(enough):
    globals()[kind](n, state)
    n += 1
    note(n)
globals()[kind + "_end"](n, state)
P
make_tree "$WORK/source" 150
export SOURCE=$WORK/source
for name in files tree database; do start_load $name python3 "$WORK/load.py" $name; done
# Calls of tar and diff are not timed one by one; those of a program beside them are.
mkdir "$WORK/tree/beside"
start_writer beside "$WORK/tree/beside"

# ---- administrators

administrate() {  # administrate N: a change each second; status, count and words of each
  local count=0 said code
  while [ ! -e "$WORK/no-more-changes" ]; do
    count=$((count + 1)) code=0
    said=$(kfs_at "$1" volume set files "user.from-$1" "$count" --timeout 3 2>&1) || code=$?
    echo "$code|$count|$(tr '\n' ' ' <<<"$said")" >>"$WORK/admin-$1"
    sleep 1
  done
}
: >"$WORK/admin-1"
: >"$WORK/admin-3"
administrate 1 & admin_1=$!
administrate 3 & admin_3=$!
made() { grep -c '^0|' "$WORK/admin-$1" || :; }
further_made() { [ "$(made "$1")" -gt "$2" ]; }
await_changes() {  # await_changes WHEN N...
  local n when=$1
  shift
  for n; do wait_until 15 further_made "$n" "$(made "$n")" || fail "no change is made at metaserver $n $when: $(tail -2 "$WORK/admin-$n")"; done
}
refusals() { grep -c '^1|.*missing: ' "$WORK/admin-1" || :; }
refused_more() { [ "$(refusals)" -gt "$1" ]; }
await_changes "at first" 1 3

kill_metaserver() {
  kill -9 "${metaservers[$1]}"
  wait_until 10 dead "${metaservers[$1]}"
}
for round in $(seq $rounds); do
  before=$(refusals)
  between add "$lesser" "$greater"
  wait_until 15 refused_more "$before" || fail "the lesser part makes changes: $(tail -2 "$WORK/admin-1")"
  await_changes "in the greater part" 3
  await_load "while there are two parts"
  between del "$lesser" "$greater"
  await_catching_up 15 1 2 3 4 5
  await_changes "in the whole network" 1 3

  for n in 4 5; do kill_metaserver $n; done
  await_changes "without two that own nothing" 1 3
  await_load "without two that own nothing"
  for n in 4 5; do start_metaserver $n; done
  await_catching_up 15 1 2 3 4 5
  await_changes "when they are back" 1 3
  await_load "when they are back"
done

# ---- what came of it

: >"$WORK/no-more-changes"
wait $admin_1 $admin_3
: >"$WORK/enough"
for name in "${!loads[@]}"; do
  wait "${loads[$name]}" || fail "the load on $name: $(tail -5 "$WORK/load-$name.out")"
  say "$name: $(done_by "$name") rounds, longest call $(longest_of "$name") s"
  below "$(longest_of "$name")" 4 || fail "a call on $name took $(longest_of "$name") s: $(tail -3 "$WORK/load-$name.out")"
done
stop_writer beside "$WORK/tree/beside"
below "$(longest_pause beside)" 4 || fail "a file beside the tree took $(longest_pause beside) s"
await_agreement 10 1 2 3 4 5
awk -F'|' '$1 != 0 && ($1 != 1 && $1 != 5 || length($3) < 20)' "$WORK"/admin-? >"$WORK/odd"
[ ! -s "$WORK/odd" ] || { head -5 "$WORK/odd"; fail "commands failed without words"; }
for n in 1 3; do
  say "administrator at metaserver $n: $(made $n) changes, $(grep -vc '^0|' "$WORK/admin-$n" || :) others"
  # The last that was acknowledged; or a later one of which nobody knows.
  is=$(kfs_at 5 volume list --json | jq -r --arg o "user.from-$n" '.[] | select(.name == "files") | .options[$o]')
  last=$(sed -n 's/^0|\([0-9]*\)|.*/\1/p' "$WORK/admin-$n" | tail -1)
  [ "$is" = "$last" ] || { [ "$is" -gt "$last" ] && grep -q "^5|$is|" "$WORK/admin-$n"; } || fail "of metaserver $n's changes $is is there, $last was acknowledged"
done
for n in 1 2 3 4 5; do
  ! grep -E ' C kfs-metaserver| cluster\.(peer_rejected|unexpected_event)' "$CLUSTER/log/metaserver-$n.log" || fail "metaserver $n has something to complain of"
done
pass
