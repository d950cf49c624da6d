"""The published page: the tables, and everything that a reader needs to take them again or to doubt them."""

import os
import platform
import re
from pathlib import Path

from . import summary


BUSY = ", so that others were at work as well and no figure below means much"


def machine():
    """What the figures were taken on."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())[1])
    return {
        "cpu": model[1].strip() if model else platform.machine(), "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**20), "kernel": platform.release(),
        "virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(), "load_before": round(os.getloadavg()[0], 2),
    }


def slug(facts):
    return re.sub(r"[^a-z0-9]+", "-", f"{facts['cores']}core-{facts['cpu']}".lower()).strip("-")


def markdown(raw):
    """The whole page from the raw record, so that a page can be made again without measuring again."""
    facts = raw["machine"]
    lines = [
        f"# {raw['date']}: firstbyte and its rivals, side by side", "",
        f"Taken by `{raw['command']}` at commit {raw['commit']} on {facts['cpu']}, {facts['cores']} cores"
        f"{' (virtual machine)' if facts['virtual'] else ''}, {facts['memory_gib']} GiB, Linux {facts['kernel']}. "
        f"Load average of the minute before: {facts['load_before']}{BUSY if facts['load_before'] > 0.5 else ''}.", "",
        f"Every target in turn, in slices of {raw['seconds']} s, {raw['rounds']} rounds, each round beginning with another one, "
        "after a second of each load that is not counted. "
        "A cell is the median over rounds, in brackets the lowest and the highest. "
        "*Added* is the target minus direct in the same round. Machines drift: compare the cells of one table, not of two. "
        "Direct is the client at the upstream itself, in clear; the floor relays in clear as well; the proxies have a TLS upstream. "
        "CPU is the target's alone, from the scheduler's account.", "",
        "| load | what it is |", "|---|---|",
    ]
    lines += [f"| {name} | {what} |" for name, what in raw["loads"].items()]
    lines.append(f"| idle | {raw['idle_streams']} streams that have had their first token and wait for the next |")
    for placement, measured in raw["placements"].items():
        lines += ["", f"## {measured['what']}", ""] + _table(raw, summary.rows(measured["slices"], raw["idle"]))
        doubts = doubts_of(raw, measured)
        lines += ["", "Doubtful:", *(f"- {each}" for each in doubts)] if doubts else []
    lines += ["", "## Versions", ""] + [f"- {name}: {version}" for name, version in raw["versions"].items()]
    lines += [f"- {each}" for each in left_out(raw)]
    return "\n".join(lines) + "\n"


def doubts_of(raw, measured):
    """Sentences for what makes figures of a placement doubtful."""
    return summary.doubts(measured["slices"]) + [
        f"idle streams of {name}: {idle['error']}" for name, idle in raw["idle"].items() if "error" in idle]


def left_out(raw):
    """Sentences for rivals that have no row, and why."""
    return [f"{name} is not measured: it could not be had here" for name in raw["absent"]] + [
        f"{name} is not measured: {' '.join(why.split())}" for name, why in raw["wrong"].items()]


def _table(raw, rows):
    lines = [
        "| target | " + " | ".join(heading for _, heading, _, _ in summary.COLUMNS) + " |",
        "|---|" + "---|" * len(summary.COLUMNS),
    ]
    for name, row in rows.items():
        cells = [_cell(row.get(key), decimals) for key, _, decimals, _ in summary.COLUMNS]
        lines.append(f"| {raw['what'].get(name, name)} | " + " | ".join(cells) + " |")
    lost = summary.losses(rows, "firstbyte", "relay")
    if not rows.get("firstbyte"):
        return lines
    return lines + ["", "Where we lose:" if lost else "No rival is ahead of us in any column of this table."] + [f"- {each}" for each in lost]


def _cell(value, decimals):
    if not value:
        return "–"
    median, low, high = (f"{value[key]:,.{decimals}f}" for key in ("median", "low", "high"))
    return median if low == high else f"{median} ({low}–{high})"

