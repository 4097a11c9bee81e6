#!/usr/bin/env python3
"""Counts the cases of a ctest run: GoogleTest's own where a binary is one of its, else one a binary.

  tests/tidy/count_junit.py JUNIT.xml

Prints what the failed cases said, and nothing of the others; last "N passed, N failed, N skipped". Exit code 1 if one failed.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

PASSED = re.compile(r"\[  PASSED  \] (\d+) test")
FAILED = re.compile(r"\[  FAILED  \] (\d+) test")
SKIPPED = re.compile(r"\[  SKIPPED \] (\d+) test")
BEGIN = "[ RUN      ] "
BAD_END = "[  FAILED  ] "
GOOD_END = ("[       OK ] ", "[  SKIPPED ] ")
LINES_MAX = 120  # of one case: its end


def number(pattern, text):
    match = pattern.search(text)
    return int(match.group(1)) if match else 0


def failed_cases(out):
    """What each failed case printed, and the one in which the process ended."""
    said = None
    for line in out.splitlines():
        if line.startswith(BEGIN):
            said = [line]
        elif said is not None:
            said.append(line)
            if line.startswith(BAD_END):
                yield said
            if line.startswith((BAD_END, *GOOD_END)):
                said = None
    if said is not None:
        yield said


def main():
    passed = failed = skipped = 0
    try:
        cases = ElementTree.parse(sys.argv[1]).getroot().iter("testcase")
    except (OSError, ElementTree.ParseError) as e:
        print(f"no result of ctest: {e}")
        return 1
    for case in cases:
        out = case.findtext("system-out") or ""
        good, bad, skip = number(PASSED, out), number(FAILED, out), number(SKIPPED, out)
        broken = case.get("status") in ("fail", "timeout") or case.find("failure") is not None
        if case.get("status") in ("notrun", "disabled") or case.find("skipped") is not None:
            # A binary that was not built is no skipped test.
            failed += 1
            print(f"FAIL {case.get('name')}: it was not run")
            continue
        if broken:
            print(f"FAIL {case.get('name')}")
            for said in list(failed_cases(out)) or [out.splitlines()]:
                print("\n".join("    " + line for line in said[-LINES_MAX:]))
        if broken and bad == 0:
            bad = 1
            print(f"{case.get('name')} ended before its tests did")
        if not broken and good + skip == 0:
            good = 1
        passed, failed, skipped = passed + good, failed + bad, skipped + skip
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
