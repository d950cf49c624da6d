"""early.py URL BYTES TIMES: what HTTP clients make of an answer that comes while they still send their request.

Each posts so many bytes so many times, on new connections and kept ones. One JSON line for each client: how often it was told which status, or
raised what.
"""

import asyncio
import collections
import json
import sys

import aiohttp
import httpx
import httpx2
import requests

URL, BODY, TIMES = sys.argv[1], b"x" * int(sys.argv[2]), int(sys.argv[3])
HOST, PORT = URL.split("/")[2].split(":")
PATH = "/" + URL.split("/", 3)[3]


async def by_httpx(module):
    async with module.AsyncClient(trust_env=False, timeout=60) as client:

        async def post():
            return (await client.post(URL, content=BODY)).status_code

        for _ in range(TIMES):
            yield post


async def by_aiohttp():
    async with aiohttp.ClientSession() as session:

        async def post():
            async with session.post(URL, data=BODY) as answer:
                await answer.read()
                return answer.status

        for _ in range(TIMES):
            yield post


async def by_asyncio():
    """Sends all of its body before it reads, as simple clients do."""

    async def post():
        reader, writer = await asyncio.open_connection(HOST, int(PORT))
        try:
            writer.write(f"POST {PATH} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: {len(BODY)}\r\n\r\n".encode())
            for at in range(0, len(BODY), 1 << 16):
                writer.write(BODY[at : at + (1 << 16)])
                await writer.drain()
            return int((await reader.readline()).split()[1])
        finally:
            writer.close()

    for _ in range(TIMES):
        yield post


async def by_requests():
    session = requests.Session()
    session.trust_env = False

    async def post():
        return session.post(URL, data=BODY, timeout=60).status_code

    for _ in range(TIMES):
        yield post


async def told(name, posts):
    counted = collections.Counter()
    async for post in posts:
        try:
            counted[str(await post())] += 1
        except Exception as error:
            counted[repr(error)] += 1
    print(json.dumps({"client": name, "told": counted}), flush=True)


async def main():
    await told("httpx.AsyncClient", by_httpx(httpx))
    await told("httpx2.AsyncClient", by_httpx(httpx2))
    await told("aiohttp", by_aiohttp())
    await told("asyncio", by_asyncio())
    await told("requests", by_requests())


asyncio.run(main())
