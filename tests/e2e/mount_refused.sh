#!/bin/bash
# timeout: 60 long: 60
# A mount of an address at which nothing listens says so at once, on stderr, and goes on trying for the ten seconds that a daemon which
# is just being started may need; then it fails in words, with the exit code of mount(8). One that comes up meanwhile is mounted.
. "$(dirname "$0")/lib.sh"
need_root
need_cluster
need python3
KFS=$(built kfs)
MNT=$WORK/mnt
mkdir -p "$MNT"
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$WORK/secret"
chmod 600 "$WORK/secret"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

cat >"$WORK/watch.py" <<'P'
# Runs a command: when its first line on stderr came, when it ended, its exit code, and all it said.
import subprocess, sys, time
began = time.monotonic()
p = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
first = p.stderr.readline()
said = time.monotonic() - began
rest = p.stderr.read()
print(f"{said:.2f} {time.monotonic() - began:.2f} {p.wait()}\n{first}{rest}", end="")
P
for how in "" -f; do
  # shellcheck disable=SC2086
  python3 "$WORK/watch.py" "$KFS" mount $how "127.0.0.1:$port:/data" "$MNT" --secret-file "$WORK/secret" >"$WORK/said"
  read -r first all code <"$WORK/said"
  awk -v t="$first" 'BEGIN {exit !(t < 2)}' || { cat "$WORK/said"; fail "it says nothing for $first s ($how)"; }
  grep -q "127.0.0.1:$port.*Connection refused.*trying" <(sed -n 2p "$WORK/said") || { cat "$WORK/said"; fail "it does not say first that the connection is refused ($how)"; }
  awk -v t="$all" 'BEGIN {exit !(t > 8 && t < 15)}' || { cat "$WORK/said"; fail "it gives up after $all s ($how)"; }
  [ "$code" = 32 ] || { cat "$WORK/said"; fail "its exit code is $code ($how)"; }
  grep -q 'no metaserver answers at' "$WORK/said" || { cat "$WORK/said"; fail "it does not say why it fails ($how)"; }
  ! mounted "$MNT" || fail "it is mounted"
done
pass
