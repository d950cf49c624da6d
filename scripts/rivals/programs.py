"""Where each rival's program is: what scripts/rivals/fetch got into target/rivals, else what the machine has."""

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FETCHED = ROOT / "target" / "rivals"
RELEASE = ROOT / "target" / "release"

# Unpacked from a Debian suite: folder under FETCHED, which is also what scripts/rivals/fetch calls it; the program in it.
UNPACKED = {
    "nginx": ("debian", "usr/sbin/nginx"), "haproxy": ("debian", "usr/sbin/haproxy"), "caddy": ("debian", "usr/bin/caddy"),
    "h2o": ("h2o", "usr/bin/h2o"),
}
SINGLE = {
    "envoy": FETCHED / "python" / "envoy" / "_bin" / "envoy",
    "pingora": FETCHED / "pingora" / "release" / "rival-pingora",
    "firstbyte": RELEASE / "firstbyte", "loadtest": RELEASE / "loadtest", "relay": RELEASE / "examples" / "relay",
}


def use(folder):
    """From now on our own programs are those in `folder`: a build with symbols, say."""
    for name, program in (("firstbyte", "firstbyte"), ("loadtest", "loadtest"), ("relay", "examples/relay")):
        SINGLE[name] = folder / program


def command(name):
    """How to start `name`: a list that its arguments are added to, or nothing where it isn't here."""
    if name in UNPACKED:
        root, program = FETCHED / UNPACKED[name][0], UNPACKED[name][1]
        if (root / program).exists():
            return _with_own_libraries(root, root / program)
    elif SINGLE[name].exists():
        return [str(SINGLE[name])]
    installed = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return [installed] if installed else None


def not_fetched(names):
    """What scripts/rivals/fetch should be asked for, so that all of `names` that it knows are there."""
    lacking = {UNPACKED[name][0] for name in names if name in UNPACKED and not (FETCHED / UNPACKED[name][0]).exists()}
    return sorted(lacking | {name for name in ("envoy", "pingora") if name in names and not SINGLE[name].exists()})


def version(name, arguments):
    """Its version as it tells it, on one line, without the path that it was called by or the hash that it was built from."""
    if name == "pingora":
        locked = (ROOT / "scripts" / "rivals" / "pingora" / "Cargo.lock").read_text()
        return "pingora " + re.search(r'name = "pingora"\nversion = "(.+)"', locked)[1]
    try:
        told = subprocess.run([*command(name), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    first = (told.stdout + told.stderr).strip().split("\n")[0]
    for noise in (r"^\S*/(?=\w+ )", r"^.*version:?\s+", r"\b[0-9a-f]{40}/"):
        first = re.sub(noise, "", first)
    return re.sub(r"\s+", " ", first if first.lower().startswith(name) else f"{name} {first}")


def numbers(text):
    """The first dotted number in `text`, to be compared: (1, 30, 6)."""
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _with_own_libraries(root, program):
    """A program of another suite is started by the C library that came with it, whatever the machine's own is."""
    loader = next(iter(sorted(root.glob("**/ld-linux*.so.*"))))
    libraries = [*sorted(root.glob("lib/*-linux-gnu*")), *sorted(root.glob("usr/lib/*-linux-gnu*"))]
    return [str(loader), "--library-path", ":".join(map(str, libraries)), str(program)]
