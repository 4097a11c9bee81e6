"""compare_render.py RESULTS.tsv VERSIONS.tsv TABLE.md CHART.svg QUICK: the table and the chart of tests/bench/compare.

RESULTS has lines SYSTEM, WORKLOAD, UNIT, VALUE; a VALUE that is no number says why there is none. VERSIONS has lines SYSTEM,
TEXT. Ratios are speeds: 2.0 is twice as fast, whatever the unit.
"""
import math
import os
import platform
import sys
from xml.sax.saxutils import escape

SUBJECT, BASE, PEERS = "kfs", "local", ("gluster", "moosefs")
COLOURS = {"kfs": "#d62728", "local": "#7f7f7f", "fusell": "#1f77b4", "fusell-cache": "#aec7e8", "gluster": "#2ca02c", "moosefs": "#ff7f0e"}


def read_results(path):
    """Workloads in order of appearance with their unit, systems likewise, and values by (workload, system)."""
    units, systems, values = {}, [], {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            system, workload, unit, value = line.rstrip("\n").split("\t")
            units.setdefault(workload, unit)
            if system not in systems:
                systems.append(system)
            values[workload, system] = value
    return units, systems, values


def number(text):
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if value > 0 else None


def speed(value, unit):
    """Something of which more is better."""
    value = number(value)
    if value is None:
        return None
    return 1 / value if unit == "s" else value


def ratio(numerator, denominator):
    return numerator / denominator if numerator and denominator else None


def show(text):
    value = number(text)
    if value is None:
        return text or "-"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def show_ratio(value):
    return "-" if value is None else f"{value:.2f}"


def machine():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            model = next((l.split(":", 1)[1].strip() for l in lines if l.startswith("model name")), model)
    except OSError:
        pass
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} x {model}, {memory_gib:.0f} GiB, Linux {platform.release()}"


def table(units, systems, values, versions, quick):
    out = [f"Machine: {machine()}. Client and servers on this machine.", ""]
    if quick:
        out += ["**Quick run: shows that all works, not how fast.**", ""]
    out += [f"- *{system}*: {text}" for system, text in versions]
    out += ["", "Ratios are speeds: 2.00 is twice as fast. *Best peer* is the faster of " + " and ".join(PEERS) + ".", ""]
    out.append("| workload | unit | " + " | ".join(systems) + " | kfs / local | kfs / best peer |")
    out.append("|---|---|" + "---:|" * (len(systems) + 2))
    for workload, unit in units.items():
        speeds = {s: speed(values.get((workload, s)), unit) for s in systems}
        best_peer = max((speeds[p] for p in PEERS if speeds.get(p)), default=None)
        cells = [show(values.get((workload, s))) for s in systems]
        cells += [show_ratio(ratio(speeds.get(SUBJECT), speeds.get(BASE))), show_ratio(ratio(speeds.get(SUBJECT), best_peer))]
        out.append(f"| {workload} | {unit} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def chart(units, systems, values):
    """Bars of speed relative to the local file system, on a logarithmic scale; without it, relative to the fastest."""
    bar, gap, left, width, top = 9, 8, 290, 560, 50
    low, high = 0.001, 10.0
    shown = [s for s in systems if s != BASE] if BASE in systems else systems

    def x_of(value):
        value = min(max(value, low), high)
        return left + width * math.log(value / low) / math.log(high / low)

    height = top + len(units) * (bar * len(shown) + gap) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="18" font-size="14">Speed relative to {"the local file system" if BASE in systems else "the fastest"} '
        "(logarithmic, right is faster)</text>",
    ]
    for i, system in enumerate(shown):
        x = 10 + i * 110
        out.append(f'<rect x="{x}" y="27" width="10" height="10" fill="{COLOURS.get(system, "black")}"/>')
        out.append(f'<text x="{x + 14}" y="36">{escape(system)}</text>')
    for tick in (0.001, 0.01, 0.1, 1, 10):
        x = x_of(tick)
        out.append(f'<line x1="{x:.0f}" y1="{top}" x2="{x:.0f}" y2="{height - 25}" stroke="{"#666" if tick == 1 else "#ddd"}"/>')
        out.append(f'<text x="{x:.0f}" y="{height - 10}" text-anchor="middle">{tick:g}</text>')
    y = top
    for workload, unit in units.items():
        speeds = {s: speed(values.get((workload, s)), unit) for s in systems}
        base = speeds.get(BASE) or max((v for v in speeds.values() if v), default=None)
        out.append(f'<text x="{left - 6}" y="{y + bar * len(shown) / 2 + 4:.0f}" text-anchor="end">{escape(workload)}</text>')
        for system in shown:
            relative = ratio(speeds.get(system), base)
            if relative is None:
                out.append(f'<text x="{left + 3}" y="{y + bar - 1}" font-size="8" fill="{COLOURS.get(system, "black")}">no figure</text>')
            else:
                end = x_of(relative)
                out.append(f'<rect x="{left}" y="{y}" width="{max(end - left, 1):.1f}" height="{bar - 1}" fill="{COLOURS.get(system, "black")}"/>')
                out.append(f'<text x="{end + 3:.0f}" y="{y + bar - 1}" font-size="8">{relative:.2g}</text>')
            y += bar
        y += gap
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    results_path, versions_path, table_path, chart_path, quick = sys.argv[1:]
    units, systems, values = read_results(results_path)
    with open(versions_path, encoding="utf-8") as lines:
        versions = [line.rstrip("\n").split("\t", 1) for line in lines]
    with open(table_path, "w", encoding="utf-8") as out:
        out.write(table(units, systems, values, versions, quick == "1"))
    with open(chart_path, "w", encoding="utf-8") as out:
        out.write(chart(units, systems, values))


main()
