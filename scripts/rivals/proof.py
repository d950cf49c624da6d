"""A rival is measured only after it has shown that it passes a stream on as it should: every byte right, none held back."""

import json
import subprocess

from . import processes, programs, targets, workloads

STREAMS = 8
TOKENS = 20
GAP_US = 10_000


def prove(rivals, where, core):
    """{name: what is wrong with it}, of those that can't be measured. The upstream sends a hash of each stream along."""
    where.directory.mkdir(exist_ok=True)
    _, upstreams = targets.start_upstream(where, core, hash_bodies=True)
    wrong = {}
    for rival in rivals:
        try:
            target = rival.start(where, core)
        except processes.NeverCame as why:
            wrong[rival.name] = str(why)
            continue
        found = _fault(target)
        if found:
            wrong[rival.name] = found
        processes.stop(target.process)
    for process in upstreams:
        processes.stop(process)
    return wrong


def _fault(target):
    command = [
        *programs.command("loadtest"), "run", target.url + workloads.PATH, "-n", str(STREAMS), "-c", "2", "--verify", "--timeout", "10s",
        "-H", f"x-mock-tokens: {TOKENS}", "-H", f"x-mock-gap-us: {GAP_US}", "--quiet", "--allow-void", "--json", "-",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if not ran.stdout.startswith("{"):
        return f"could not be asked: {ran.stderr[-500:]}"
    report = json.loads(ran.stdout)
    asked = report["targets"][0]
    if ran.returncode or asked["verified"] != asked["requests"]:
        return f"{asked['verified']} of {asked['requests']} streams right: {report['failed_conditions']} {asked['failures']}"
    # A proxy that waits for the whole answer has its first byte when direct has the last.
    first = max(each["max"] for each in asked["measures"] if each["name"] == "ttfb") / 1000
    whole = (TOKENS - 1) * GAP_US
    return f"the first byte came after {first:.0f} µs of {whole} µs: the stream was held back" if first > whole / 2 else None
