#!/bin/bash
# timeout: 120 long: 120
# What daemons and mounts make is for their owner only, whatever the umask; links are encrypted or of this machine with nothing set
# up; who listens at the address of a metaserver that is down gets nothing from mounts and chunkservers.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/metaservers_common.sh"
need_root
need_cluster
umask 000
start_cluster --option socket-dir="$WORK/sockets" --option socketdir="$WORK/sockets"
echo data >"$MNT/file"
for i in $(seq 30); do echo "$i" >"$MNT/f$i"; done
sync

say "files and directories"
for directory in "$CLUSTER/metaserver-1" "$CLUSTER/chunkserver-1"; do
  open=$(find "$directory" -perm /077 ! -type l)
  [ -z "$open" ] || fail "open to others: $open"
done

say "the kinds of links"
kinds() { kfs_at 1 status --json | jq -r '[.sessions[].link] | unique | join(",")'; }
[ "$(kinds)" = unix ] || fail "the mount's link is $(kinds), not a Unix socket"
mount_through 1 "$(kfs_at 1 volume list --json | jq -r '.[0].name')" "$WORK/tcp" "socketdir="
echo more >"$WORK/tcp/more"
kinds | grep -q tls || fail "without Unix sockets the link is $(kinds), not TLS"
! kfs_at 1 status --json | grep -q '"plain"' || fail "a link is plain"
! grep -rq "link.plain" "$CLUSTER/log" || fail "a plain link is logged"

say "the secret is told to nobody"
for name in metaserver-1 chunkserver-1; do
  pid=$(pid_of "${name%-*}" "${name#*-}")
  secret=$(<"$CLUSTER/secret")
  ! tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$secret" || fail "the secret is in $name's arguments"
  ! tr '\0' '\n' <"/proc/$pid/environ" | grep -qF "$secret" || fail "the secret is in $name's environment"
done
! grep -rqF "$(<"$CLUSTER/secret")" "$CLUSTER/log" || fail "the secret is in a log"

say "somebody else at the metaserver's address"
address=$(address_of 1)
kill_role metaserver 1 KILL
rm -rf "$WORK/sockets"
# It records what it is told, and answers whatever comes with what it has heard from others.
python3 - "$address" "$WORK/heard" <<'P' &
import socket, sys, threading
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, int(port)))
listener.listen(64)
heard = open(sys.argv[2], "wb", buffering=0)
others = []
def serve(c):
    try:
        while data := c.recv(65536):
            heard.write(data)
            for o in others[-8:]:
                o.send(data)
    except OSError:
        pass
while True:
    c, _ = listener.accept()
    others.append(c)
    threading.Thread(target=serve, args=(c,), daemon=True).start()
P
rogue=$!
(timeout 20 cat "$WORK/tcp/more" >/dev/null 2>&1 || :) &
reader=$!
wait_until 20 test -s "$WORK/heard"
wait "$reader" || :
kill "$rogue"
wait "$rogue" || :
! grep -qa KFS1 "$WORK/heard" || fail "somebody has said a frame to whoever was there"
start_role metaserver 1
wait_until 30 cmp -s "$WORK/tcp/more" <(echo more)
[ "$(cat "$MNT/file")" = data ]
umount "$WORK/tcp"
pass
