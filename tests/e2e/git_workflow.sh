#!/bin/bash
# git: init, add, commit, status, fsck, gc, clone, branch and checkout.
. "$(dirname "$0")/lib.sh"
need git
start_cluster --chunkservers 3
export HOME=$WORK GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example
git config --global safe.directory '*'
make_tree "$WORK/tree" "$(long && echo 5000 || echo 800)"
rmdir "$WORK/tree/part0/dir0/empty"     # git knows no empty directories
cp -a "$WORK/tree" "$MNT/repository"
cd "$MNT/repository"
git init -q .
git add -A
git commit -q -m first
[ -z "$(git status --porcelain)" ] || fail "status is not clean after commit: $(git status --porcelain | head -5)"
git fsck --full --strict
git checkout -q -b other
find . -name 'file1*.c' -not -path './.git/*' -exec sh -c 'echo changed >>"$1"' _ {} \;
git commit -q -a -m second
git checkout -q -
[ -z "$(git status --porcelain)" ] || fail "status is not clean after checkout"
git gc -q
git fsck --full --strict
git clone -q "$MNT/repository" "$MNT/clone"
diff -r --no-dereference -x .git "$MNT/repository" "$MNT/clone"
[ "$(git -C "$MNT/clone" rev-parse HEAD)" = "$(git rev-parse HEAD)" ]
pass
