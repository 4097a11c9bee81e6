#!/usr/bin/env python3
"""docs/metrics.md and what daemons export.

  metrics_document.py tables DOCUMENT METASERVER-PAGE CHUNKSERVER-PAGE MOUNT-PAGE
      prints the document with the tables that the pages of metrics (files) make
  metrics_document.py known DOCUMENT FILE...
      the metrics that each file names, and their labels in selectors, have to be in the document. Exit code 1, with words, if not
"""
import re
import sys

SECTIONS = ("Every program", "Metaserver", "Chunkserver", "Mount")
SELECTOR = re.compile(r"\b(kfs_(?:meta|chunk|client|loop|log|process)_[a-z_]*[a-z])\b(?:\{([^}]*)\})?")
# What Prometheus itself adds.
TARGET_LABELS = {"job", "instance"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def families(page):
    """Name -> (type, labels, words)."""
    types, words, labels = {}, {}, {}
    for line in page.splitlines():
        comment = re.match(r"# (HELP|TYPE) (\S+) (.*)", line)
        if comment:
            (words if comment[1] == "HELP" else types)[comment[2]] = comment[3].rstrip(".")
            continue
        sample = re.match(r"(\w+)(?:\{(.*)\})? \S+$", line)
        if not sample:
            sys.exit(f"no line of a page of metrics: {line}")
        name = sample[1]
        if name not in types:
            name = re.sub(r"_(bucket|sum|count)$", "", name)
        found = re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', sample[2] or "")
        labels.setdefault(name, set()).update(set(found) - {"le", "quantile"})
    return {name: (kind, tuple(sorted(labels.get(name, ()))), words[name]) for name, kind in types.items()}


def tables(document, *pages):
    names = set().union(*pages)
    shared = {name for name in names if sum(name in page for page in pages) > 1}
    for name in shared:
        meanings = {page[name] for page in pages if name in page}
        if len(meanings) != 1:
            sys.exit(f"{name} is one thing to one program and another to another: {meanings}")
    of = ({name: page[name] for page in pages for name in page if name in shared},
          *({name: v for name, v in page.items() if name not in shared} for page in pages))
    for section, rows in zip(SECTIONS, of):
        lines = [f"| `{name}` | {kind} | {', '.join(labels)} | {words} |\n" for name, (kind, labels, words) in sorted(rows.items())]
        head = f"## {section}\n\n| metric | type | labels | means |\n|---|---|---|---|\n"
        if head not in document:
            sys.exit(f"the document has no table under '## {section}'")
        before, after = document.split(head)
        document = before + head + "".join(lines) + re.sub(r"\A(\|.*\n)*", "", after)
    return document


def documented(document):
    return {name: set(filter(None, labels.split(", ")))
            for name, labels in re.findall(r"^\| `(\w+)` \| \w+ \| ([\w, ]*) \|", document, re.M)}


def unknown(names, path):
    for name, selector in SELECTOR.findall(read(path)):
        base = name if name in names else re.sub(r"_(bucket|sum|count)$", "", name)
        if base not in names:
            yield f"{path}: {name} is not in the document"
            continue
        # In a string of a .json file quotes are escaped.
        for label in re.findall(r'(\w+)(?:=~?|!=|!~)\\?"', selector):
            if label not in names[base] | TARGET_LABELS:
                yield f"{path}: {name} has no label {label}"


def main():
    if len(sys.argv) == 6 and sys.argv[1] == "tables":
        print(tables(read(sys.argv[2]), *(families(read(page)) for page in sys.argv[3:])), end="")
        return 0
    if len(sys.argv) > 3 and sys.argv[1] == "known":
        names = documented(read(sys.argv[2]))
        findings = [finding for path in sys.argv[3:] for finding in unknown(names, path)]
        print("\n".join(findings) or "all are in the document")
        return 1 if findings else 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
