#!/usr/bin/env python3
"""Rules of the source that a compiler does not check.

  tests/tidy/source_rules.py [ROOT]

layers   a part includes only the parts below it (in this order: common < proto < rpc < client < fuse, and both
         servers above rpc; the command line may use what a client may); so do the folders of the metaserver
cycles   no header includes itself by way of others, and no folder of the metaserver uses itself by way of others
length   a file has at most 800 lines (most should stay below 400)
words    no paths of somebody's machine, no leftovers of a merge
gate     in the metaserver records of inodes and chunks are put through a Txn only, which passes the gate
guard    headers say in their first lines what they are, and may be included twice
machine  below the programs' mains nobody asks the machine for time, randomness, threads, sockets or files by himself: all of it
         comes from the loop (rpc/event_loop.h), FileOps and DbEnv, so that a simulation can hand in its own
built    each source is in the CMakeLists.txt of its folder or of one above: a test that nobody builds finds nothing

Prints one line a finding and last "N passed, N failed, N skipped". Exit code 1 if one failed.
"""
import os
import re
import subprocess
import sys

MAY_INCLUDE = {
    "common": {"common"},
    "proto": {"common", "proto"},
    "rpc": {"common", "proto", "rpc"},
    "client": {"common", "proto", "rpc", "client"},
    "fuse": {"common", "proto", "rpc", "client", "fuse"},
    "metaserver": {"common", "proto", "rpc", "metaserver"},
    "chunkserver": {"common", "proto", "rpc", "chunkserver"},
    "cli": {"common", "proto", "rpc", "client", "fuse", "cli"},
}
# Folder -> what it may include besides itself; ".": what lies in metaserver/ itself. docs/README.md says what each is.
METASERVER_MAY_INCLUDE = {
    "base": set(),
    "cluster": set(),
    "acl": set(),
    "locks": set(),
    "placement": set(),
    "store": {"cluster"},
    "chunks": {"base", "cluster", "placement", "store"},
    "executor": {"base", "chunks", "locks", "store"},
    "ops": {"acl", "base", "chunks", "executor", "locks", "store"},
    "losses": {"base", "chunks", "executor", "store"},
    "members": {"base", "chunks", "cluster", "store"},
    "images": {"store"},
    "hosting": {"base", "chunks", "cluster", "executor", "images", "members", "store"},
    "service": {"base", "chunks", "cluster", "executor", "hosting", "images", "losses", "members", "store"},
    "admin": {"base", "chunks", "cluster", "executor", "hosting", "images", "losses", "members", "service", "store"},
    ".": {"admin", "chunks", "hosting", "members", "service", "store"},
}
LENGTH_MAX = 800
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
# By the store itself only, past executor/gate.h. The compiler sees to the rest: Txn::Apply and what changes VolumeStore are
# private.
PAST_THE_GATE = re.compile(r"db_?(?:\(\))?(?:->|\.)(?:Put|PutSoon|Delete|DeleteSoon)\(\s*(?:Inode|Dentry|Cookie|Xattr|Chunk|Owner)Key\(")
WORDS = [
    (re.compile(r"(?<![\w./$}-])/(?:home|root|work|Users)/\w"), "a path of somebody's machine"),
    (re.compile(r"^(?:<{7}|>{7}) ", re.M), "a leftover of a merge"),
    (re.compile(r"\bDO NOT (?:COMMIT|SUBMIT)\b"), "something that was not meant to be committed"),
]


def files(root):
    """What git knows or would add, as paths from the root."""
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, check=False,
                         capture_output=True, text=True)
    if out.returncode == 0 and out.stdout:
        return [f for f in out.stdout.splitlines() if os.path.isfile(os.path.join(root, f))]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in (".git", "build")]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return found


def cycles(graph):
    state, path, found = {}, [], []

    def visit(node):
        state[node] = 1
        path.append(node)
        for other in sorted(graph.get(node, ())):
            if state.get(other) == 1:
                found.append(" -> ".join(path[path.index(other):] + [other]))
            elif other not in state:
                visit(other)
        path.pop()
        state[node] = 2

    for node in sorted(graph):
        if node not in state:
            visit(node)
    return found


def metaserver_folder(name):
    """metaserver/store/db.h is in store, metaserver/options.h in "."; None: it is not the metaserver's."""
    parts = name.split("/")
    if parts[0] != "metaserver" or len(parts) < 2:
        return None
    return parts[1] if len(parts) > 2 else "."


def above(name, include):
    """Why a file may not include another one; None: it may."""
    part, target = name.split("/")[0], include.split("/")[0]
    if part in MAY_INCLUDE and target in MAY_INCLUDE and target not in MAY_INCLUDE[part]:
        return f"{part} is below {target} or beside it"
    folder, other = metaserver_folder(name), metaserver_folder(include)
    if folder is None or other is None or folder == other:
        return None
    if folder not in METASERVER_MAY_INCLUDE:
        return f"METASERVER_MAY_INCLUDE does not say what {folder} may include"
    if other not in METASERVER_MAY_INCLUDE[folder]:
        return f"in the metaserver {folder} is below {other} or beside it"
    return None


# Parts of programs that a simulation runs; fuse/ and cli/ are programs, and so is what these names begin with.
MACHINE_PARTS = {"common", "proto", "rpc", "client", "metaserver", "chunkserver"}
MACHINE_PROGRAMS = ("client/bench/", "client/example/")
# File -> why it may ask the machine.
MACHINE_MAY = {
    "common/allocator.cc": "how much memory the process takes, for its metrics",
    "common/clock.h": "SystemClock: the machine's clocks",
    "common/file_ops.cc": "FileOps: the machine's files",
    "common/file_system_id.cc": "FileOps::FileSystemId",
    "common/log_line.cc": "writes the log, and counts how much in a time: nothing follows from it",
    "common/options.cc": "reads the option file, at the start",
    "common/secret.cc": "SystemEntropy; reads secrets and keys, at the start",
    "common/text_file.cc": "pid and address files, at the start",
    "rpc/address.cc": "looks up names, and binds sockets",
    "rpc/asio_loop.cc": "the machine's loop, and its workers",
    "rpc/daemon.cc": "what mains share",
    "rpc/event_loop.cc": "LoopThread, for programs and tests",
    "rpc/event_loop.h": "LoopThread",
    "rpc/http.cc": "the Unix socket of a monitor, which is no part of what is simulated",
    "rpc/local_socket.cc": "sockets of this machine",
    "rpc/service_manager.cc": "tells systemd, at the start",
    "rpc/socket_network.cc": "SocketNetwork: the machine's network",
    "rpc/socket_stream.cc": "SocketNetwork's connections",
    "rpc/stall.cc": "how long a tick took, for the log: nothing follows from it",
    "client/net_manager.cc": "a client's own thread, where no loop is handed in",
    "client/net_manager.h": "that thread",
    "client/protocol_worker.cc": "ends that thread",
    "chunkserver/own_key.cc": "joins with an invitation, before the daemon serves",
}
CALLED = r"(?<![\w.>:])(?:::)?"
MACHINE = [
    (re.compile(r"\b(?:steady|system|high_resolution)_clock::now\b|" + CALLED + r"(?:clock_gettime|gettimeofday|time)\((?!\))"),
     "the clock", "EventLoop::clock()"),
    (re.compile(r"\brandom_device\b|\bRAND_bytes\b|" + CALLED + r"(?:getrandom|getentropy|s?rand)\("), "randomness",
     "EventLoop::entropy()"),
    (re.compile(r"\bstd::(?:j?thread|async)\b|\bLoopThread\b|\bpthread_create\b|\bsleep_(?:for|until)\b|" + CALLED +
                r"(?:u|nano)?sleep\("), "a thread", "EventLoop::StartWorkers()"),
    (re.compile(CALLED + r"(?:gethostname|uname|sysconf|getrusage|getpid)\("), "what it is", "EventLoop::HostName()"),
    (re.compile(CALLED + r"(?:socket|socketpair|connect|bind|accept4?|getaddrinfo|sendmsg|recvmsg)\("), "a socket",
     "EventLoop::network()"),
    (re.compile(r"\bstd::(?:filesystem|[io]?fstream|rename)\b|\bf(?:re)?open\(|" + CALLED +
                r"(?:open|openat|creat|opendir|f?statvfs|[fl]?stat|statx|mkdir|rmdir|rename|link|symlink|readlink|unlink|access|"
                r"f?chmod|f?truncate|f(?:data)?sync|fallocate|p?readv?|p?writev?)\((?!\))"), "a file", "FileOps"),
]
NOT_CODE = re.compile(r"//[^\n]*|\"(?:\\.|[^\"\\\n])*\"")


def asks_machine(name, text):
    """Findings in one file below the mains."""
    if name.split("/")[0] not in MACHINE_PARTS or name.startswith(MACHINE_PROGRAMS) or name.endswith("/main.cc"):
        return []
    code = NOT_CODE.sub(lambda m: '""' if m.group(0)[0] == '"' else "", text)
    found = [f"{name}:{code.count(chr(10), 0, match.start()) + 1}: asks the machine for {what} ({match.group(0).strip()}): "
             f"{instead} is handed in" for pattern, what, instead in MACHINE for match in pattern.finditer(code)]
    if name not in MACHINE_MAY:
        return found
    return [] if found else [f"{name}: asks the machine for nothing any more: take it off the list"]


# Folder -> sources that it takes without naming each.
GLOBS = {"metaserver/acl", "metaserver/locks", "metaserver/ops"}
FUZZER = re.compile(r"tests/fuzz/fuzz_(\w+)\.cc$")


def is_built(root, name):
    """Whether a CMakeLists.txt at or above a source names it, or something that stands for it does."""
    folder = os.path.dirname(name)
    if folder in GLOBS or folder == "tests/e2e":  # which compiles small helpers when a test wants them
        return True
    fuzzer = FUZZER.match(name)
    while True:
        path = os.path.join(root, folder, "CMakeLists.txt")
        if os.path.isfile(path):
            with open(path, encoding="utf-8") as f:
                text = f.read()
            wanted = f"kfs_fuzzer({fuzzer.group(1)}" if fuzzer else os.path.relpath(name, folder or ".")
            if re.search(r"(^|[\s(]|SOURCE_DIR\}/)" + re.escape(wanted) + r"($|[\s)])", text):
                return True
        if not folder:
            return False
        folder = os.path.dirname(folder)


def check(root):
    """Findings by rule."""
    findings = {"layers": [], "cycles": [], "length": [], "words": [], "gate": [], "guard": [], "machine": [], "built": []}
    graph = {}
    for name in sorted(files(root)):
        try:
            with open(os.path.join(root, name), encoding="utf-8") as f:
                text = f.read()
        except UnicodeDecodeError:
            continue
        for pattern, what in WORDS:
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                findings["words"].append(f"{name}:{line}: {what}: {match.group(0).strip()}")
        if not name.endswith((".h", ".cc")):
            continue
        lines = text.count("\n")
        if lines > LENGTH_MAX:
            findings["length"].append(f"{name}: {lines} lines; split it")
        findings["machine"] += asks_machine(name, text)
        includes = INCLUDE.findall(text)
        part = name.split("/")[0]
        if part == "metaserver" and metaserver_folder(name) != "store":
            for match in PAST_THE_GATE.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                findings["gate"].append(f"{name}:{line}: {match.group(0)}: such records are changed by a Txn (executor/gate.h)")
        for include in includes:
            if why := above(name, include):
                findings["layers"].append(f"{name}: includes {include}, and {why}")
        if name.endswith(".cc") and not is_built(root, name):
            findings["built"].append(f"{name}: no CMakeLists.txt names it")
        if name.endswith(".h"):
            graph[name] = includes
            if "#pragma once" not in text and not re.search(r"^#ifndef \w+_H_?$", text, re.M):
                findings["guard"].append(f"{name}: may be included twice")
            if part in MAY_INCLUDE and not text.startswith("//"):
                findings["guard"].append(f"{name}: does not say in its first lines what it is")
    findings["cycles"] = cycles(graph) + cycles(METASERVER_MAY_INCLUDE)
    return findings


def main():
    findings = check(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    failed = 0
    for rule, found in findings.items():
        failed += bool(found)
        print(f"{'FAIL' if found else 'PASS'} {rule}")
        for text in found:
            print("    " + text)
    print(f"{len(findings) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
