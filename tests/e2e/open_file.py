#!/usr/bin/env python3
# open_file.py FILE REPORT: keeps a file open, writes and syncs a block of it at a time and reads another, for as long as it is not told
# to end (SIGTERM); then reads all of it. Each call must succeed, and each block be what was written last. REPORT: rounds so far.
import os
import random
import signal
import sys

BLOCK, BLOCKS = 64 * 1024, 160  # 10 MiB: chunks, nothing inline

path, report = sys.argv[1:]
going = True


def stop(*_):
    global going
    going = False


def content(block, version):
    return (b"%08d %08d " % (block, version) * (BLOCK // 18 + 1))[:BLOCK]


signal.signal(signal.SIGTERM, stop)
fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
versions = [0] * BLOCKS
for block in range(BLOCKS):
    os.pwrite(fd, content(block, 0), block * BLOCK)
os.fsync(fd)
rounds = 0


def check(block):
    if os.pread(fd, BLOCK, block * BLOCK) != content(block, versions[block]):
        sys.exit(f"block {block} is not what was written in its version {versions[block]}")


while going:
    block = random.randrange(BLOCKS)
    versions[block] += 1
    if os.pwrite(fd, content(block, versions[block]), block * BLOCK) != BLOCK:
        sys.exit("a short write")
    if rounds % 4 == 0:
        os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    check(random.randrange(BLOCKS))
    rounds += 1
    with open(report + ".new", "w") as f:
        f.write(f"{rounds}\n")
    os.rename(report + ".new", report)
os.fsync(fd)
for block in range(BLOCKS):
    check(block)
os.close(fd)
