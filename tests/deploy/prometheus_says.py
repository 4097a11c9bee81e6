#!/usr/bin/env python3
"""Asks a Prometheus that reads a cluster of KFS (monitoring.sh).

  prometheus_says.py HOST:PORT targets N            N targets are up
  prometheus_says.py HOST:PORT rules                every rule was evaluated, without an error
  prometheus_says.py HOST:PORT quiet NAME...        no alert is there, pending or firing, but for these
  prometheus_says.py HOST:PORT alerts NAME...       each of these is there, pending or firing
  prometheus_says.py HOST:PORT dashboard FILE JOB   each expression of the dashboard gives at least one series

Exit code 1, with words, if it is not so (yet).
"""
import json
import sys
import urllib.error
import urllib.parse
import urllib.request


class Prometheus:
    def __init__(self, address):
        self.address = address

    def ask(self, path, **arguments):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            sys.exit(f"{path} {arguments}: {error.read().decode()}")
        except OSError as error:
            sys.exit(f"{path}: {error}")

    def targets(self, count):
        active = self.ask("targets", state="active")["activeTargets"]
        up = [t for t in active if t["health"] == "up"]
        return [] if len(up) == int(count) else [f"{t['scrapeUrl']}: {t['health']} {t['lastError']}" for t in active]

    def rules(self):
        all_rules = [r for group in self.ask("rules")["groups"] for r in group["rules"]]
        return ["no rules"] * (not all_rules) + [f"{r['name']}: {r['health']} {r.get('lastError', '')}" for r in all_rules
                                                 if r["health"] != "ok"]

    def present(self):
        return {a["labels"]["alertname"]: a for a in self.ask("alerts")["alerts"]}

    def quiet(self, *but):
        return [f"{name}: {a['state']}: {a['annotations']['summary']} ({a['labels']})" for name, a in self.present().items()
                if name not in but]

    def alerts(self, *wanted):
        return [f"{name} is not there" for name in wanted if name not in self.present()]

    def dashboard(self, path, job):
        with open(path, encoding="utf-8") as file:
            panels = json.load(file)["panels"]
        empty = []
        for panel in panels:
            for target in panel["targets"]:
                expression = target["expr"].replace("$__rate_interval", "5s").replace("$job", job)
                if not self.ask("query", query=expression)["result"]:
                    empty.append(f"{panel['title']}: nothing for {expression}")
        return empty


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in ("targets", "rules", "quiet", "alerts", "dashboard"):
        print(__doc__, file=sys.stderr)
        return 2
    found = getattr(Prometheus(sys.argv[1]), sys.argv[2])(*sys.argv[3:])
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
