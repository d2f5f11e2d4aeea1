"""How do the measured figures become a page that people can read?

`samples` maps (figure name, server name) to one value per round, None where it failed.
"""

import os
import pathlib
import platform
import re
import statistics
import subprocess
import time

import figures


def measured(samples, figure, server):
    return [value for value in samples.get((figure, server), []) if value is not None]


def ratio(samples, ours, theirs):
    """The median of the rounds' ratios (what disturbs a whole round cancels out), or None. Both are
    (figure, server)."""
    pairs = zip(samples.get(ours, []), samples.get(theirs, []))
    ratios = [a / b for a, b in pairs if a is not None and b]
    return statistics.median(ratios) if ratios else None


def number(value):
    return f"{value:,.0f}"


def cell(values):
    if not values:
        return ""
    middle = statistics.median(values)
    if len(values) == 1 or middle == 0:
        return number(middle)
    spread = (max(values) - min(values)) / 2 / middle
    return f"{number(middle)} ±{spread:.0%}"


def table(header, rows, text_columns=1):
    aligned = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, aligned, *rows])


def section(samples, name, rows):
    servers = [server for server in figures.EVERY if any(server in row.servers for row in rows)]
    against = rows[0].against
    pairs = [(server, against) if against else ("Warren", server) for server in servers
             if server != (against or "Warren")]
    lines = []
    for row in rows:
        values = [cell(measured(samples, row.name, server)) for server in servers]
        ratios = [ratio(samples, (row.name, ours), (row.name, theirs)) for ours, theirs in pairs]
        lines.append([row.name, *values, *("" if r is None else f"{r:.2f}" for r in ratios)])
    header = ["", *servers, *(f"{ours} / {theirs}" for ours, theirs in pairs)]
    return f"## {name}\n\n{table(header, lines)}\n"


def judge(samples, goal):
    """[goal, figure, reached, verdict], or None if it was not measured."""
    alone = goal.theirs is None and goal.theirs_figure is None
    if alone:
        values = measured(samples, goal.figure, goal.ours)
        reached = statistics.median(values) if values else None
    else:
        reached = ratio(samples, (goal.figure, goal.ours),
                        (goal.theirs_figure or goal.figure, goal.theirs or goal.ours))
    if reached is None:
        return None
    met = (goal.at_least is None or reached >= goal.at_least) and (
        goal.at_most is None or reached <= goal.at_most)
    shown = number(reached) if alone else f"{reached:.2f} x"
    return [goal.text, goal.figure, shown, "met" if met else "**missed**"]


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory_kib = int(re.search(r"MemTotal: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    return (f"{os.cpu_count()} cores ({cpu[1] if cpu else platform.machine()}), "
            f"{memory_kib / 2**20:.0f} GiB, Linux {platform.release().split('-')[0]}")


def revision(root):
    described = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"],
                               capture_output=True, text=True)
    return described.stdout.strip() or "unknown"


def write(samples, servers, rounds, load_before, root):
    """The whole page."""
    sections = {}
    for figure in figures.FIGURES:
        if measured(samples, figure.name, "Warren"):
            sections.setdefault(figure.section, []).append(figure)
    verdicts = [row for row in (judge(samples, goal) for goal in figures.GOALS) if row]
    parts = [
        "# Warren beside its peers\n",
        f"Made by `./dev bench compare` on {time.strftime('%Y-%m-%d %H:%M')}, revision "
        f"{revision(root)}: medians of {rounds} alternating "
        f"round{'s' if rounds != 1 else ''}, ± half the spread; ratios are medians of the rounds' "
        "ratios. bench/README.md says how each figure is made.\n",
        f"Machine: {machine()}; load average before the start {load_before:.2f}.\n",
        "\n".join(f"- {server.name}: {server.version()}" for server in servers) + "\n",
        *(["## Goals\n", table(["goal", "figure", "reached", "verdict"], verdicts, 2) + "\n"]
          if verdicts else []),
        *(section(samples, name, rows) for name, rows in sections.items()),
    ]
    return "\n".join(parts)
