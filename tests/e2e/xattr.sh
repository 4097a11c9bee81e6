#!/bin/bash
# setfattr and getfattr: binary values, many names, 64 KiB, removal, errors.
. "$(dirname "$0")/lib.sh"
need setfattr getfattr
start_cluster --chunkservers 1
cd "$MNT"
touch file
mkdir dir
setfattr -n user.text -v 'some words' file
[ "$(getfattr --only-values -n user.text file)" = 'some words' ]
setfattr -n user.binary -v 0x00ff00aa file
[ "$(getfattr -e hex -n user.binary file | grep binary=)" = user.binary=0x00ff00aa ]
setfattr -n user.empty file
setfattr -n user.on.dir -v 1 dir
for i in $(seq 50); do setfattr -n "user.many$i" -v "value $i" file; done
[ "$(getfattr file | grep -c '^user\.')" = 53 ] || fail "$(getfattr file | grep -c '^user\.') names listed"
[ "$(getfattr --only-values -n user.many37 file)" = 'value 37' ]
setfattr -x user.many37 file
must_fail getfattr -n user.many37 file
must_fail setfattr -x user.many37 file
must_fail setfattr -n nonsense.name -v x file
if [ -z "${KFS_E2E_DIR:-}" ]; then   # local file systems allow less
  large=0x$(head -c 60000 /dev/zero | od -An -v -tx1 | tr -d ' \n')
  setfattr -n user.large -v "$large" dir
  [ "$(getfattr --only-values -n user.large dir | wc -c)" = 60000 ]
fi
mv file renamed
[ "$(getfattr --only-values -n user.text renamed)" = 'some words' ]
second_mount
[ "$(getfattr -d -m - "$MNT2/renamed" | grep -v '^#')" = "$(getfattr -d -m - renamed | grep -v '^#')" ]
pass
