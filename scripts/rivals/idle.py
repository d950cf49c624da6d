#!/usr/bin/env python3
"""Holds streams open that say nothing more: idle.py PORT COUNT.

Each is a chat completion whose head and first token have come and whose next is ten minutes away. Prints `held COUNT` once all
are there (or says what went wrong), and lets go when its standard input closes.
"""

import resource
import selectors
import socket
import sys
import time

BODY = b'{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"wait"}]}'
HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer idle\r\ncontent-type: application/json\r\n"
    "content-length: {length}\r\nx-mock-tokens: 2\r\nx-mock-gap-us: 600000000\r\n\r\n"
)
AT_ONCE = 64
SECONDS = 120


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    request = HEAD.format(length=len(BODY)).encode() + BODY
    selector, held, deadline = selectors.DefaultSelector(), [], time.monotonic() + SECONDS
    opened = 0
    while len(held) < count:
        if time.monotonic() > deadline:
            sys.exit(f"only {len(held)} of {count} streams came to their first token in {SECONDS} s")
        while opened < count and opened - len(held) < AT_ONCE:
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            client.sendall(request)
            selector.register(client, selectors.EVENT_READ, bytearray())
            opened += 1
        for key, _ in selector.select(1):
            if arrived(key):
                selector.unregister(key.fileobj)
                held.append(key.fileobj)
    print(f"held {len(held)}", flush=True)
    sys.stdin.read()


def arrived(key):
    """Whether the head and the first token are there; an answer of any other kind ends the program."""
    read = key.fileobj.recv(65536)
    key.data.extend(read)
    if not read or (len(key.data) > 12 and not key.data.startswith(b"HTTP/1.1 200")):
        sys.exit(f"not a stream: {bytes(key.data[:300])!r}")
    return b"data: " in key.data


if __name__ == "__main__":
    main()
