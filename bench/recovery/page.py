"""How do the results become a page that people can read?"""

import os
import time

import dip
import report
import servers
from measurements import median, percentile

GOAL_FREE_MS = 5
GOAL_DIP = 0.02


def microseconds(value):
    return f"{value:,.0f} us"


def verdict(met):
    return "met" if met else "**missed**"


def deaths_table(deaths):
    rows = []
    for name, chosen in (
            ("all deaths", deaths),
            ("those that held an lwlock or were changing pages", [d for d in deaths if d.held]),
            ("those for whose lwlocks somebody waited", [d for d in deaths if d.waiters > 0])):
        free = [death.free_us for death in chosen]
        reap = [death.reap_us for death in chosen]
        rows.append([name, str(len(chosen)), *(
            [microseconds(percentile(free, part)) for part in (0.5, 0.99, 1)] +
            [microseconds(percentile(reap, part)) for part in (0.5, 0.99)]
            if chosen else [""] * 5)])
    return report.table(["from SIGKILL until its last lwlock was free", "deaths", "p50", "p99",
                         "longest", "p50 of the reaping alone", "its p99"], rows)


def stalls_table(results):
    rows = []
    for name, runs in (("nobody killed", results.control), ("50 killed a second", results.with_kills)):
        rows.append([name, *(f"{median([run[column] for run in runs]):,.2f}"
                             for column in ("p50_latency_ms", "p99_latency_ms")),
                     f"{max(run['max_latency_ms'] for run in runs):,.1f}",
                     f"{median([run['rps'] for run in runs]):,.0f}"])
    waits = [death.longest_wait_us for death in results.deaths if death.waiters > 0]
    table = report.table(["the others' SETs", "p50, ms", "p99, ms", "longest, ms", "per second"], rows)
    control, with_kills = (median([run["rps"] for run in runs])
                           for runs in (results.control, results.with_kills))
    table += f"\n\nA fiftieth of what 50 deaths a second cost: {(1 - with_kills / control) / 50:.2%}."
    if not waits:
        return f"{table}\n\nNobody waited for an lwlock of a dead one."
    return (f"{table}\n\nOf the {len(results.deaths)} deaths {len(waits)} had somebody waiting for an "
            f"lwlock of the dead one; the longest of these waits, begun before the death or after it: "
            f"{microseconds(percentile(waits, 0.5))} (p50), {microseconds(percentile(waits, 1))} "
            f"(longest).")


def dip_table(measured):
    rows = []
    for name, pairs in (("one death", measured.deaths),
                        ("none: noise alone", measured.noise)):
        low, high = pairs.interval()
        rows.append([name, str(len(pairs.rates)), f"{pairs.median():.2%}",
                     f"{low:.2%} to {high:.2%}", f"{pairs.together():.2%}"])
    return report.table(["dip of the commands per second", "seconds", "median",
                         "95% interval of the median", "all together"], rows)


def outages_table(outages):
    rows = [[name, f"{median(outage.milliseconds):,.1f}", f"{max(outage.milliseconds):,.1f}",
             f"{median(outage.disconnected):,.0f} of {outage.others}",
             str(len(outage.milliseconds))] for name, outage in outages.items()]
    return report.table(["", "median, ms", "longest, ms", "others disconnected (median)", "times"], rows)


def goals(results):
    free = [death.free_us / 1000 for death in results.deaths.deaths]
    deaths = results.dip.deaths
    low, high = deaths.interval()
    lost = max(results.killed["Warren"].disconnected)
    rows = [
        ["last lwlock free, p99", f"under {GOAL_FREE_MS} ms", f"{percentile(free, 0.99):.2f} ms",
         verdict(percentile(free, 0.99) < GOAL_FREE_MS)],
        ["throughput dip with one death a second", f"under {GOAL_DIP:.0%}",
         f"{deaths.median():.2%} (95% interval {low:.2%} to {high:.2%})",
         verdict(deaths.median() < GOAL_DIP)],
        ["clients disconnected besides the victim", "0", str(lost), verdict(lost == 0)]]
    return report.table(["figure", "goal", "reached", "verdict"], rows, text_columns=4)


def write(results, running, load_before):
    versions = "\n".join(f"- {server.name}: {server.version()}" for server in running)
    return f"""# What the death of a backend costs

Made by `./dev bench recovery` on {time.strftime("%Y-%m-%d %H:%M")}; bench/README.md says how each figure is
made. Machine: {os.cpu_count()} cores; load average before the start {load_before:.2f}.

{versions}

## Goals

{goals(results)}

## Warren: {len(results.deaths.deaths)} deaths

{deaths_table(results.deaths.deaths)}

{stalls_table(results.deaths)}

## Warren: one death a second

{dip_table(results.dip)}

One load that goes on without a break. In the middle of every other second one victim is killed; the quarter of a
second from then on is compared with the quarter before it, and of a second the dip is a fourth of that. Counted is
what the server executed, of all its clients: also what the victim lost, and the time in which it connected again. It
does not repeat what it lost. In a second without a death the victims and their program do the same, but for the kill
and the new connection. So the dip is the whole price of a death, the victim's own loss included.

## One backend killed (SIGKILL)

From the signal until a new connection's command succeeded, with {servers.KEY_COUNT:,} keys. Before each, a
CHECKPOINT and then {results.changes:,} changes (SET; UPDATE of one row by key, each a transaction), the same
number on both.

{outages_table(results.killed)}

## One backend gone wild (SIGSEGV): full restart

The same; both servers recover from their logs.

{outages_table(results.wild)}
"""
