"""Who stands between client and upstream, and how each is started: fairly, on one core, with the same key and authority."""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import processes

HERE = Path(__file__).parent
KEY = "sk-of-the-upstream"


@dataclass
class Field:
    """What every target is given: where the upstream is, where to write, and our own binaries."""
    directory: Path
    binaries: Path
    authority: Path = None
    clear_port: int = 0
    tls_port: int = 0


@dataclass
class Target:
    name: str
    what: str
    port: int
    process: object = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid if self.process else None


@dataclass
class Rival:
    name: str
    what: str
    version: list = field(default_factory=list)
    template: str = ""
    command: list = field(default_factory=list)

    def found(self, where):
        """Its version as it tells it, or nothing where it isn't installed."""
        if not self.version:
            return "of this commit" if os.access(_fill(self.command, where)[0], os.X_OK) else None
        try:
            told = subprocess.run(_fill(self.version, where), capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return re.sub(r"\s+", " ", (told.stdout + told.stderr).strip().split("\n")[0])

    def start(self, where, core):
        port = processes.free_port()
        values = {"LISTEN": port, "ADMIN": processes.free_port()}
        if self.template:
            text = (HERE / self.template).read_text()
            written = where.directory / self.template.removesuffix(".in")
            written.write_text(_fill([text], where, values)[0])
            values["CONFIG"] = written
        process = processes.start(self.name, _fill(self.command, where, values), core, where.directory)
        target = Target(self.name, self.what, port, process)
        processes.wait_until_serving(process, target.url + "/v1/models")
        return target


RIVALS = [
    Rival("relay", "byte relay, no TLS, no HTTP: the floor", [], "",
          ["@BIN@/examples/relay", "127.0.0.1:@LISTEN@", "127.0.0.1:@UPSTREAM_CLEAR@"]),
    Rival("nginx", "nginx, HTTP/1.1 over TLS upstream", ["nginx", "-v"], "nginx.conf.in", ["nginx", "-c", "@CONFIG@"]),
    Rival("haproxy", "HAProxy, HTTP/2 over TLS upstream", ["haproxy", "-v"], "haproxy.cfg.in", ["haproxy", "-f", "@CONFIG@"]),
    Rival("firstbyte", "firstbyte, HTTP/2 over TLS upstream", ["@BIN@/firstbyte", "--version"], "firstbyte.yaml.in",
          ["@BIN@/firstbyte", "-c", "@CONFIG@"]),
]


def start_upstream(where, core):
    """The mock twice, so that either can be asked: in clear (for direct and the floor) and over TLS (for the proxies)."""
    where.clear_port, where.tls_port = processes.free_port(), processes.free_port()
    where.authority = where.directory / "authority.pem"
    mock = [where.binaries / "loadtest", "upstream", "--no-hash"]
    clear = processes.start(
        "upstream-clear", [*mock, "--listen", f"127.0.0.1:{where.clear_port}"], core, where.directory)
    secret = processes.start(
        "upstream-tls",
        [*mock, "--listen", f"127.0.0.1:{where.tls_port}", "--tls", "--ca-out", where.authority],
        core, where.directory)
    direct = Target("direct", "no proxy; client to upstream in clear", where.clear_port)
    for each in (clear, secret):
        processes.wait_until_said(each, "listening")
    return direct, [clear, secret]


def _fill(texts, where, values=None):
    known = {
        "DIR": where.directory, "BIN": where.binaries, "KEY": KEY, "CA": where.authority,
        "UPSTREAM_CLEAR": where.clear_port, "UPSTREAM_TLS": where.tls_port, **(values or {}),
    }
    return [re.sub("@([A-Z_]+)@", lambda match: str(known.get(match[1], "")), str(text)) for text in texts]
