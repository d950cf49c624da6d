"""Slices become rows: what each target adds over direct in the same round, as the median over rounds with its spread."""

from statistics import median

COLUMNS = [
    # key, heading, decimals, smaller is better
    ("added_p50_us", "added first byte p50, µs", 0, True),
    ("added_p99_us", "added first byte p99, µs", 0, True),
    ("cpu_per_request_us", "CPU µs per request", 0, True),
    ("cpu_per_frame_us", "CPU µs per frame at 5,000/s", 1, True),
    ("added_leg_p50_us", "added one way per frame p50, µs", 0, True),
    ("added_gap_p99_us", "gap p99 over direct, µs", 0, True),
    ("frames_per_s", "frames/s at saturation", 0, False),
    ("idle_kib", "idle stream, KiB", 1, True),
]


def rows(slices, idles):
    """{target: {column: {"median", "low", "high"}}} for one placement, from its slices."""
    table = {}
    for name in dict.fromkeys(each["target"] for each in slices):
        mine = [each for each in slices if each["target"] == name]
        table[name] = {key: value for key, value in _columns(mine, slices, idles.get(name)).items() if value}
    return table


def losses(table, ours, floor):
    """Sentences for every column in which somebody other than the floor is ahead of us."""
    told = []
    for key, heading, decimals, smaller in COLUMNS:
        mine = table.get(ours, {}).get(key)
        if not mine:
            continue
        for name, row in table.items():
            other = row.get(key)
            if name in (ours, floor, "direct") or not other:
                continue
            ahead = other["median"] < mine["median"] if smaller else other["median"] > mine["median"]
            if ahead:
                told.append(f"{heading}: {name} {other['median']:.{decimals}f}, {ours} {mine['median']:.{decimals}f}")
    return told


def doubts(slices):
    """Sentences for what makes a figure doubtful: requests that failed, and what the load client says against itself."""
    told = []
    for load, target in dict.fromkeys((each["load"], each["target"]) for each in slices):
        mine = [each["figures"] for each in slices if (each["load"], each["target"]) == (load, target)]
        failed = sum(each["failed"] for each in mine)
        if failed:
            told.append(f"{load}, {target}: {failed} of {failed + sum(each['requests'] for each in mine)} requests failed")
        void = [reason for each in mine for reason in each["void"]]
        if void:
            told.append(f"{load}, {target}: {len(void)} of {len(mine)} slices marked void by the client, e.g. {void[0]}")
    return told


def _columns(mine, everyone, idle):
    direct = {(each["load"], each["round"]): each["figures"] for each in everyone if each["target"] == "direct"}

    def over_direct(load, key):
        return _spread([
            each["figures"][key] - direct[load, each["round"]][key] for each in mine
            if each["load"] == load and each["figures"].get(key) is not None and each["target"] != "direct"])

    def ratio(load, above, below, scale):
        return _spread([
            each["figures"][above] / each["figures"][below] * scale for each in mine
            if each["load"] == load and each["figures"].get(above) and each["figures"].get(below)])

    return {
        "added_p50_us": over_direct("latency", "ttfb_p50_us"),
        "added_p99_us": over_direct("latency", "ttfb_p99_us"),
        "cpu_per_request_us": ratio("latency", "cpu_ns", "requests", 1e-3),
        "cpu_per_frame_us": ratio("frames", "cpu_ns", "frames", 1e-3),
        "added_leg_p50_us": over_direct("frames", "leg_down_p50_us"),
        "added_gap_p99_us": over_direct("frames", "gap_p99_us"),
        "frames_per_s": ratio("saturation", "frames", "seconds", 1),
        "idle_kib": _spread([idle["per_stream_kib"]]) if idle and "per_stream_kib" in idle else None,
    }


def _spread(values):
    return {"median": median(values), "low": min(values), "high": max(values)} if values else None
