"""Slices become rows: what each target adds over direct in the same round, as the median over rounds with its spread."""

from bisect import bisect_right
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
    ("rest_mib", "at rest, MiB", 1, True),
]


def rows(slices, idles):
    """{target: {column: {"median", "low", "high", "rounds"}}} for one placement, from its slices."""
    table = {}
    for name in dict.fromkeys(each["target"] for each in slices):
        mine = [each for each in slices if each["target"] == name]
        table[name] = {key: value for key, value in _columns(mine, slices, idles.get(name)).items() if value}
    return table


def losses(table, ours, floor):
    """A sentence for every column in which somebody other than the floor is ahead of us, with all who are."""
    told = []
    for key, heading, decimals, smaller in COLUMNS:
        mine = table.get(ours, {}).get(key)
        if not mine:
            continue
        others = [(row[key]["median"], name) for name, row in table.items() if name not in (ours, floor, "direct") and row.get(key)]
        ahead = [other for other in sorted(others, reverse=not smaller)
                 if (other[0] < mine["median"] if smaller else other[0] > mine["median"])]
        if ahead:
            who = ", ".join(f"{name} {value:,.{decimals}f}" for value, name in ahead)
            told.append(f"{heading}: {ours} {mine['median']:,.{decimals}f}, behind {who}")
    return told


def distribution(slices, load, target):
    """The spectrum of time to first byte over all slices of a target: [share at or below, µs], from the slices' own."""
    mine = [each["figures"] for each in slices if (each["load"], each["target"]) == (load, target)]
    mine = [(figures["requests"], figures["ttfb_spectrum"]) for figures in mine if figures.get("ttfb_spectrum")]
    asked = sum(requests for requests, _ in mine)
    values = sorted({value for _, points in mine for _, value in points})

    def share_below(points, value):
        # A slice's points are steps: nothing is known between two, so that the lower one holds.
        reached = bisect_right(points, value, key=lambda point: point[1])
        return points[reached - 1][0] if reached else 0

    merged = [(sum(requests * share_below(points, value) for requests, points in mine) / asked, value) for value in values]
    return [[round(share, 7), value] for share, value in merged if share > 0]


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
        "rest_mib": _spread([idle["before_kib"] / 1024]) if idle else None,
    }


def _spread(values):
    return {"median": median(values), "low": min(values), "high": max(values), "rounds": values} if values else None
