#!/bin/bash
# fio overwrites at random and finds every block as it wrote it.
. "$(dirname "$0")/lib.sh"
need fio
start_cluster --chunkservers 3
size=$(long && echo 1g || echo 48m)
run_fio() { fio --aux-path="$WORK" --directory="$MNT" --verify_fatal=1 --output="$WORK/fio.log" "$@" || { tail -30 "$WORK/fio.log"; fail "fio $*"; }; }
run_fio --name=random --rw=randwrite --bs=4k-64k --bs_unaligned=1 --size="$size" --verify=crc32c --ioengine=psync --end_fsync=1
run_fio --name=mixed --rw=randrw --bs=4k --size="$size" --io_size=16m --verify=crc32c --ioengine=libaio --iodepth=16 --direct=1 --verify_backlog=256
run_fio --name=parallel --rw=randwrite --bs=16k --size=8m --numjobs=4 --verify=crc32c --ioengine=psync --fsync=32
pass
