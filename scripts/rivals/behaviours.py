"""What scripts/promises looks at, from outside: each is asked of one target in front of a mock upstream that misbehaves, and gives
a cell of the table and its raw figures. A cell says what happened, not what it is worth."""

import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

from . import account
from .asking import Client, load, script

WAYS = ["cut-fin", "cut-rst", "truncate", "no-close-notify", "short-length", "reset-mid-stream", "goaway-error"]
TIMES = 5
LEAVERS = 20
GIVE_UP = 3  # so many that are never told are enough
# The signal that its documentation calls graceful, where that is another than SIGTERM.
GRACEFUL = {"nginx": signal.SIGQUIT, "nginx-h2": signal.SIGQUIT, "haproxy": signal.SIGUSR1}
STALLED = 100
STALLED_SETTLE = 3


@dataclass
class Behaviour:
    name: str
    what: str
    options: list
    ask: object
    # Only where the target speaks HTTP/1.1 to an upstream that offers nothing else.
    http1: bool = False


def truncation(where, target, upstream):
    """Every way of breaking off, some times each: did the client's answer look like an end?"""
    raw = {}
    for way in WAYS:
        ends = Counter(Client(target.port, [f"x-mock-script: {way}", "x-mock-tokens: 4"]).verdict() for _ in range(TIMES))
        raw[way] = dict(ends)
    wrong = [way for way, ends in raw.items() if set(ends) & {"whole", "until close", "hangs"}]
    return ("all cut" if not wrong else "looks whole: " + ", ".join(wrong)), raw


def until_close(where, target, upstream):
    """The upstream's connection breaks under TLS without a close_notify, in a body that only its close would end."""
    ends = Counter(Client(target.port).verdict() for _ in range(TIMES))
    return ("cut" if set(ends) <= {"cut", "502"} else ", ".join(ends)), dict(ends)


def cancel(where, target, upstream):
    """A client leaves: how long until the upstream's stream ends."""
    raw = {}
    for name, line, begun, spare in [
        ("mid-stream", "x-mock-script: stall", b"data: ", b""),
        ("before the head", "x-mock-script: never", None, b""),
        ("mid-stream, a byte too many", "x-mock-script: stall", b"data: ", b"G"),
    ]:
        took = raw[name] = []
        while len(took) < LEAVERS and took.count(None) < GIVE_UP:
            took.append(leave(target, upstream, line, begun, spare))
    return "; ".join(f"{name}: {in_words(took)}" for name, took in raw.items()), raw


def leave(target, upstream, line, begun, spare):
    """Milliseconds, or nothing if the upstream was not told in time."""
    client = Client(target.port, [line, "x-mock-tokens: 4"])
    if begun:
        client.until(begun)
    else:
        time.sleep(0.1)  # the upstream is asked meanwhile
    known, left = len(upstream.ended()), client.leave(spare)
    while len(upstream.ended()) == known:
        if time.monotonic() - left > 3:
            return None
        time.sleep(0.0005)
    return (time.monotonic() - left) * 1000


def in_words(took):
    told = sorted(each for each in took if each is not None)
    if not told:
        return "not within 3 s"
    lost = f", {len(took) - len(told)} not within 3 s" if len(told) < len(took) else ""
    return f"{told[len(told) // 2]:.1f} ms (most {told[-1]:.0f}){lost}"


def goaway(where, target, upstream):
    """3,000 requests by 50 clients; every connection is sent away after 100."""
    ran = load(target, "-n", "3000", "-c", "50", "-H", "x-mock-tokens: 3", "--timeout", "20s")
    failed = ran["requests"] - ran["succeeded"]
    return f"{failed} of {ran['requests']} failed", {"failed": failed, "failures": ran["failures"]}


def stream_cap(where, target, upstream):
    """150 streams of 3 s at once; the upstream allows 100 on a connection."""
    ran = load(target, "-n", "150", "-c", "150", "-H", "x-mock-tokens: 30", "-H", "x-mock-gap-us: 100000", "--timeout", "20s")
    first = next((each["max"] / 1e9 for each in ran["measures"] if each["name"] == "ttfb"), None)
    told = f"{ran['succeeded']} of 150 whole, last head after {first:.1f} s" if first else "none"
    return told, {"succeeded": ran["succeeded"], "last_head_s": first, "failures": ran["failures"]}


def drain(where, target, upstream, number=signal.SIGTERM):
    """A signal under 20 streams that last 3 s more."""
    clients = [Client(target.port, ["x-mock-tokens: 40", "x-mock-gap-us: 100000"]) for _ in range(20)]
    for client in clients:
        client.until(b"data: ")
    target.process.send_signal(number)
    ends = Counter(client.verdict() for client in clients)
    signalled = time.monotonic()
    while target.process.poll() is None and time.monotonic() - signalled < 5:
        time.sleep(0.05)
    code = target.process.poll()
    cut = 20 - ends["whole"]
    return f"{cut} of 20 cut, " + ("still there 5 s later" if code is None else f"exit {code}"), {"ends": dict(ends), "exit": code}


def drain_graceful(where, target, upstream):
    number = GRACEFUL.get(target.name, signal.SIGTERM)
    cell, raw = drain(where, target, upstream, number)
    return f"{cell} ({number.name})", {**raw, "signal": number.name}


def held_back(where, target, upstream):
    """10 frames of 40 bytes, one each 300 ms: how many came together with the next one."""
    client = Client(target.port, ["x-mock-tokens: 10", "x-mock-gap-us: 300000", "x-mock-frame-bytes: 40"])
    begun = time.monotonic()
    verdict = client.verdict()
    held = sum(came.count(b"data: ") - 1 for _, came in client.reads[:-1] if b"data: " in came and b"[DONE]" not in came)
    first = next((at - begun for at, came in client.reads if b"data: " in came), 0) * 1000
    return f"{held} of 10 held, first after {first:.0f} ms", {"verdict": verdict, "first_ms": first, "held": held}


def slow_readers(where, target, upstream):
    """100 clients that never read endless streams, and then 10 that do, one frame each 10 ms."""
    neighbours(target)
    before = account.pss_kib(target.pid)
    lines = ["x-mock-tokens: 100000", "x-mock-gap-us: 0", "x-mock-frame-bytes: 16384"]
    stalled = [Client(target.port, lines, narrow=True) for _ in range(STALLED)]
    time.sleep(STALLED_SETTLE)
    each = (account.pss_kib(target.pid) - before) / STALLED
    whole = neighbours(target)
    for client in stalled:
        client.abort()
    return f"{each:.0f} KiB for each, {whole} of 10 neighbours whole", {"kib_each": each, "neighbours_whole": whole}


def neighbours(target):
    """How many of 10 streams of 100 frames end as they should."""
    whole = []

    def read():
        whole.append(Client(target.port, ["x-mock-tokens: 100", "x-mock-gap-us: 10000"]).verdict() == "whole")

    threads = [threading.Thread(target=read) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(whole)


def resent(where, target, upstream):
    """A POST that may have been processed (the connection ended before the head), one that was not (REFUSED_STREAM), and one whose
    answer had begun: how often is the upstream asked?"""
    raw = {}
    for way in ["cut-before-head", "refuse", "cut-fin"]:
        asked = []
        for _ in range(3):
            before = len(upstream.ended())
            verdict = Client(target.port, [f"x-mock-script: {way}", "x-mock-tokens: 4"]).verdict()
            time.sleep(0.2)  # what comes again comes at once
            asked.append([len(upstream.ended()) - before, verdict])
        raw[way] = asked
    return "; ".join(f"{way}: {max(count for count, _ in asked)}×" for way, asked in raw.items()), raw


BROKEN = [{"head": {"status": 200, "headers": [["content-type", "text/event-stream"]], "until_close": True}},
          {"body": "data: 1\n\n"}, {"wait": "50ms"}, {"cut": "no_close_notify"}]

ALL = [
    Behaviour("truncation", "an upstream that breaks off, in 7 ways", [], truncation),
    Behaviour("until-close", "a body that only a close ends, cut without close_notify (HTTP/1.1 upstream)",
              ["--http1", "--script", lambda where: script(where, BROKEN)], until_close, http1=True),
    Behaviour("cancel", "a client that leaves: until the upstream's stream ends, median of 20", [], cancel),
    Behaviour("goaway", "a graceful GOAWAY every 100 requests", ["--goaway-every", "100"], goaway),
    Behaviour("goaway-abrupt", "the same without warning, as nginx sends it", ["--goaway-every", "100", "--goaway-abruptly"], goaway),
    Behaviour("stream-cap", "150 streams at once, 100 allowed on a connection", ["--stream-limit", "100"], stream_cap),
    Behaviour("held-back", "small frames, one each 300 ms: how many wait for the next", [], held_back),
    Behaviour("slow-readers", "100 that never read", ["--no-hash"], slow_readers),
    Behaviour("resent", "how often a POST reaches the upstream", [], resent),
    Behaviour("drain-term", "SIGTERM under 20 streams", [], drain),
    Behaviour("drain-graceful", "its own graceful signal under 20 streams", [], drain_graceful),
]
