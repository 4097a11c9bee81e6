#!/usr/bin/env bash
# The files that an operator gets: units, sample configurations, man pages, the list of packages.
# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
trap 'rm -rf "$work"' EXIT

for part in metaserver chunkserver; do
  check "deploy/conf/$part.toml is what kfs-$part --sample-config prints" \
    diff -u "$repo/deploy/conf/$part.toml" <("$build/bin/kfs-$part" --sample-config)
  check "kfs-$part --help" "$build/bin/kfs-$part" --help
  check "kfs-$part --version" "$build/bin/kfs-$part" --version
  refused "kfs-$part refuses an unknown option with words" '[1-9]' 'unknown option' "$build/bin/kfs-$part" --set nonsense=1
done

units=$work/units
mkdir "$units"
for unit in kfs-metaserver.service kfs-chunkserver@.service mnt-kfs.mount; do
  # What is installed elsewhere on a machine under test is not what is verified here.
  sed "s|/usr/local/bin/|$build/bin/|" "$repo/deploy/systemd/$unit" >"$units/${unit/@/@1}"
done
if command -v systemd-analyze >/dev/null; then
  for unit in "$units"/*; do
    check "systemd-analyze verify $(basename "$unit")" systemd-analyze verify --man=no --recursive-errors=no "$unit"
  done
fi

pages=("kfs" "mount" "mount.kfs" "kfs-volume.1" "kfs-key.1" "kfs-peer.1" "kfs-chunkserver.1" "kfs-cluster.1")
for page in "${pages[@]}"; do
  "$build/bin/kfs" --man "$page" >"$work/$page.man" || flunk "kfs --man $page"
  case $page in kfs-*.1) check "man page $page: its commands" grep -q "^.SS kfs " "$work/$page.man" ;; esac
  check "man page $page" bash -c "! LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z '$work/$page.man' 2>&1 >/dev/null | grep ."
done
for part in metaserver chunkserver; do
  "$build/bin/kfs-$part" --sample-config | "$build/bin/kfs" --man "kfs-$part" >"$work/$part.man"
  check "man page kfs-$part" bash -c "! LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z '$work/$part.man' 2>&1 >/dev/null | grep ."
done

check "install-deps lists packages with a word why" bash -c "[ \$('$repo/deploy/install-deps' --list | grep -c ' : ') -gt 30 ]"
if "$repo/deploy/install-deps" >/dev/null 2>&1; then
  refused "install-deps a second time does nothing" 0 'are installed' "$repo/deploy/install-deps"
fi
finish
