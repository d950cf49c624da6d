"""A client of HTTP/1.1 by hand, which tells an answer that ended from one that was cut, and the mock upstream it is asked of."""

import json
import re
import socket
import struct
import subprocess
import time

from . import processes, programs

BODY = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"x"}]}'
PATIENCE = 8


class Upstream:
    """`loadtest upstream` over TLS with these options; what it saw is read from its log."""

    def __init__(self, where, core, *options):
        where.tls_port, where.authority = processes.free_port(), where.directory / "authority.pem"
        command = [*programs.command("loadtest"), "upstream", "--listen", f"127.0.0.1:{where.tls_port}", "--tls", "--log",
                   "--ca-out", where.authority, *options]
        self.process = processes.start("upstream", command, core, where.directory)
        processes.wait_until_said(self.process, "listening")

    def ended(self):
        """Requests that ended, in words, in the order in which they began; a request for models is the start's own."""
        lines = self.process.log.read_text().splitlines()[1:]
        return [line for line in lines if line.startswith("POST ")]

    def stop(self):
        processes.stop(self.process)


class Client:
    """One connection and one request on it."""

    def __init__(self, port, lines=(), narrow=False):
        self.socket = socket.socket()
        if narrow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = ["POST /v1/chat/completions HTTP/1.1", "host: localhost", "content-type: application/json",
                f"content-length: {len(BODY)}", *lines]
        self.read, self.reads = b"", []
        self.socket.sendall("\r\n".join([*head, "", ""]).encode() + BODY)

    def more(self):
        """Reads once; false at the end, however it came."""
        try:
            came = self.socket.recv(1 << 16)
        except (ConnectionError, TimeoutError):
            return False
        self.reads.append((time.monotonic(), came))
        self.read += came
        return bool(came)

    def until(self, text):
        while text not in self.read:
            if not self.more():
                return False
        return True

    def verdict(self):
        """Reads to the end: `whole`, `cut`, the status of an error, `closed` without a head, or `hangs`."""
        begun = time.monotonic()
        while not (ended := self._ended()) and self.more():
            pass
        if not ended and time.monotonic() - begun >= PATIENCE:
            return "hangs"
        head = self.read.split(b"\r\n\r\n")[0]
        status = head.split(b" ")[1].decode() if head.startswith(b"HTTP/1.1 ") else "closed"
        if status != "200":
            return status
        if ended is None:
            return "until close"  # a body that only the connection's end ends
        return "whole" if ended else "cut"

    def _ended(self):
        """Whether the framing was kept to its end; `None` where there is none."""
        head, found, body = self.read.partition(b"\r\n\r\n")
        if not found:
            return False
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        if length:
            return len(body) >= int(length[1])
        if b"chunked" not in head.lower():
            return None
        while (line := re.match(rb"([0-9a-fA-F]+)[^\r\n]*\r\n", body)):
            size = int(line[1], 16)
            if size == 0:
                return body.endswith(b"\r\n\r\n")
            if len(body) < line.end() + size + 2:
                return False
            body = body[line.end() + size + 2:]
        return False

    def leave(self, spare=b""):
        """Closes, after `spare` bytes of a next request; when."""
        if spare:
            self.socket.sendall(spare)
        left = time.monotonic()
        self.socket.close()
        return left

    def abort(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def load(target, *options):
    """`loadtest run`'s report on one target."""
    command = [*programs.command("loadtest"), "run", target.url + "/v1/chat/completions", *options, "--quiet", "--allow-void",
               "--json", "-"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if not ran.stdout.startswith("{"):
        raise processes.NeverCame(f"could not be asked: {ran.stderr[-300:]}")
    return json.loads(ran.stdout)["targets"][0]


def script(where, steps):
    """A file with a script for the mock."""
    file = where.directory / "script.json"
    file.write_text(json.dumps(steps))
    return file
