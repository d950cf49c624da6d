"""The loads that are put on each target, and one slice of one of them: client figures and what the target paid for them."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from . import account, processes, programs

PATH = "/v1/chat/completions"
HOLD_SETTLE_SECONDS = 2


@dataclass
class Load:
    name: str
    what: str
    arguments: list
    tokens: int
    gap_us: int


LOADS = [
    Load("latency", "200 requests/s, open loop, one frame each", ["-q", "200"], 1, 0),
    Load("frames", "50 streams of one frame per 10 ms: 5,000 frames/s", ["-c", "50"], 300, 10_000),
    Load("saturation", "16 clients, closed loop, 500 frames back to back", ["-c", "16"], 500, 0),
]


def slice_of(load, target, seconds, core):
    """One slice: `loadtest run` on `core` for some seconds, with the target's CPU account before and after."""
    command = [
        "taskset", "-c", str(core), *programs.command("loadtest"), "run", target.url + PATH, *load.arguments,
        "-z", f"{seconds}s", "--warm-up", "0s", "-H", f"x-mock-tokens: {load.tokens}", "-H", f"x-mock-gap-us: {load.gap_us}",
        "--quiet", "--allow-void", "--json", "-",
    ]
    before = account.cpu_ns(target.pid) if target.pid else 0
    woken = account.switches(target.pid) if target.pid else 0
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 10 + 60)
    report = json.loads(ran.stdout) if ran.stdout.startswith("{") else None
    if ran.returncode or not report:
        why = report["targets"][0]["failures"] if report else ran.stdout + ran.stderr
        print(f"!! {load.name} on {target.name}: exit {ran.returncode}: {why}", file=sys.stderr)
    if not report:
        sys.exit(f"could not be run: {' '.join(command)}")
    figures = figures_of(report)
    if target.pid:
        figures["cpu_ns"] = account.cpu_ns(target.pid) - before
        figures["wakes"] = account.switches(target.pid) - woken
    return figures


def in_words(figures):
    """A slice in a line, for whoever watches."""
    first = figures.get("ttfb_p50_us")
    return (f"{figures['requests']} requests, {figures['failed']} failed, {figures['frames'] / figures['seconds']:,.0f} frames/s"
            + (f", first byte p50 {first:.0f} µs" if first else ""))


def figures_of(report):
    """What we take from the client's report (loadtest/schema/report.schema.json): times in µs, frames as SSE events."""
    target = report["targets"][0]
    measures = {each["name"]: each["quantiles"] for each in target["measures"]}
    spectra = {each["name"]: each["spectrum"] for each in target["measures"]}
    figures = {
        "requests": target["succeeded"], "failed": target["requests"] - target["succeeded"], "seconds": target["seconds"],
        "frames": round(target["event_rate"] * target["seconds"]), "void": report["generator"]["void"],
        "ttfb_spectrum": [[round(share, 7), nanos / 1000] for share, nanos in spectra.get("ttfb", [])],
    }
    for measure in ("ttfb", "gap", "leg_up", "leg_down"):
        for quantile in ("p50", "p99"):
            # A quantile that too few requests were seen for is not told.
            if quantile in measures.get(measure, {}):
                figures[f"{measure}_{quantile}_us"] = measures[measure][quantile] / 1000
    return figures


def idle(target, count, core):
    """PSS that each of `count` idle streams costs, in KiB. The upstream holds as many, but pays for itself."""
    before = account.pss_kib(target.pid)
    holder = subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, processes.__file__.replace("processes", "idle"), str(target.port), str(count)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = holder.stdout.readline().strip()
        if said != f"held {count}":
            return {"before_kib": before, "error": (said + holder.stderr.read()).strip().split("\n")[-1]}
        time.sleep(HOLD_SETTLE_SECONDS)
        during = account.pss_kib(target.pid)
        return {"before_kib": before, "during_kib": during, "per_stream_kib": (during - before) / count}
    finally:
        holder.kill()
        holder.wait()
