#!/usr/bin/env python3
"""Runs groups of cases with OpenAI's Python SDK, each against a base URL; see cases.py for what each proves.

    sdk.py BASE_URL GROUP [NAME=VALUE ...] [-- BASE_URL GROUP ...]

One JSON line per case: {"job", "case", "ok", "detail", "seen"}. `job` counts the groups as given. `seen` is what the application
saw, without what differs from one run to the next, so that a caller can compare two base URLs. Exit code 1 when a case failed.
"""

import json
import os
import sys
import traceback

sys.dont_write_bytecode = True  # git would have to ignore it

import openai  # noqa: E402

import cases  # noqa: E402


def run(case, client, options):
    """One case, judged; nothing that it raises ends the program."""
    try:
        return {"ok": True, "detail": "", "seen": case(client, options)}
    except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
        where = traceback.extract_tb(error.__traceback__)[-1]
        detail = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}, {where.name})"
        return {"ok": False, "detail": detail, "seen": None}


def jobs(arguments):
    """The arguments between one `--` and the next: starting Python once costs more than most cases."""
    job = []
    for argument in [*arguments, "--"]:
        if argument == "--":
            yield job
            job = []
        else:
            job.append(argument)


def main():
    failed = False
    for number, (base_url, group, *rest) in enumerate(jobs(sys.argv[1:])):
        options = dict(pair.split("=", 1) for pair in rest)
        client = openai.OpenAI(
            base_url=base_url,
            api_key=options.get("key") or os.environ.get("OPENAI_API_KEY", "sk-of-the-client"),
            max_retries=int(options.get("retries", "0")),
            timeout=float(options.get("timeout", "60")),
        )
        for case in cases.GROUPS[group]:
            verdict = {"job": number, "case": case.__name__.replace("_", "-"), **run(case, client, options)}
            failed |= not verdict["ok"]
            print(json.dumps(verdict), flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
