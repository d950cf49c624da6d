"""What a process cost, by the kernel's own account: CPU time from schedstat, memory from smaps_rollup."""

import os
from pathlib import Path


def family(pid):
    """The process and its descendants: nginx works in children of the process that was started."""
    found = [pid]
    for parent in found:
        for task in _entries(f"/proc/{parent}/task"):
            children = _read(f"/proc/{parent}/task/{task}/children")
            found.extend(int(child) for child in children.split())
    return found


def cpu_ns(pid):
    """Nanoseconds that the process, its threads and its children have spent on a CPU. A thread that has ended is not
    counted any more, so differences are only right while threads stay: all targets here keep theirs."""
    total = 0
    for process in family(pid):
        for task in _entries(f"/proc/{process}/task"):
            on_cpu = _read(f"/proc/{process}/task/{task}/schedstat").split()
            total += int(on_cpu[0]) if on_cpu else 0
    return total


def switches(pid):
    """Voluntary context switches, which is how often it went to sleep and was woken."""
    total = 0
    for process in family(pid):
        for task in _entries(f"/proc/{process}/task"):
            for line in _read(f"/proc/{process}/task/{task}/status").splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
    return total


def pss_kib(pid):
    """Proportional set size in KiB: shared pages are split among their users, so that forked workers are not counted twice."""
    total = 0
    for process in family(pid):
        for line in _read(f"/proc/{process}/smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def _entries(path):
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _read(path):
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
