#!/usr/bin/env bash
# What only systemd does with KFS's units: their sandbox, restarts, order at boot and at shutdown, the journal; mounts by fstab,
# upgrades under programs that write, and quickstart's units.
# shellcheck source=machines.sh
. "$(dirname "${BASH_SOURCE[0]}")/machines.sh"
has_systemd || skip_test "systemd cannot be run here"

# ---- on machine m ---------------------------------------------------------------------------------------------------------

property() { on m systemctl show -P "$1" "$2"; }
pid_of() { property MainPID "$1"; }
# A process there that a test has to wait for may wait for a mount: never longer than this.
briefly() { on m timeout -s KILL 20 "$@"; }
is_restarted() { local pid; pid=$(pid_of "$1") && [ "$pid" != 0 ] && [ "$pid" != "$2" ]; }
serves() { on m kfs status --wait 10.74.0.1:7401 --timeout 20; }
has() { [ "$(briefly cat "$1")" = "$2" ]; }
# in_daemon UNIT COMMAND...: among the mounts that the unit's process sees, from its root: that of its mounts' namespace is another
# where this machine itself is a chroot.
in_daemon() { local pid; pid=$(pid_of "$1") && on m nsenter -t "$pid" --mount --root --wd "${@:2}"; }
# What the daemons have logged since the machine has come up.
journal() { on m journalctl -b --no-pager -u 'kfs-*'; }

# A service that writes a line at a time to an open file, and ends when it meets an error.
start_program() {
  on m systemd-run -q --unit=program -p RequiresMountsFor=/mnt/kfs bash -c 'exec 3>>/mnt/kfs/progress; while echo line >&3; do sleep 0.01; done'
}
lines() { briefly wc -l /mnt/kfs/progress | cut -d ' ' -f 1; }
has_more_lines() { [ "$(lines)" -gt "$1" ]; }
goes_on() {
  local count
  count=$(lines) && wait_for 15000 has_more_lines "$count" && on m systemctl is-active program
}

# stops UNIT: at once, by itself, and says so.
stops() {
  local unit=$1 begin
  begin=$(now_ms)
  on m systemctl stop "$unit" || return
  echo "took $(($(now_ms) - begin)) ms, $(property Result "$unit"), status $(property ExecMainStatus "$unit"), code $(property ExecMainCode "$unit")"
  [ $(($(now_ms) - begin)) -lt 5000 ] || return
  # CLD_EXITED.
  [ "$(property Result "$unit") $(property ExecMainCode "$unit") $(property ExecMainStatus "$unit")" = "success 1 0" ]
}
starts() { on m systemctl start "$1" && wait_for 20000 serves; }

power_off_within() {
  local begin
  begin=$(now_ms)
  power_off m 100 && echo "it took $(($(now_ms) - begin)) ms" && [ $(($(now_ms) - begin)) -lt "$1" ]
}
said_by_daemons() { journal | grep -E "$1"; }
# What was logged when the machine went off the last time.
going_off() { on m journalctl -b -1 --no-pager -o cat | sed -n '/^Stopped target multi-user.target/,$p'; }
went_well() {
  local said
  said=$(going_off) && grep -q '^Unmounted mnt-kfs.mount' <<<"$said" && ! grep -E 'SIGKILL|timed out|Killing|Failed|busy' <<<"$said"
}
unmounted_first() { going_off | grep -E '^(Unmounted mnt-kfs.mount|Stopping kfs-)' | head -n 1 | grep '^Unmounted'; }
# Without the machine the rest makes no sense.
boots() {
  local begin
  begin=$(now_ms)
  if boot m; then pass "it comes up"; else flunk "it comes up" "after $(($(now_ms) - begin)) ms"; finish; exit 1; fi
}

# ---- installation ---------------------------------------------------------------------------------------------------------

check "packages" make_packages
check "and those of a higher version" make_packages 99.0.0
# For quickstart, in the end.
shared_dirs=("$repo" "$build")
machine m 10.74.0.1 || { flunk "a machine"; finish; exit 1; }
version=$("$build/bin/kfs" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')
on m mkdir -p /packages /mnt/kfs /srv/disk1
for file in "$work"/packages/*.deb; do on m sh -c "cat >'/packages/${file##*/}'" <"$file"; done
install() { on m sh -c "cd /packages && apt-get install -y -q ./kfs-*_$1_*.deb"; }
check "apt-get install" install "$version"
on m sh -c 'umask 077; od -An -tx1 -N32 /dev/urandom | tr -d " \n" >/etc/kfs/secret
  printf "listen = \"10.74.0.1:7400\"\n" >/etc/kfs/metaserver.toml
  printf "listen = \"10.74.0.1:7401\"\nmetaservers = \"10.74.0.1\"\ndata-dirs = \"/var/lib/kfs/chunkserver-1\"\n" >/etc/kfs/chunkserver-1.toml
  printf "metaservers = \"10.74.0.1\"\n" >/etc/kfs/client.toml
  echo "10.74.0.1:/data  /mnt/kfs  kfs  _netdev,nofail,secretfile=/etc/kfs/secret  0 0" >>/etc/fstab'
# The example of a mount unit, which is no part of the packages.
on m sh -c 'cat >/tmp/mnt-kfs.mount' <"$repo/deploy/systemd/mnt-kfs.mount"
said=$(on m systemd-analyze verify kfs-metaserver.service kfs-chunkserver@1.service /tmp/mnt-kfs.mount 2>&1)
check "systemd-analyze verify has nothing to say: $said" test -z "$said"
on m systemctl daemon-reload
check "both daemons are enabled and start" on m systemctl enable -q --now kfs-metaserver kfs-chunkserver@1
check "a volume can be made at once" on m kfs volume create data
check "they serve" wait_for 20000 serves
check "restarted, the metaserver answers at once" on m sh -c 'systemctl restart kfs-metaserver && kfs volume list --timeout 1'
check "mounted by fstab" on m mount /mnt/kfs
check "a file" on m sh -c 'echo kept >/mnt/kfs/file'

# ---- the sandbox ----------------------------------------------------------------------------------------------------------

for unit in kfs-metaserver kfs-chunkserver@1; do
  for dir in /etc /etc/kfs /usr /srv /srv/disk1 /var /var/log /root /proc/sys/net; do
    refused "$unit cannot write to $dir" 1 'Read-only|No such file|Permission' in_daemon $unit touch "$dir/made-by-a-test"
  done
  check "$unit can below /var/lib/kfs" in_daemon $unit touch /var/lib/kfs/made-by-a-test
  check "$unit has a /tmp of its own" in_daemon $unit touch /tmp/made-by-a-test
  check "which others do not see" on m test ! -e /tmp/made-by-a-test
  refused "$unit has no devices" 1 'No such file' in_daemon $unit stat /dev/fuse
  check "$unit has no capabilities and gets none" on m sh -c \
    "[ \"\$(awk '/^(CapEff|CapBnd|NoNewPrivs|Seccomp):/ { printf \"%s \", \$2 }' /proc/$(pid_of $unit)/status)\" = '0000000000000000 0000000000000000 1 2 ' ]"
done
on m rm /var/lib/kfs/made-by-a-test

# ---- ends that nobody wanted ----------------------------------------------------------------------------------------------

start_program
for unit in kfs-metaserver kfs-chunkserver@1; do
  pid=$(pid_of $unit)
  on m kill -KILL "$pid"
  check "$unit, killed, is started again" wait_for 10000 is_restarted $unit "$pid"
  check "once" test "$(property NRestarts $unit)" = 1
  check "programs on the mount go on" goes_on
done

# ---- stopping -------------------------------------------------------------------------------------------------------------

not_killed() { ! journal | grep -E "SIGKILL|timed out|Killing"; }
for unit in kfs-chunkserver@1 kfs-metaserver; do
  check "$unit stops, a program writing" stops $unit
  check "and starts" starts $unit
  check "the program goes on" goes_on
done
check "nothing had to be killed, nor timed out" not_killed

# ---- a configuration that is wrong ----------------------------------------------------------------------------------------

is_failed() { [ "$(property ActiveState "$1")" = failed ]; }

for unit in kfs-metaserver:metaserver kfs-chunkserver@1:chunkserver-1; do
  file=/etc/kfs/${unit#*:}.toml unit=${unit%%:*}
  on m cp "$file" "$file.good"
  on m sh -c "echo 'lisen = \"10.74.0.1:7400\"' >>$file"
  refused "$unit with an option that there is not does not start" 1 "failed because" on m systemctl restart $unit
  check "$unit with an option that there is not: it is not tried again" wait_for 10000 is_failed $unit
  check "not once" test "$(property NRestarts $unit)" = 0
  refused "its status says which" 3 'lisen.*listen' on m systemctl status --no-pager -l $unit
  on m mv "$file.good" "$file"
  check "corrected, it starts" starts $unit
done
check "the program goes on" goes_on

# ---- a disk of its own, as docs/operate.md says ---------------------------------------------------------------------------

on m sed -i 's|^data-dirs.*|data-dirs = ["/var/lib/kfs/chunkserver-1", "/srv/disk1/kfs"]|' /etc/kfs/chunkserver-1.toml
on m systemctl restart kfs-chunkserver@1
check "a directory that is not in the sandbox is no disk" wait_for 10000 said_by_daemons 'disk.unusable.*/srv/disk1/kfs.*Read-only'
on m sh -c 'mkdir -p /etc/systemd/system/kfs-chunkserver@1.service.d &&
  printf "[Service]\nReadWritePaths=/srv/disk1\n" >/etc/systemd/system/kfs-chunkserver@1.service.d/override.conf && systemctl daemon-reload'
on m systemctl restart kfs-chunkserver@1
check "with ReadWritePaths it is one" wait_for 10000 said_by_daemons 'ready .*disks=2'
check "the program goes on" goes_on

# ---- off and on -----------------------------------------------------------------------------------------------------------

count=$(lines)
check "the machine goes off, a program writing" power_off_within 30000
boots
check "with its daemons" wait_for 20000 serves
check "and its mount" wait_for 20000 on m mountpoint -q /mnt/kfs
check "nothing was killed, nor timed out" went_well
check "the mount had ended before its daemons" unmounted_first
check "its data is there" has /mnt/kfs/file kept
check "and what the program had written" test "$(lines)" -ge "$count"
start_program
check "it can go on" goes_on

# Open on a mount that nobody may close: what is left at the very end.
on m bash -c 'setsid bash -c "exec 3>>/mnt/kfs/open; echo open >&3; exec sleep 1000" </dev/null >/dev/null 2>&1 &'
check "a program that systemd knows nothing of has a file open" wait_for 10000 has /mnt/kfs/open open
check "the machine goes off" power_off_within 60000
boots
check "with its mount" wait_for 20000 has /mnt/kfs/file kept
check "and the file" has /mnt/kfs/open open

# ---- servers that are away while the machine starts -----------------------------------------------------------------------

on m sh -c 'mkdir -p /mnt/auto &&
  echo "10.74.0.1:/data  /mnt/auto  kfs  _netdev,nofail,x-systemd.automount,secretfile=/etc/kfs/secret  0 0" >>/etc/fstab'
on m systemctl disable -q kfs-metaserver kfs-chunkserver@1
check "the machine goes off" power_off_within 60000
boots
given_up() { [ "$(property ActiveState mnt-kfs.mount)" = failed ]; }
check "a mount whose servers are away is given up" wait_for 40000 given_up
check "the place of one with x-systemd.automount is watched" test "$(property ActiveState mnt-auto.automount)" = active
refused "a program that comes too early gets an error" 1 'No such device' briefly cat /mnt/auto/file
on m systemctl enable -q --now kfs-metaserver kfs-chunkserver@1
check "the servers come" wait_for 20000 serves
check "and the next program its file" wait_for 20000 has /mnt/auto/file kept
on m systemctl stop mnt-auto.automount
on m sed -i '/mnt.auto/d' /etc/fstab
on m systemctl daemon-reload
check "the other one is mounted by hand" on m mount /mnt/kfs
on m systemctl reset-failed

# ---- packages -------------------------------------------------------------------------------------------------------------

start_program
check "a program writes" goes_on
meta=$(pid_of kfs-metaserver) chunks=$(pid_of kfs-chunkserver@1)
check "upgrade by apt-get" install 99.0.0
check "the metaserver was started anew" is_restarted kfs-metaserver "$meta"
check "and the chunkserver" is_restarted kfs-chunkserver@1 "$chunks"
check "they serve" wait_for 20000 serves
check "the program goes on" goes_on
on m systemctl stop program
check "unmounted" on m umount /mnt/kfs
check "removal by apt-get" on m apt-get remove -y -q kfs-metaserver kfs-chunkserver kfs-client
refused "stops the daemons" 1 '' on m pgrep kfs-
check "keeps data and configuration" on m test -d /var/lib/kfs/metaserver -a -d /var/lib/kfs/chunkserver-1 -a -e /etc/kfs/metaserver.toml
check "no unit has failed" test -z "$(on m systemctl --failed --no-legend)"
check "installation" install 99.0.0
check "what was enabled is still" on m systemctl is-enabled kfs-metaserver kfs-chunkserver@1
on m systemctl start kfs-metaserver kfs-chunkserver@1
check "it serves" wait_for 20000 serves
check "the mount" on m mount /mnt/kfs
check "has its data" has /mnt/kfs/file kept
on m umount /mnt/kfs
check "purge by apt-get" on m apt-get purge -y -q kfs-metaserver kfs-chunkserver kfs-client
check "keeps data and secret" on m test -d /var/lib/kfs/metaserver -a -d /var/lib/kfs/chunkserver-1 -a -s /etc/kfs/secret
refused "nothing is enabled any more" 1 '' on m sh -c 'ls /etc/systemd/system/multi-user.target.wants | grep kfs-'

# ---- quickstart -----------------------------------------------------------------------------------------------------------

on m rm -rf /etc/kfs /var/lib/kfs /etc/systemd/system/kfs-chunkserver@1.service.d
on m sed -i '/kfs/d' /etc/fstab
on m systemctl daemon-reload
quick() { on m timeout -k 1 120 "$quickstart" "$@"; }
refused "quickstart by systemd" 0 "KFS is mounted" quick /mnt/kfs --build "$build"
on m sh -c 'echo kept >/mnt/kfs/file'
refused "its log is in the journal" 0 'ready address' journal
check "the machine goes off" power_off_within 30000
boots
check "with the mount" wait_for 20000 on m mountpoint -q /mnt/kfs
check "its data is there" has /mnt/kfs/file kept
check "quickstart --down" quick --down
refused "nothing is left running" 1 '' on m pgrep kfs
check "up again" quick /mnt/kfs --build "$build"
check "with its data" has /mnt/kfs/file kept
check "--purge" quick --purge
refused "leaves no unit" 1 '' on m sh -c 'ls /etc/systemd/system /etc/systemd/system/*.wants | grep kfs'
finish
