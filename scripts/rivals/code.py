"""How much code a target runs for a request: instructions, and distinct cache lines of code, counted by callgrind.

At a few hundred requests a second a proxy's code has left the caches by the time of the next one; then it is the lines that cost,
not the instructions."""

import re
import subprocess

from . import account, processes

LINE = 64
PATH = "/v1/chat/completions"


def under_callgrind(command, out):
    return [
        "valgrind", "--tool=callgrind", "--trace-children=yes", "--instr-atstart=no", "--dump-instr=yes",
        f"--callgrind-out-file={out}", *command]


def count(target, loadtest, requests, tokens, out):
    """Asks for `requests` answers of `tokens` frames one after the other; (instructions, distinct lines of code) per request."""
    ask(target, loadtest, requests // 5, tokens)
    family = account.family(target.pid)
    control(family, "-i", "on")
    ask(target, loadtest, requests, tokens)
    control(family, "-i", "off")
    control(family, "-d")
    processes.stop(target.process)
    dumps = sorted(out.parent.glob(f"{out.name}.*"), key=lambda dump: dump.stat().st_size)
    return read(dumps[-1], requests)


def ask(target, loadtest, requests, tokens):
    subprocess.run(
        [*loadtest, "run", target.url + PATH, "-c", "1", "-n", str(requests), "--warm-up", "0s", "-H", f"x-mock-tokens: {tokens}",
         "-H", "x-mock-gap-us: 0", "--quiet", "--allow-void"], check=True, stdout=subprocess.DEVNULL, timeout=300)


def control(pids, *what):
    for pid in pids:
        subprocess.run(["callgrind_control", *what, str(pid)], check=True, stdout=subprocess.DEVNULL)


def read(dump, requests):
    """A line counts if it runs in at least every second request: what is rare isn't what a request costs."""
    instructions, lines, address, of_a_call = 0, set(), 0, False
    for text in dump.read_text().splitlines():
        if text.startswith("calls="):
            of_a_call = True
            continue
        cost = re.match(r"(0x[0-9a-f]+|[+-]\d+|\*) \S+ (\d+)$", text)
        if not cost:
            continue
        address = _address(cost[1], address)
        if of_a_call:
            of_a_call = False
            continue
        instructions += int(cost[2])
        if int(cost[2]) * 2 >= requests:
            lines.add(address // LINE)
    return instructions / requests, len(lines)


def _address(text, before):
    if text.startswith("0x"):
        return int(text, 16)
    return before if text == "*" else before + int(text)
