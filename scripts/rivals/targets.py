"""Who stands between client and upstream, and how each is started: fairly, on one core, with the same key and authority."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from . import processes, programs

HERE = Path(__file__).parent
KEY = "sk-of-the-upstream"


@dataclass
class Field:
    """What every target is given: where the upstream is, and where to write."""
    directory: Path
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
    program: str
    arguments: list
    template: str = ""
    told: list = field(default_factory=list)
    least: tuple = ()
    values: dict = field(default_factory=dict)

    def found(self):
        """Its version as it tells it, or nothing where it isn't here or is too old for what this row is about."""
        if not programs.command(self.program):
            return None
        version = programs.version(self.program, self.told) if self.told else "of this commit"
        return version if version and (not self.least or programs.numbers(version) >= self.least) else None

    def start(self, where, core, wrap=lambda command: command):
        """Runs it on `core`, `wrap`ped in another program if need be, and returns once it answers; one that doesn't raises
        `processes.NeverCame`."""
        port = processes.free_port()
        values = {"LISTEN": port, **self.values}
        if self.template:
            written = where.directory / f"{self.name}-{self.template.removesuffix('.in')}"
            written.write_text(_fill([(HERE / self.template).read_text()], where, values)[0])
            values["CONFIG"] = written
        command = [*programs.command(self.program), *_fill(self.arguments, where, values)]
        process = processes.start(self.name, wrap(command), core, where.directory)
        target = Target(self.name, self.what, port, process)
        processes.wait_until_serving(process, target.url + "/v1/models")
        return target


RIVALS = [
    Rival("relay", "byte relay, no TLS, no HTTP: the floor", "relay", ["127.0.0.1:@LISTEN@", "127.0.0.1:@UPSTREAM_CLEAR@"]),
    Rival("nginx", "nginx, HTTP/1.1 over TLS upstream", "nginx", ["-e", "stderr", "-c", "@CONFIG@"], "nginx.conf.in",
          ["-v"], values={"HTTP": "1.1"}),
    Rival("nginx-h2", "nginx, HTTP/2 over TLS upstream", "nginx", ["-e", "stderr", "-c", "@CONFIG@"], "nginx.conf.in",
          ["-v"], least=(1, 29, 4), values={"HTTP": "2"}),
    Rival("haproxy", "HAProxy, HTTP/2 over TLS upstream", "haproxy", ["-f", "@CONFIG@"], "haproxy.cfg.in", ["-v"]),
    Rival("envoy", "Envoy, HTTP/2 over TLS upstream", "envoy",
          ["-c", "@CONFIG@", "--concurrency", "1", "--disable-hot-restart", "-l", "error"], "envoy.yaml.in", ["--version"]),
    Rival("caddy", "Caddy, HTTP/2 over TLS upstream", "caddy", ["run", "--adapter", "caddyfile", "--config", "@CONFIG@"],
          "Caddyfile.in", ["version"]),
    Rival("pingora", "Pingora, HTTP/2 over TLS upstream", "pingora",
          ["127.0.0.1:@LISTEN@", "127.0.0.1:@UPSTREAM_TLS@", "@KEY@", "@CA@"], told=["told by Cargo.lock"]),
    Rival("h2o", "H2O, HTTP/1.1 over TLS upstream", "h2o", ["-c", "@CONFIG@"], "h2o.conf.in", ["--version"]),
    Rival("firstbyte", "firstbyte, HTTP/2 over TLS upstream", "firstbyte", ["-c", "@CONFIG@"], "firstbyte.yaml.in",
          ["--version"]),
]


def start_upstream(where, core, hash_bodies=False):
    """The mock twice, so that either can be asked: in clear (for direct and the floor) and over TLS (for the proxies)."""
    where.clear_port, where.tls_port = processes.free_port(), processes.free_port()
    where.authority = where.directory / "authority.pem"
    mock = [*programs.command("loadtest"), "upstream", *([] if hash_bodies else ["--no-hash"])]
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
        "DIR": where.directory, "KEY": KEY, "CA": where.authority,
        "UPSTREAM_CLEAR": where.clear_port, "UPSTREAM_TLS": where.tls_port, **(values or {}),
    }
    return [re.sub("@([A-Z_]+)@", lambda match: str(known.get(match[1], "")), str(text)) for text in texts]
