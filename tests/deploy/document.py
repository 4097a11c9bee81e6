#!/usr/bin/env python3
"""Runs a document: each command of its ```console blocks, and compares what it prints with what the document shows.

document.py [--update] WORK DOCUMENT
  WORK       has a directory for each machine, with the process id of its init in NAME/pid (machines.sh)
  --update   writes what the commands print into the document

    m1$ command        runs on m1, as root in /root; lines that begin with "> " belong to the command before
    all$ command       runs on m1, m2 and m3, one after the other; each prints what is shown
    ...                in what is shown: any lines, or none

Times, durations, sizes, shares and uuids are compared by their kind only (KINDS), and runs of blanks are one. A command that only looks (kfs status, list, df, ...) is asked again for ten seconds until it shows what it should: what
the cluster does by itself takes a moment. Every command has to succeed, except before output that begins with "kfs: " or has lines that begin with "BAD ".
"""
import re
import subprocess
import sys
import time

KINDS = [
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\b\d+(\.\d+)? (B|KiB|MiB|GiB|TiB)(?!\w)", "SIZE"),
    (r"\b\d+(\.\d+)? (ms|s|min|h)\b|\bnow\b", "AGE"),
    (r"\b\d+%", "SHARE"),
    (r"\b\d+ connections?\b", "N connections"),
    (r"kfs \d+\.\d+\.\d+", "kfs VERSION"),
    (r"[ \t]+", " "),
]
LOOKS = re.compile(r"^kfs (health|status|df|peer (status|why)|volume (list|info|status)|chunkserver (list|status)|cluster log)\b")
WAIT_S = 10


def plain(line):
    for pattern, kind in KINDS:
        line = re.sub(pattern, kind, line)
    return line.strip()


def fits(shown, printed):
    """Do the printed lines fit the shown ones, in which "..." is any lines?"""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(fits(shown[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and plain(shown[0]) == plain(printed[0]) and fits(shown[1:], printed[1:])


def substitute(command):
    """What a test's machine cannot do as it stands. Where systemd cannot be run systemctl is a script there (machines.sh)."""
    # The packages of the upgrade are those that are there.
    command = re.sub(r"\bapt-get install\b", "apt-get install --reinstall", command)
    # No sshd: files go through the test.
    return re.sub(r"\bscp -pq (\S+) (\w+):(\S+)/(?=\s|$)", r"copy_to \2 \1 \3", command)


def run(work, machine, command):
    command = substitute(command)
    copy = re.fullmatch(r"copy_to (\w+) (\S+) (\S+)", command)
    if copy:
        to, file, directory = copy.groups()
        target = directory + "/" + file.rsplit("/", 1)[1]
        data = enter(work, machine, "cat " + file).stdout
        return enter(work, to, f"umask 077; cat >{target}", data)
    return enter(work, machine, command)


def enter(work, machine, command, data=""):
    with open(f"{work}/{machine}/pid", encoding="ascii") as file:
        pid = file.read().strip()
    env = ["env", "-i", "-C", "/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC",
           "DEBIAN_FRONTEND=noninteractive"]
    entered = ["nsenter", "-t", pid, "--mount", "--net", "--uts", "--ipc", "--pid", "--root", "--wd"]
    # As on() of machines.sh has it.
    entered += ["sh", "-c", '[ -e /.test-machine ] && exec "$@"', "sh"]
    return subprocess.run(entered + env + ["bash", "-c", command], input=data, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=60, check=False)


def blocks(lines):
    """Yields (line number, machine, command, shown lines), in order."""
    step, inside = None, False
    for number, line in enumerate(lines, 1):
        if not inside:
            inside = line == "```console"
            continue
        prompt = re.match(r"(\w+)\$ (.*)", line)
        if line == "```" or prompt:
            if step:
                yield step
            step = None
        if line == "```":
            inside = False
        elif prompt:
            step = [number, prompt[1], prompt[2], []]
        elif step is None:
            sys.exit(f"line {number}: output of no command")
        elif line.startswith("> "):
            step[2] += "\n" + line[2:]
        else:
            step[3].append(line)


def step_output(work, machine, command, shown):
    """The printed lines, and whether all is as it should be."""
    good_until = time.monotonic() + (WAIT_S if LOOKS.match(command) else 0)
    # `kfs peer why` that has found something fails, too.
    failing = bool(shown) and (shown[0].startswith("kfs: ") or any(line.startswith("BAD ") for line in shown))
    while True:
        done = run(work, machine, command)
        printed = done.stdout.rstrip("\n").split("\n") if done.stdout.strip() else []
        printed = [line for line in printed if not line.startswith("kfs: waiting for ")]  # on a slow machine
        good = fits(shown, printed) and (done.returncode != 0) == failing
        if good or time.monotonic() >= good_until:
            return printed, good, done.returncode
        time.sleep(0.1)


def main():
    work, document = sys.argv[-2:]
    wanted = []
    with open(document, encoding="utf-8") as file:
        lines = file.read().split("\n")
    passed = failed = 0
    for number, machine, command, shown in blocks(lines):
        for name in ["m1", "m2", "m3"] if machine == "all" else [machine]:
            begin = time.monotonic()
            printed, good, code = step_output(work, name, command, shown)
            words = f"line {number}: {name}$ {command.splitlines()[0]} ({time.monotonic() - begin:.1f} s)"
            passed, failed = passed + good, failed + (not good)
            print(("PASS " if good else "FAIL ") + words)
            if not good:
                wanted.append((number + command.count("\n"), len(shown), printed))
                print(f"    exit code {code}; the document shows:", *shown, "  and it prints:", *printed, sep="\n    ")
    if sys.argv[1] == "--update":
        for after, count, printed in reversed(wanted):
            lines[after:after + count] = printed
        with open(document, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
