#!/usr/bin/env bash
# The Debian packages: made from what is built, then installed, upgraded, removed and purged on a machine of the test's own.
# shellcheck source=machines.sh
. "$(dirname "${BASH_SOURCE[0]}")/machines.sh"
packages=(kfs-metaserver kfs-chunkserver kfs-client)

refused "no build directory" 2 'which build directory' "$repo/deploy/packages"
refused "what is not built is named" 1 'missing; build it' "$repo/deploy/packages" "$work"
check "the packages are made" make_packages
check "and those of a higher version" make_packages 99.0.0
version=$("$build/bin/kfs" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')
deb() { echo "$work/packages/$1_${2:-$version}_$(dpkg --print-architecture).deb"; }

has() { dpkg-deb -c "$(deb "$1")" | awk '{print $1, $2, $6}' | grep -qxE -e "$2"; }
field() { dpkg-deb -f "$(deb "$1")" "$2" | grep -qE "$3"; }
for package in "${packages[@]}"; do
  check "$package: version" field "$package" Version "^$version$"
  check "$package: libraries as dependencies" field "$package" Depends 'libc6 .*libprotobuf'
  check "$package: a licence" has "$package" "-rw-r--r-- root/root ./usr/share/doc/$package/copyright"
  check "$package: nothing in /usr/local or /var" bash -c "! dpkg-deb -c '$(deb "$package")' | grep -E ' \./(usr/local|var)/'"
  check "$package: configuration is a conffile" bash -c "dpkg-deb -I '$(deb "$package")' conffiles | grep -q '^/etc/kfs/.*toml$'"
done
check "kfs-client wants fuse3" field kfs-client Depends 'fuse3'
for part in metaserver:kfs-metaserver.service chunkserver:kfs-chunkserver@.service; do
  check "kfs-${part%:*}: its unit" has "kfs-${part%:*}" "-rw-r--r-- root/root ./lib/systemd/system/${part#*:}"
  check "kfs-${part%:*}: which starts the package's program" bash -c \
    "dpkg-deb --fsys-tarfile '$(deb "kfs-${part%:*}")' | tar -xO './lib/systemd/system/${part#*:}' | grep -q '^ExecStart=/usr/bin/kfs-${part%:*} '"
  check "kfs-${part%:*}: its man page" has "kfs-${part%:*}" ".* ./usr/share/man/man8/kfs-${part%:*}.8"
done
for file in usr/bin/kfs usr/sbin/mount.kfs usr/sbin/mount.fuse.kfs usr/share/bash-completion/completions/kfs usr/share/man/man1/kfs.1 \
  usr/share/man/man1/kfs-volume.1 usr/share/man/man1/kfs-chunkserver.1 usr/share/doc/kfs-client/operate.md \
  usr/share/doc/kfs-client/examples/kfs-alerts.yml usr/share/doc/kfs-client/examples/kfs.json; do
  check "kfs-client: $file" has kfs-client "[-l]rw.* ./$file"
done

machine m 10.74.0.1 || { flunk "a machine"; finish; exit 1; }
on m mkdir /packages
for file in "$work"/packages/*.deb; do on m sh -c "cat >'/packages/${file##*/}'" <"$file"; done
pid_of() { on m systemctl show -P MainPID "$1"; }
install_all() { local p files=(); for p in "${packages[@]}"; do files+=("/packages/$(basename "$(deb "$p" "$1")")"); done; on m dpkg -i "${files[@]}"; }

check "installation" install_all "$version"
check "dpkg finds every dependency and file there" on m sh -c "[ -z \"\$(dpkg --audit)\" ] && dpkg -V ${packages[*]}"
check "kfs --version" on m kfs --version
check "mount.fuse.kfs is found" on m test -x /sbin/mount.fuse.kfs
check "/var/lib/kfs is root's" test "$(on m stat -c '%a %U' /var/lib/kfs)" = "700 root"
refused "nothing was started" 1 '' on m pgrep kfs-
refused "nor asked to at boot" 1 disabled on m systemctl is-enabled kfs-metaserver kfs-chunkserver@1

on m sh -c 'umask 077; od -An -tx1 -N32 /dev/urandom | tr -d " \n" >/etc/kfs/secret
  echo "data-dirs = \"/var/lib/kfs/chunkserver-1\"" >>/etc/kfs/chunkserver-1.toml'
check "the daemons start by their units" on m systemctl enable --now kfs-metaserver kfs-chunkserver@1
check "and serve" on m kfs volume create data
before=$(pid_of kfs-metaserver)
check "upgrade" install_all 99.0.0
check "the new version is there" on m sh -c "dpkg-query -W -f '\${Version}' kfs-metaserver | grep -qx 99.0.0"
check "units were read again" test "$(on m systemctl show -P NeedDaemonReload kfs-metaserver)" = no
check "what ran was started anew" test "$before" != "$(pid_of kfs-metaserver)"
check "with its data" on m kfs volume info data --timeout 20
check "a changed configuration stayed" on m grep -q '^data-dirs' /etc/kfs/chunkserver-1.toml

check "removal" on m dpkg -r "${packages[@]}"
refused "stops the daemons" 1 '' on m pgrep kfs-
check "keeps the configuration" on m test -e /etc/kfs/chunkserver-1.toml
check "installed again" install_all 99.0.0
check "and started" on m systemctl start kfs-metaserver
check "its volume is there" on m kfs volume info data --timeout 20
refused "purge says that the data is kept" 0 'kfs-metaserver: the metadata in /var/lib/kfs .* kept' on m dpkg -P "${packages[@]}"
check "and keeps it, and the secret" on m test -d /var/lib/kfs/metaserver -a -d /var/lib/kfs/chunkserver-1 -a -s /etc/kfs/secret
check "of the rest nothing is left" on m sh -c "! find /etc /lib/systemd /usr/bin /usr/sbin -name 'kfs-*' -o -path '/etc/kfs/*.toml' | grep ."
finish
