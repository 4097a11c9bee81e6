# shellcheck shell=bash
# A cluster of one metaserver whose data is on a disk of its own, an ext4 on a loop device, that can be made to fail. Sourced after lib.sh.
need_cluster
may_stall "its disk fails, or is a file on another one"
need_root
need python3 mkfs.ext4
truncate -s 400M "$WORK/disk"
mkfs.ext4 -q -m 0 "$WORK/disk"
mkdir -p "$CLUSTER/metaserver-1"
mount_disk() { mount -o loop "$WORK/disk" "$CLUSTER/metaserver-1"; }
mount_disk 2>"$WORK/error" || skip "no loop devices here: $(<"$WORK/error")"
start_cluster --chunkservers 1

# shut_disk_down FLAG: ext4's shutdown. From here on it answers EIO to everything; what was written is on the disk (0), or only what was
# synced (2: as when power is cut).
shut_disk_down() {
  python3 -c 'import fcntl, os, struct, sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack("I", int(sys.argv[2])))' "$CLUSTER/metaserver-1" "$1"
}
