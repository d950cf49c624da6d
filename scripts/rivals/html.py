"""The report for a browser: one self-contained page, drawn by the charts of `loadtest --html` and a few of our own."""

import json
from pathlib import Path

from . import page as written
from . import summary

HERE = Path(__file__).parent
CHARTS = HERE.parent.parent / "loadtest" / "src" / "report" / "html"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>firstbyte and its rivals</title>
<style>{style}</style>
</head>
<body>
<main id="main"><noscript>The charts need JavaScript; the tables are in README.md beside this page.</noscript></main>
<div id="tip" role="status" hidden></div>
<script type="application/json" id="report">{data}</script>
<script>{script}</script>
</body>
</html>
"""


def page(raw):
    """The whole page from the raw record."""
    style = (CHARTS / "style.css").read_text() + (HERE / "report.css").read_text()
    script = "".join(path.read_text() for path in (CHARTS / "base.js", CHARTS / "charts.js", HERE / "report.js"))
    # Inside a script element only `</` and `<!` mean anything to the HTML parser.
    data = json.dumps(_data(raw), ensure_ascii=False).replace("<", "\\u003c")
    return PAGE.format(style=style, data=data, script=script)


def _data(raw):
    """What the page shows, in the shape that loadtest's charts read: a list of targets with their measures."""
    placements = list(raw["placements"].items())
    names = dict.fromkeys(each["target"] for _, measured in placements for each in measured["slices"])
    # Colours go by place: ours is first, so that it has the same one in every chart of the page.
    names = sorted(names, key=lambda name: name != "firstbyte")
    return {
        **{key: raw[key] for key in ("date", "command", "commit", "machine", "rounds", "seconds", "idle_streams", "loads")},
        "columns": [
            {"key": key, "heading": heading, "decimals": decimals, "smaller": smaller}
            for key, heading, decimals, smaller in summary.COLUMNS],
        "left_out": written.left_out(raw),
        "targets": [{
            "name": name, "what": raw["what"].get(name, name), "version": raw["versions"].get(name),
            "measures": [
                {"name": placement, "spectrum": _nanos(summary.distribution(measured["slices"], "latency", name))}
                for placement, measured in placements],
        } for name in names],
        "placements": [_placement(raw, name, measured) for name, measured in placements],
    }


def _placement(raw, name, measured):
    rows = summary.rows(measured["slices"], raw["idle"])
    return {
        "name": name, "what": measured["what"], "rows": rows,
        "losses": summary.losses(rows, "firstbyte", "relay"), "doubts": written.doubts_of(raw, measured),
    }


def _nanos(points):
    return [[share, round(micros * 1000)] for share, micros in points]
