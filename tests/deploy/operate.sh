#!/usr/bin/env bash
# docs/operate.md, run: its machines are made (machines.sh), each command in its console blocks is executed in order and has to
# print what the document shows. document.py says how the two are compared, and what stands in for scp.
#   KFS_UPDATE=1 tests/deploy/operate.sh     writes into the document what the commands print; read the difference
# shellcheck source=machines.sh
. "$(dirname "${BASH_SOURCE[0]}")/machines.sh"
document=$repo/docs/operate.md update=()
[ "${KFS_UPDATE:-}" != 1 ] || update=(--update)

make_packages >/dev/null || { flunk "the packages are made"; finish; exit 1; }
for n in 1 2 3 4; do machine m$n 10.74.0.$n & booting[n]=$!; done
for n in 1 2 3 4; do
  wait "${booting[n]}" || { flunk "machine m$n"; finish; exit 1; }
  on m$n sh -c 'printf "127.0.0.1 localhost\n10.74.0.1 m1\n10.74.0.2 m2\n10.74.0.3 m3\n10.74.0.4 m4\n" >/etc/hosts'
  for file in "$work"/packages/*.deb; do on m$n sh -c "cat >~/'${file##*/}'" <"$file"; done
done
"$repo/tests/deploy/document.py" "${update[@]}" "$work" "$document"
status=$?
if [ $status != 0 ]; then
  on m1 kfs cluster log -n 30 2>&1 | sed 's/^/    /'
  for n in 1 2 3 4; do said m$n 'kfs-*' 2>/dev/null | tail -n 15 | cut -c1-300 | sed "s/^/    m$n: /"; done
fi >&2
exit $status
