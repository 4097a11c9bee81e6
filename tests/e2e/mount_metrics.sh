#!/bin/bash
# A mount with metrics=: its page counts what programs do, /healthz says whether the metaserver is there, and the socket is its user's and
# goes with the mount.
. "$(dirname "$0")/lib.sh"
socket=$WORK/metrics
ask() { python3 - "$socket" "$1" <<'PY'
import http.client, socket, sys
class Local(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(sys.argv[1])
c = Local("mount")
c.request("GET", sys.argv[2])
r = c.getresponse()
print(r.status, r.read().decode(), end="")
PY
}
need_cluster
start_cluster --chunkservers 1 --option "metrics=unix:$socket"
[ "$(stat -c %a "$socket")" = 600 ] || fail "the socket's mode is $(stat -c %a "$socket")"
for n in 1 2 3; do mkdir "$MNT/dir-$n"; done
must_fail mkdir "$MNT/dir-1"
echo hello >"$MNT/file"
[ "$(cat "$MNT/file")" = hello ] || fail "read back"
counted() { ask /metrics >"$WORK/page" && grep -qF "$1" "$WORK/page"; }
wait_until 10 counted 'kfs_client_call_seconds_count{call="Write"} 1' || fail "no write is counted: $(grep _count "$WORK/page")"
for line in 'kfs_client_call_seconds_count{call="Mkdir"} 3' kfs_process_resident_bytes kfs_loop_stalls_total 'kfs_client_stage_seconds_bucket{stage="server"'; do
  grep -qF "$line" "$WORK/page" || fail "no '$line' on the page: $(cat "$WORK/page")"
done
[ "$(ask /healthz)" = "200 ok" ] || fail "/healthz: $(ask /healthz)"
kill_role metaserver 1
sick() { ask /healthz >"$WORK/health"; grep -q '^503 .*no metaserver is connected' "$WORK/health"; }
wait_until 20 sick || fail "/healthz without a metaserver: $(cat "$WORK/health")"
start_role metaserver 1
well() { [ "$(ask /healthz)" = "200 ok" ]; }
wait_until 20 well || fail "/healthz does not recover: $(ask /healthz)"
umount "$MNT"
gone() { ! [ -e "$socket" ]; }
wait_until 10 gone || fail "the socket outlives its mount"
pass
