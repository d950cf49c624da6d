"""The course of a run: every load on every target in rotation, then what an idle stream weighs."""

import sys
import time

from . import processes, targets, workloads

WARM_UP_SECONDS = 1


class Progress:
    """Says after each step how far the run is and how long the rest will take, by how long the steps took so far."""

    def __init__(self, steps, name):
        self.steps, self.name, self.done, self.began = steps, name, 0, time.monotonic()

    def tell(self, text):
        self.done += 1
        left = (time.monotonic() - self.began) / self.done * (self.steps - self.done)
        print(f"[{self.name} {self.done}/{self.steps}, {left / 60:.1f} min left] {text}", file=sys.stderr, flush=True)


def rounds(options, where, others, own, present):
    """One placement: slices of all loads. Every target runs throughout: an idle one costs the others nothing."""
    where.directory.mkdir()
    direct, upstreams = targets.start_upstream(where, others)
    everyone = [direct, *(rival.start(where, own) for rival in present)]
    slices = []
    progress = Progress(len(workloads.LOADS) * (options.rounds * len(everyone) + 1), where.directory.name)
    for load in workloads.LOADS:
        for target in everyone:
            # Not counted: who connects when asked pays for dozens of handshakes in its first second, and never again.
            workloads.slice_of(load, target, WARM_UP_SECONDS, others)
        progress.tell(f"{load.name}: all are warm")
        for turn in range(options.rounds):
            shift = turn % len(everyone)
            for target in everyone[shift:] + everyone[:shift]:
                figures = workloads.slice_of(load, target, options.seconds, others)
                slices.append({"load": load.name, "round": turn, "target": target.name, "figures": figures})
                progress.tell(f"{load.name}, round {turn + 1}, {target.name}: {workloads.in_words(figures)}")
    _stop([target.process for target in everyone[1:]] + upstreams)
    return slices


def weigh(count, where, others, own, present):
    """What an idle stream costs each in memory: in a process of its own, since one that has been under load has room to
    spare that it never gives back. Memory knows no placement, so it is weighed once."""
    where.directory.mkdir()
    _, upstreams = targets.start_upstream(where, others)
    found, progress = {}, Progress(len(present), where.directory.name)
    for rival in present:
        target = rival.start(where, own)
        found[rival.name] = workloads.idle(target, count, others)
        progress.tell(f"{rival.name}: {found[rival.name]}")
        _stop([target.process])
    _stop(upstreams)
    return found


def _stop(started):
    for process in started:
        processes.stop(process)
