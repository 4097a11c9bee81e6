#!/usr/bin/env python3
"""What promtool does not ask of alert rules.

  alert_rules.py REPOSITORY

each alert of deploy/prometheus/kfs-alerts.yml is tried firing and silent in kfs-alerts-test.yml, has the annotations summary, do and
see, which names a chapter that is there; each event among the alarms of docs/operate.md is named by a rule or by the words at the top,
and no other event is. Exit code 1, with words, if not.
"""
import re
import sys


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def anchors(text):
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}


def findings(root):
    rules, tried = (read(f"{root}/deploy/prometheus/kfs-alerts{kind}.yml") for kind in ("", "-test"))
    for rule in rules.split("- alert: ")[1:]:
        name = rule.split()[0]
        rest = r'"[^\n]*exp_samples: \[(\]|\{)'
        ends = set(re.findall(re.escape(f'ALERTS{{alertname="{name}", alertstate="firing') + rest, tried))
        if ends != {"]", "{"}:
            yield f"{name}: is not tried both firing and silent"
        if not re.search(r"^ +summary: .*\n +do: .", rule, re.M):
            yield f"{name}: lacks the annotations summary and do"
        see = re.search(r"^ +see: (docs/\S+\.md)#(\S+)$", rule, re.M)
        if not see or see[2] not in anchors(read(f"{root}/{see[1]}")):
            yield f"{name}: 'see' names no chapter of a document"
    alarms = read(f"{root}/docs/operate.md").split("\n## Alarms\n")[1].split("\n## ")[0]
    events = {event for row in re.findall(r"^\| (`[^|]*) \|", alarms, re.M) for event in re.findall(r"`([\w.]+)`", row)}
    selected = {event for value in re.findall(r'event=~?"([^"]*)"', rules) for event in value.split("|")}
    said = set(re.findall(r"[a-z]+\.[a-z_]+", rules.split("groups:")[0]))
    yield from (f"{event}: an alarm without an alert" for event in sorted(events - selected - said))
    yield from (f"{event}: an alert for what is no alarm of docs/operate.md" for event in sorted(selected - events))


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = list(findings(sys.argv[1]))
    print("\n".join(found) or "all is there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
