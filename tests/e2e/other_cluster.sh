#!/bin/bash
# A metaserver of another cluster, with the same secret and without the volume, answers at the address of a mount's metaserver: the
# mount waits and says why, and goes on when the right one is back. A metaserver founds no cluster where volumes lie.
# timeout: 120 long: 120
. "$(dirname "$0")/lib.sh"
need_root
need_cluster
start_cluster --chunkservers 1
address=$(<"$CLUSTER/run/metaserver-1.address")
echo kept >"$MNT/file"
sync "$MNT/file"
exec 7<"$MNT/file"
kill_role metaserver 1
other=
on_exit() { exec 7<&-; [ -z "$other" ] || kill -9 "$other" 2>/dev/null || :; }
mkdir "$WORK/other"
sed -e "s|^data-dir = .*|data-dir = \"$WORK/other\"|" -e "s|^listen = .*|listen = \"$address\"|" -e '/^default-volume/d' -e '/-file = .*address/d' \
  -e '/^address-file/d' -e '/^log-file/d' -e '/^metrics-listen/d' "$CLUSTER/conf/metaserver-1.toml" >"$WORK/other.toml"
echo 'default-volume = ""' >>"$WORK/other.toml"
"$(built kfs-metaserver)" --config "$WORK/other.toml" >"$WORK/other.log" 2>&1 & other=$!
wait_until 20 grep -q ' ready ' "$WORK/other.log" || fail "the other cluster's metaserver does not start: $(<"$WORK/other.log")"
timeout 60 cat "$MNT/file" >"$WORK/read" 2>"$WORK/error" & reader=$!
wait_until 20 grep -rqs session.wrong_cluster "$CLUSTER/log" || fail "the mount does not say that another cluster answers"
! dead $reader || fail "a call ends while another cluster answers: $(<"$WORK/error")"
kill -9 "$other"
wait_until 10 dead "$other"
other=
start_role metaserver 1
wait $reader || fail "a call that waited fails: $(<"$WORK/error")"
[ "$(<"$WORK/read")" = kept ]
[ "$(cat <&7)" = kept ] || fail "an open file is lost"
exec 7<&-
echo more >"$MNT/more"

# ---- where volumes lie
kill_role metaserver 1 TERM
mv "$CLUSTER/metaserver-1/cluster" "$WORK/record"
code=0
timeout 20 "$(built kfs-metaserver)" --config "$CLUSTER/conf/metaserver-1.toml" >"$WORK/founds.log" 2>&1 || code=$?
[ $code != 0 ] && [ $code != 124 ] || fail "a metaserver founds a cluster where volumes lie (exit code $code)"
grep -rqs "no cluster is founded where volumes lie" "$WORK/founds.log" "$CLUSTER/log" || fail "it does not say why: $(<"$WORK/founds.log")"
rm -rf "$CLUSTER/metaserver-1/cluster"
mv "$WORK/record" "$CLUSTER/metaserver-1/cluster"
start_role metaserver 1
[ "$(timeout 30 cat "$MNT/more")" = more ] || fail "the right record is not taken"
pass
