#!/bin/bash
# FIFOs carry data between processes, permissions hold, sockets and device nodes can be made.
. "$(dirname "$0")/lib.sh"
need python3
start_cluster --chunkservers 1
cd "$MNT"
mkfifo -m 600 pipe
[ "$(stat -c '%F %a' pipe)" = 'fifo 600' ]
head -c 300000 /dev/urandom >"$WORK/data"
cat "$WORK/data" >pipe & writer=$!
timeout 10 cat pipe | cmp - "$WORK/data"
wait $writer
python3 - <<'P'
import os, socket, stat
server = socket.socket(socket.AF_UNIX)
server.bind("socket")
assert stat.S_ISSOCK(os.stat("socket").st_mode)
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect("socket")
P
if [ "$(id -u)" = 0 ]; then
  mknod zero c 1 5
  [ "$(stat -c '%F %t %T' zero)" = 'character special file 1 5' ]
  chmod 755 .
  must_fail setpriv --reuid 65534 --regid 65534 --clear-groups timeout 5 dd if=pipe of=/dev/null iflag=nonblock
fi
rm pipe socket
pass
