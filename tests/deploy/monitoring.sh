#!/usr/bin/env bash
# What an operator's monitoring reads: the metrics of a real cluster are those of docs/metrics.md, the alert rules and the dashboard
# name nothing else, promtool tries each alert, and the distribution's Prometheus reads the cluster with both.
#   KFS_UPDATE=1 tests/deploy/monitoring.sh    writes the tables of docs/metrics.md anew; read the difference
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$work/cluster mnt=$work/mnt document=$repo/docs/metrics.md here=$repo/tests/deploy
prometheus_pid=""
cleanup() {
  [ -z "$prometheus_pid" ] || kill "$prometheus_pid" 2>/dev/null
  "$devcluster" down --dir "$dir" --purge >/dev/null 2>&1
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT
skipped=0
skip() { skipped=$((skipped + 1)); echo "SKIP $1"; }
attempt() { "$@" >"$work/said" 2>&1; }
# soon NAME COMMAND...: it succeeds within 15 s.
soon() {
  local name=$1
  shift
  if wait_for 15000 attempt "$@"; then pass "$name"; else flunk "$name" "$*" "$(<"$work/said")"; fi
}

rules=$repo/deploy/prometheus/kfs-alerts.yml dashboard=$repo/deploy/grafana/kfs.json
check "each alarm has an alert, and each alert a test and words" "$here/alert_rules.py" "$repo"
if command -v promtool >/dev/null; then
  check "promtool reads the rules" promtool check rules "$rules"
  check "each alert fires, and is silent while all is well" promtool test rules "${rules%.yml}-test.yml"
else
  skip "promtool: it is not installed (deploy/install-deps: prometheus)"
fi

# ---- a cluster in which all metrics are there: peers, an older root secret, lost chunks, events of the log --------------------

host=127.$((RANDOM % 20 + 225)).$((RANDOM % 254 + 1)).$((RANDOM % 254 + 1))
mkdir -p "$dir/conf" "$mnt"
(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$work/old-secret")
"$build/bin/kfs" key root --after "$work/old-secret" --output "$dir/secret" >/dev/null || flunk "a root secret after another"
port=9100 targets=""
for name in metaserver-1 metaserver-2 chunkserver-1 chunkserver-2; do
  port=$((port + 1)) targets+="${targets:+, }'$host:$port'"
  printf 'listen = "%s:0"\nmetrics-listen = "%s:%s"\n' "$host" "$host" $port >"$dir/conf/$name.toml"
done
targets+=", '$host:9105'"
up=("$devcluster" up --dir "$dir" --build "$build" --metaservers 2 --chunkservers 2 --mount "$mnt" --option "metrics=$host:9105" --option "metaserver.old-secret-file=$work/old-secret")
"${up[@]}" >"$work/up" 2>&1 || { flunk "a cluster" "$(<"$work/up")"; finish; exit 1; }
kfs() { "$build/bin/kfs" "$@" --metaserver "$(<"$dir/run/metaserver-1.address")" --secret-file "$dir/secret"; }
at() { "$here/prometheus_says.py" "$host:9100" "$@"; }
# Files on both chunkservers, read and written by each call.
files=0
works() {
  local n
  for n in {1..20}; do
    files=$((files + 1))
    head -c 8192 /dev/urandom >"$mnt/file-$files" && cat "$mnt/file-$files" >/dev/null || return
  done
}
# What one chunkserver has lost is no reason to give up.
goes_on() { works 2>/dev/null; [ -z "$prometheus_pid" ] || at "$@"; }

check "the mount is used" works
kfs volume create second --owner "$(<"$dir/run/metaserver-2.address")" >/dev/null || flunk "a volume of the second metaserver"

if command -v prometheus >/dev/null; then
  cat >"$work/prometheus.yml" <<YML
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: ['$rules']
scrape_configs:
  - {job_name: kfs, static_configs: [{targets: [$targets]}]}
YML
  prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="$host:9100" \
    --log.level=warn >"$work/prometheus.log" 2>&1 &
  prometheus_pid=$!
  soon "Prometheus reads all four daemons and the mount" at targets 5
  soon "every rule is evaluated" at rules
  # What a busy machine with little room may have; an older root secret is there on purpose.
  soon "nothing is wrong" at quiet KfsOldSecret KfsLoopStalls KfsOpsSlow KfsMountSlow KfsDiskLow KfsDiskFull KfsMetadataDiskLow
else
  skip "rules and dashboard on a real cluster: prometheus is not installed (deploy/install-deps)"
fi

gone=$(<"$dir/run/chunkserver-2.address")
check "a chunkserver with files is lost" "$devcluster" kill --dir "$dir" chunkserver 2
[ -z "$prometheus_pid" ] || soon "alerts: it is down" at alerts KfsChunkserverDown KfsDaemonDown
check "and is given up" kfs chunkserver remove "$gone" --lost --yes
check "the owner of a volume is lost" "$devcluster" kill --dir "$dir" metaserver 2

page() { python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode(), end="")' "http://$host:$1/metrics"; }
exported() {
  page 9101 >"$work/metaserver" && page 9103 >"$work/chunkserver" && page 9105 >"$work/mount" && grep -q '^kfs_meta_lost_chunks{' "$work/metaserver" &&
    grep -q '^kfs_log_events_total{' "$work/chunkserver"
}
soon "the metrics tell of it" exported
if ! "$here/metrics_document.py" tables "$document" "$work/metaserver" "$work/chunkserver" "$work/mount" >"$work/metrics.md" 2>"$work/said"; then
  flunk "the metrics make tables" "$(<"$work/said")"
else
  [ "${KFS_UPDATE:-}" != 1 ] || cp "$work/metrics.md" "$document"
  check "docs/metrics.md is what daemons export (KFS_UPDATE=1 tests/deploy/monitoring.sh writes it)" diff -u "$document" "$work/metrics.md"
fi
mapfile -t sources < <(find "$repo"/{common,rpc,metaserver,chunkserver} -name '*.cc' -o -name '*.h')
check "docs/metrics.md has every metric of the sources" "$here/metrics_document.py" known "$document" "${sources[@]}" "$repo/client/client_metrics.cc"
check "alerts and dashboard name metrics and labels that are there" "$here/metrics_document.py" known "$document" "$rules" "$dashboard"
check "so do the alarms" "$here/metrics_document.py" known "$document" "$repo/docs/operate.md"

if [ -n "$prometheus_pid" ]; then
  soon "alerts: chunks, a metaserver, the majority and a volume's owner are lost" \
    at alerts KfsChunksLost KfsPeerDown KfsNoMajority KfsVolumeOwnerDown KfsDaemonDown
  soon "each panel of the dashboard shows something" goes_on dashboard "$dashboard" kfs
  check "Prometheus has nothing to complain of" test ! -s "$work/prometheus.log"
  kill "$prometheus_pid"
  wait "$prometheus_pid"
  prometheus_pid=""
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
