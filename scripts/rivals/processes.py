"""Starts processes on chosen cores, and stops every one of them however the script ends."""

import atexit
import ctypes
import http.client
import signal
import socket
import subprocess
import sys
import time
import urllib.request

_PR_SET_PDEATHSIG = 1
_running = []


class NeverCame(Exception):
    """A process that ended, or took too long, before it was what it was started for; says why."""


def free_port():
    """A port that nobody listens on now. Another process may take it before ours does, which then fails to start, loudly."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(name, command, core, directory):
    """Runs `command` on one core; its output goes to a file in `directory`."""
    output = open(directory / f"{name}.log", "wb")
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *map(str, command)], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        preexec_fn=_die_with_us)
    output.close()
    process.name = name
    process.log = directory / f"{name}.log"
    _running.append(process)
    return process


def stop(process):
    """Ends a process that `start` began; one that does not listen is killed."""
    if process not in _running:
        return
    _running.remove(process)
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_serving(process, url):
    """Returns once `url` answers."""
    def answers():
        with urllib.request.urlopen(url, timeout=2) as answer:
            try:
                answer.read()
            except http.client.IncompleteRead:
                pass  # it serves: its upstream is one that breaks off
        return True
    _wait_until(process, f"answers at {url}", answers)


def wait_until_said(process, text):
    """Returns once the process has printed `text`."""
    _wait_until(process, f"says {text!r}", lambda: text in process.log.read_text(errors="replace"))


def _wait_until(process, what, holds, seconds=15):
    """A process that ends instead, or takes too long, is stopped; the exception holds the last of what it said."""
    deadline = time.monotonic() + seconds
    trouble = ""
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if holds():
                return
        except OSError as error:
            trouble = error
        time.sleep(0.05)
    stop(process)
    raise NeverCame(f"{process.name} never {what}: {trouble}\n{process.log.read_text(errors='replace')[-2000:]}")


def _die_with_us():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop_all():
    for process in list(_running):
        stop(process)


atexit.register(_stop_all)
for _number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, lambda number, frame: sys.exit(128 + number))
