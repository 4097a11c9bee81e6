#!/bin/bash
# setfacl and getfacl; the ACL is enforced, inherited from a default ACL, and survives cp -a.
. "$(dirname "$0")/lib.sh"
need_root
need setfacl getfacl setpriv
start_cluster --chunkservers 1
chmod 755 "$MNT"
cd "$MNT"
as() { local id=$1; shift; setpriv --reuid "$id" --regid "$id" --clear-groups "$@"; }
echo secret >file
chmod 600 file
must_fail as 5001 cat file
setfacl -m u:5001:r,g:6001:rw file
[ "$(as 5001 cat file)" = secret ]
must_fail as 5002 cat file
must_fail as 5001 sh -c 'echo x >>file'
setpriv --reuid 5003 --regid 6001 --clear-groups sh -c 'echo more >>file'
setpriv --reuid 5003 --regid 5003 --groups 6001 cat file >/dev/null   # supplementary group
getfacl -nc file >"$WORK/acl"
for entry in user:5001:r-- group:6001:rw- mask::rw-; do grep -q "^$entry" "$WORK/acl" || fail "no $entry: $(<"$WORK/acl")"; done
chmod 640 file    # narrows the mask
must_fail setpriv --reuid 5003 --regid 6001 --clear-groups sh -c 'echo x >>file'
cp -a file copy
[ "$(getfacl -nc copy)" = "$(getfacl -nc file)" ] || fail "cp -a lost the ACL"
mkdir dir
setfacl -d -m u:5001:rwx,m::rwx dir
umask 077
touch dir/file
mkdir dir/sub
getfacl -nc dir/file | grep -q '^user:5001:rwx' || fail "the default ACL was not inherited: $(getfacl -nc dir/file)"
getfacl -nc dir/sub | grep -q '^default:user:5001:rwx' || fail "the default ACL was not passed on"
setfacl -b file
[ "$(getfacl -nc file | grep -c :5001:)" = 0 ]
must_fail as 5001 cat file
second_mount
[ "$(getfacl -nc "$MNT2/copy")" = "$(getfacl -nc copy)" ]
pass
