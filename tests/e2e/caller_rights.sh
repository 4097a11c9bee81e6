#!/bin/bash
# timeout: 180 long: 300
# What a caller may do beyond its uid counts as on a local disk: capabilities of one who is not root, root without capabilities, root of a
# user namespace, supplementary groups when the mount's process has a PID namespace of its own; and nothing more than that.
. "$(dirname "$0")/lib.sh"
need_root
need setpriv setfacl unshare python3
python=$(command -v /usr/bin/python3 python3 | head -1)   # one that everybody may execute
start_cluster --chunkservers 1
chmod 755 "$MNT"
M=$MNT
as() { timeout 20 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps "$1" --ambient-caps "$1" --bounding-set "$1" -- "${@:2}"; }
with() { as "-all,+${1//,/,+}" "${@:2}"; }
may() { "$@" >/dev/null 2>"$WORK/words" || fail "refused: $*: $(<"$WORK/words")"; }
prepare() {
  rm -rf "$M/t"
  mkdir -m 755 "$M/t"
  cd "$M/t"
  echo secret >f; chmod 0000 f
  echo mine >g; chmod 0600 g; chown 1:1 g
  mkdir -m 0700 closed; echo in >closed/f
  mkdir -m 1777 sticky; touch sticky/roots
}
capabilities() {
  prepare
  as -all true || skip "setpriv cannot drop capabilities here"
  for what in 'cat f' 'ls closed' 'cat closed/f' 'touch closed/new' 'chown 4711 g' 'chmod 0640 g' 'touch -d 2001-01-01 g' 'rm -f sticky/roots' \
    'mknod null c 1 3' 'setfacl -m u:5:r g'; do
    # shellcheck disable=SC2086
    must_fail as -all $what
  done
  may with dac_read_search cat f
  may with dac_read_search ls closed
  may with dac_read_search cat closed/f
  must_fail with dac_read_search sh -c 'echo x >>f'
  must_fail with dac_read_search touch closed/new
  must_fail with dac_read_search truncate -s 0 f
  may with dac_override sh -c 'echo x >>f'
  may with dac_override sh -c 'echo x >closed/new && mv closed/new closed/newer && ln closed/newer closed/link && rm closed/link'
  may with dac_override mkdir closed/d closed/d/e
  must_fail with dac_override chmod 0640 g
  must_fail with dac_override chown 4711 g
  may with chown chown 4711:4712 g
  [ "$(stat -c %u:%g g)" = 4711:4712 ]
  must_fail with chown chmod 0640 g
  may with fowner chmod 0640 g
  may with fowner touch -d 2001-01-01 g
  may with fowner setfacl -m u:5:r g
  may with fowner rm -f sticky/roots
  must_fail with fowner chown 1 g
  may with dac_override,mknod mknod closed/null c 1 3
  chmod 0777 .
  may with fowner,fsetid sh -c 'chmod 2755 g && [ -g g ]'
  may with fowner sh -c 'chmod 2755 g && [ ! -g g ]'
  may with sys_admin $python -c 'import os; os.setxattr("g", "trusted.x", b"1"); assert os.getxattr("g", "trusted.x") == b"1"'
  # (The kernel filters no list: one that is not seen gets that of a user like another.)
  [ "$M" != "$MNT" ] || may with sys_admin $python -c 'import os; assert "trusted.x" in os.listxattr("g")'
  must_fail as -all $python -c 'import os; os.setxattr("g", "trusted.y", b"1")'
  must_fail as -all $python -c 'import os; os.getxattr("g", "trusted.x")'
  may as -all $python -c 'import os; assert "trusted.x" not in os.listxattr("g")'
  # Who may keep setgid when he writes keeps it when he copies.
  cat >"$WORK/copy.py" <<'P'
import os, sys
a, b = os.open("own", os.O_RDONLY), os.open(sys.argv[1], os.O_WRONLY)
assert os.copy_file_range(a, b, 3) == 3
P
  chmod 755 "$WORK"; chmod 644 "$WORK/copy.py"
  echo abc >own; chmod 0666 own; touch copied; chown 0:0 copied
  chmod 02777 copied
  may with fsetid $python "$WORK/copy.py" copied
  # (Of one that is not seen nobody but its kernel knows, which does not say it with a copy.)
  [ "$M" != "$MNT" ] || [ -g copied ] || fail "$M: a copy by a caller with CAP_FSETID clears setgid"
  may as -all $python "$WORK/copy.py" copied
  [ ! -g copied ] || fail "$M: a copy by a caller without CAP_FSETID keeps setgid"
  # root that has given its capabilities up is a user like another.
  bare() { timeout 20 setpriv --inh-caps=-all --bounding-set=-all --clear-groups -- "$@"; }
  chown 4711:4711 closed closed/f; chmod 0700 closed
  must_fail bare ls closed
  must_fail bare touch closed/x
  must_fail bare chmod 0777 closed
  must_fail bare chown 0 closed
  must_fail bare cat f
  [ "$M" != "$MNT" ] || may bare $python -c 'import os; assert "trusted.x" not in os.listxattr("g")'
  may bare touch own
  may bare chmod 0600 own
}
# root of a user namespace is one over what its namespace maps.
namespaces() {
  prepare
  unshare -U true 2>/dev/null || { say "no user namespaces here: that part is skipped"; return 0; }
  chown 100000:100000 closed closed/f; chmod 0700 closed
  chown 100005:100005 g; chmod 0600 g
  chmod 0777 .
  cat >"$WORK/enter.py" <<'P'
# Runs a command as root of a user namespace that maps 0.. to 100000.., with all capabilities in it.
import ctypes, os, sys
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.close(go[1])
    if ctypes.CDLL(None).unshare(0x10000000): os._exit(99)
    os.write(ready[1], b"+"); os.read(go[0], 1)
    os.setgroups([]); os.setgid(0); os.setuid(0)
    os.execvp(sys.argv[1], sys.argv[1:])
os.read(ready[0], 1)
for kind in ("uid_map", "gid_map"):
    with open("/proc/%d/%s" % (child, kind), "w") as f: f.write("0 100000 1000")
os.write(go[1], b"+")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
P
  inside() { timeout 20 python3 "$WORK/enter.py" "$@"; }
  may inside cat g
  may inside sh -c 'echo x >>g && chown 7:7 g && chmod 0400 g && touch closed/new && cat closed/f'
  [ "$(stat -c %u g)" = 100007 ]
  must_fail inside cat f
  must_fail inside chmod 0777 f
  must_fail inside sh -c 'echo x >>f'
  must_fail inside $python -c 'import os; os.setxattr("g", "trusted.x", b"1")'
}
groups() {   # of programs outside the PID namespace of the mount's process
  prepare
  chgrp 5000 g closed; chmod 660 g; chmod 2770 closed
  member() { timeout 20 setpriv --reuid 65534 --regid 65534 --groups "$1" -- "${@:2}"; }
  may member 5000 cat g
  may member 5000 sh -c 'echo y >>g'
  may member 5000 touch closed/new
  may member 5000 ls closed
  may member 5000 sh -c 'mv closed/new closed/newer && rm closed/newer'
  must_fail member 5001 cat g
  must_fail member 5001 ls closed
  must_fail member 5001 touch closed/new
  chown 65534 g
  may member 5000 chgrp 5000 g
  must_fail member 5000 chgrp 5001 g
  may member 5000 sh -c 'chmod 2770 g && [ -g g ]'
  setfacl -b -m g:6000:rw f; chmod 0660 f
  may member 6000 cat f
  must_fail member 6001 cat f
}
# Threads have credentials of their own, and a program with setuid or setgid those of its file.
threads() {
  prepare
  chown 1:5000 g; chmod 0640 g
  cat >"$WORK/threads.py" <<'P'
# Two threads of one process, one in group 5000 and one in 5001, read the file at once, again and again.
import ctypes, os, platform, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
setgroups, setresgid, setresuid = (159, 149, 147) if platform.machine() == "aarch64" else (116, 119, 117)
wrong, done = [], []
def act(group, may):
    groups = (ctypes.c_uint32 * 1)(group)
    for call in ((setgroups, 1, groups), (setresgid, 65534, 65534, 65534), (setresuid, 65534, 65534, 65534)):
        assert libc.syscall(*call) == 0   # the system call itself: of this thread alone
    for i in range(30):
        try:
            os.close(os.open(sys.argv[1], os.O_RDONLY))
            can = True
        except PermissionError:
            can = False
        if can != may: wrong.append("group %d, round %d: %s" % (group, i, can))
    done.append(group)
each = [threading.Thread(target=act, args=a) for a in ((5000, True), (5001, False))]
for t in each: t.start()
for t in each: t.join()
if len(done) != 2: wrong.append("a thread has ended early")
sys.exit("\n".join(wrong) or 0)
P
  may python3 "$WORK/threads.py" g
  cp "$(command -v cat)" "$WORK/setuid"; chown 1 "$WORK/setuid"; chmod 4755 "$WORK/setuid"
  cp "$(command -v cat)" "$WORK/setgid"; chgrp 5000 "$WORK/setgid"; chmod 2755 "$WORK/setgid"
  [ "$(as -all "$WORK/setuid" /proc/self/status | awk '/^Uid/ {print $5}')" = 1 ] || { say "setuid has no effect here: that part is skipped"; return 0; }
  may as -all "$WORK/setuid" g
  may as -all "$WORK/setgid" g
  must_fail as -all cat g
  # Who is killed, or gone, while it asks gets nothing that stays.
  chmod 0700 closed
  for _ in 1 2 3 4 5; do
    as -all sh -c 'for i in 1 2 3 4 5 6 7 8 9; do : >closed/no; done' 2>/dev/null & victim=$!
    sleep 0.02; kill -9 $victim 2>/dev/null || :; wait $victim 2>/dev/null || :
  done
  [ ! -e closed/no ] || fail "one who was killed has made a file where he may not"
}
# What is mounted below stays where somebody else is refused on the way to it.
below() {
  prepare
  mkdir -m 0755 way way/mnt
  mount -t tmpfs none way/mnt
  touch way/mnt/inside
  chmod 0700 way
  for id in 65534 1; do must_fail setpriv --reuid $id --regid $id --clear-groups ls way/mnt; done
  must_fail as -all stat way/mnt/inside
  may with dac_read_search stat way/mnt/inside
  [ -e way/mnt/inside ] || fail "what was mounted below is gone"
  umount way/mnt
}
capabilities
namespaces
groups
threads
below
cd /
[ -n "${KFS_E2E_DIR:-}" ] && pass

# The same with a mount whose process is in a PID namespace of its own: it sees its callers as 0, and its /proc is not of its namespace.
source=$(awk -v m="$MNT" '$2 == m {print $1}' /proc/self/mounts)
M=$WORK/inner
mkdir -m 755 "$M"
unshare -p -f "$(built kfs)" mount "$source" "$M" -f -o "secretfile=$CLUSTER/secret,allow_other" >"$WORK/inner.log" 2>&1 &
wait_until 20 mounted "$M" || fail "does not mount in a PID namespace: $(tail -3 "$WORK/inner.log")"
capabilities
namespaces
groups
threads
below
cd /
umount "$M"
pass
