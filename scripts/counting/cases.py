"""What is counted: each case of benches/scripted, run twice, and what one unit of it comes to."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from . import callgrind


@dataclass
class Case:
    what: str
    rounds: int
    units: int = 1  # of what is counted in one round


CASES = {
    "request": Case("a request of 1 KiB, its answer's head, one frame, the end", 200),
    "frame": Case("one frame of 200 bytes by itself", 500),
    "burst": Case("one of sixteen frames in one segment", 200, 16),
    "cancel": Case("a client that leaves in mid-stream, until the upstream's stream is reset", 200),
    "request-http2": Case("the same from an HTTP/2 client", 200),
    "frame-http2": Case("the same to an HTTP/2 client", 500),
    "burst-http2": Case("the same to an HTTP/2 client", 200, 16),
    "cancel-http2": Case("the same by an HTTP/2 client", 200),
    "request-clients": Case("the same of a known client with limits and a budget, who is charged", 200),
    "frame-clients": Case("one frame to such a client", 500),
    "idle": Case("a turn of the runtime in which nothing happens: in each case's figure once per turn", 500),
}

# callgrind counts from the call of this function to its return, and nothing else (benches/scripted/src/bin/instructions/rig.rs).
COUNTED = "instructions::*::counted_turn*"


def count(driver, names, folder):
    """What a unit of each case costs, by name. Fails where the driver does: it checks every byte."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = {(name, times): pool.submit(run, driver, name, CASES[name].rounds * times, folder) for name in names for times in (1, 2)}
        profiles = {key: future.result() for key, future in runs.items()}
    return {
        name: profiles[name, 2].per_round(profiles[name, 1], CASES[name].rounds * CASES[name].units) for name in names}


def run(driver, name, rounds, folder):
    written = folder / f"{name}.{rounds}.callgrind"
    ran = subprocess.run(
        ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--dump-instr=yes", "--compress-pos=no",
         f"--toggle-collect={COUNTED}", f"--callgrind-out-file={written}", str(driver), name, str(rounds)],
        capture_output=True, text=True, timeout=300)
    if ran.returncode:
        sys.exit(f"{name} failed:\n{ran.stderr}")
    profile = callgrind.read(written)
    if not profile.instructions:
        sys.exit(f"nothing was counted for {name}: is there no function {COUNTED} in {driver}?")
    return profile


def figures(profile):
    """What is kept and shown of a unit."""
    return {
        "instructions": round(profile.instructions),
        "allocations": round(profile.called(callgrind.ALLOCATOR), 2),
        "kernel_calls": round(profile.called(callgrind.KERNEL), 2),
    }


def breakdown(name, profile, most):
    """A page for people: where a unit's instructions go."""
    total = profile.instructions
    lines = [f"\n== {name}: {CASES[name].what}", f"   {total:,.0f} instructions"]
    for title, counts in (
            ("by crate", profile.crates), ("by function, itself", profile.own),
            ("by function, with all that it calls", callgrind.below(profile))):
        lines += ["", f"   -- {title}"]
        lines += [f"   {count:>11,.1f}  {count / total:>6.1%}  {what[:120]}" for what, count in counts.most_common(most)]
    for title, names in (("calls into the kernel", callgrind.KERNEL), ("calls of the allocator", (*callgrind.ALLOCATOR, "mi_free"))):
        lines += ["", f"   -- {title}"]
        lines += [f"   {profile.calls[each]:>11,.2f}          {each}" for each in names if profile.calls[each] > 0.005]
    return "\n".join(lines)
