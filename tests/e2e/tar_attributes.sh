#!/bin/bash
# tar --xattrs --acls out of the mount and back in: nothing lost.
. "$(dirname "$0")/lib.sh"
need_root
need setfacl getfacl setfattr getfattr
start_cluster --chunkservers 1
mkdir "$MNT/tree"
cd "$MNT/tree"
mkdir -p a/b
for i in $(seq 20); do
  echo "$i" >"a/f$i"
  setfattr -n user.number -v "$i" "a/f$i"
  setfacl -m "u:$((5000 + i)):rw" "a/f$i"
  chown "$((1000 + i)):$((2000 + i))" "a/f$i"
done
setfacl -d -m u:5001:rx a/b
chmod 2775 a/b
mkfifo a/pipe
tar --xattrs --xattrs-include='*' --acls --numeric-owner -C "$MNT" -cf "$WORK/tree.tar" tree
mkdir "$MNT/out"
tar --xattrs --xattrs-include='*' --acls --numeric-owner -C "$MNT/out" -xpf "$WORK/tree.tar"
same_tree "$MNT/tree" "$MNT/out/tree"
diff <(cd "$MNT/tree" && getfacl -nR .) <(cd "$MNT/out/tree" && getfacl -nR .)
diff <(cd "$MNT/tree" && getfattr -hRd -m user . | sort) <(cd "$MNT/out/tree" && getfattr -hRd -m user . | sort)
pass
