#!/bin/bash
# chattr +i and +a hold for every mount at once, for root, and for descriptors opened before.
. "$(dirname "$0")/lib.sh"
need chattr lsattr python3
need_root
need_cluster
start_cluster --chunkservers 1
second_mount
cd "$MNT"
head -c 200000 /dev/urandom >file
echo one >log
cp file "$WORK/copy"
mkfifo "$WORK/go" "$WORK/ready"
# The other mount has written and goes on by the layout that it knows.
python3 - "$MNT2/file" "$WORK/ready" "$WORK/go" <<'P' &
import errno, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(fd, os.pread(fd, 4096, 0), 0)
open(sys.argv[2], "w").close()
open(sys.argv[3]).close()
for change in (lambda: os.pwrite(fd, b"X" * 4096, 0), lambda: os.ftruncate(fd, 5), lambda: os.pwrite(fd, b"X", 300000)):
    try:
        change()
    except OSError as e:
        assert e.errno == errno.EPERM, e
    else:
        sys.exit("an immutable file was changed")
P
writer=$!
read -r <"$WORK/ready" || :
chattr +i file
: >"$WORK/go"
wait "$writer"
cmp file "$WORK/copy"
cmp "$MNT2/file" "$WORK/copy"
lsattr "$MNT2/file" | grep -q '^----i' || fail "$(lsattr "$MNT2/file")"
must_fail rm -f "$MNT2/file"
must_fail mv "$MNT2/file" "$MNT2/other"
must_fail sh -c "echo x >>'$MNT2/file'"
chattr -i "$MNT2/file"
echo x >>file

chattr +a log
for i in $(seq 20); do echo "$i" >>log; echo "$i" >>"$MNT2/log"; done
[ "$(wc -l <log)" = 41 ]
must_fail sh -c "echo x >'$MNT2/log'"
# Not by way of an append's place either.
python3 - "$MNT2/log" <<'P'
import errno, fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_APPEND)
os.write(fd, b"last\n")
fcntl.fcntl(fd, fcntl.F_SETFL, 0)
try:
    os.pwrite(fd, b"XXXX", 0)
except OSError as e:
    assert e.errno == errno.EPERM, e
else:
    sys.exit("an append-only file was overwritten")
P
[ "$(head -1 log)" = one ]
[ "$(tail -1 log)" = last ]

# A metaserver that comes back knows. (Who works in a directory of the mount waits for it to be back.)
cd "$WORK"
unset OLDPWD   # a shell that starts looks at it
kill_role metaserver 1
start_role metaserver 1
cd "$MNT"
must_fail rm -f log
chattr -a log
rm log file
pass
