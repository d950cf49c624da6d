"""What callgrind wrote, read: instructions by function and by crate, calls, and the difference of two runs."""

import re
from collections import Counter
from dataclasses import dataclass, field

# (what, functions of which each call is one): every way into the kernel that the proxy's path has, and into the allocator.
KERNEL = ("read", "recv", "recvmsg", "write", "writev", "send", "sendmsg", "epoll_wait", "epoll_ctl", "accept4", "close",
          "setsockopt", "shutdown", "socket", "connect", "futex", "syscall")
ALLOCATOR = ("mi_malloc", "mi_malloc_aligned", "mi_zalloc", "mi_zalloc_aligned", "mi_realloc", "mi_realloc_aligned")


@dataclass
class Profile:
    """Counts by function. A function's `inside` is with all that it called."""
    own: Counter = field(default_factory=Counter)
    inside: Counter = field(default_factory=Counter)
    calls: Counter = field(default_factory=Counter)
    crates: Counter = field(default_factory=Counter)

    @property
    def instructions(self):
        return sum(self.own.values())

    def per_round(self, shorter, rounds):
        """What a round costs: this run minus a shorter one, so that nothing which happens once is left in it."""
        counts = ((mine, theirs) for mine, theirs in zip(vars(self).values(), vars(shorter).values()))
        return Profile(*(
            Counter({name: (mine[name] - theirs[name]) / rounds for name in mine | theirs}) for mine, theirs in counts))

    def called(self, names):
        return sum(self.calls[name] for name in names)


def read(path):
    """Reads a file of `valgrind --tool=callgrind --dump-instr=yes --compress-pos=no` with one event.

    A line's cost belongs to the crate whose file it was written in, inlined or not. The standard library's belongs to the crate of
    the function into which it was inlined: what a crate has the library do is that crate's doing.
    """
    profile = Profile()
    names = {"fn": {}, "fl": {}}
    function = source = home = callee = None
    entries = {}
    for line in open(path, encoding="utf-8", errors="replace"):
        line = line.rstrip("\n")
        key, is_pair, value = line.partition("=")
        if is_pair and key in ("fn", "cfn", "fl", "fi", "fe", "cfl", "cfi"):
            name = _name(value, names["fn" if key.endswith("fn") else "fl"])
            if key == "fn":
                function = name
            elif key == "cfn":
                callee = name
            elif not key.startswith("c"):
                source = name
                home = name if key == "fl" else home
        elif line.startswith("0x"):
            address, _, cost = line.split()
            cost = int(cost)
            profile.inside[function] += cost
            if callee is None:
                profile.own[function] += cost
                profile.crates[_crate(home if source.startswith("/rustc/") else source, function)] += cost
                entries[function] = min(entries.get(function, (1 << 64, 0)), (int(address, 16), cost))
            callee = None
    # callgrind's own count of calls has those in it that it was told not to collect; how often a function's first instruction was
    # executed has not.
    for function, (_, executed) in entries.items():
        profile.calls[_plain(function)] += executed
    return profile


def below(profile):
    """`inside` without the way that leads to everything."""
    most = profile.instructions * 0.99
    return Counter({name: count for name, count in profile.inside.items() if count < most})


def _name(value, known):
    """Names are told once, `(7) name`, and then meant by `(7)`."""
    number, _, name = value.partition(" ")
    if name:
        known[number] = name
    return known.get(number, value)


def _plain(function):
    """glibc's names carry versions, and a recursion's its depth."""
    return re.split(r"@@|'", function)[0]


def _crate(source, function):
    registry = re.search(r"/registry/src/[^/]+/(.+?)-\d+\.\d", source)
    if registry:
        return registry[1].removeprefix("lib").removesuffix("-sys")
    if source.startswith("/rustc/"):
        return re.search(r"/library/(\w+)/|$", source)[1] or "rust"
    if re.match(r"(mi_|_mi_)", function):
        return "mimalloc"
    if re.match(r"(aws_lc|aes_|gcm_|gf_|CRYPTO_|EVP_|OPENSSL_)", function):
        return "aws-lc"
    ours = re.search(r"/(benches/scripted|loadtest|src)/", source)
    if ours:
        return {"src": "firstbyte", "benches/scripted": "the driver"}.get(ours[1], ours[1])
    return "libc" if re.match(r"(\./|\.\./|_*mem|_*str|epoll|read|write|send|recv)", source + function) else "other"
