"""One end of an ICE connection with aioice, driven by JSON lines.

argv: "controlling" or "controlled", our ufrag, our password.
First line out: {"ufrag", "password", "candidates": [sdp, ...]}.
Lines in: {"candidate": sdp} | {"end": true} | {"connect": true} | {"send": text} | {"close": true}.
Lines out: {"connected": true} | {"failed": reason} | {"received": text}.
Binds to loopback only.
"""
import asyncio
import json
import sys

import aioice.ice

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def say(message):
    print(json.dumps(message), flush=True)


async def lines():
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def connect(connection):
    try:
        await connection.connect()
    except ConnectionError as error:
        say({"failed": str(error)})
        return
    say({"connected": True})
    try:
        while True:
            say({"received": (await connection.recv()).decode()})
    except ConnectionError:
        pass


async def main(role, ufrag, password):
    connection = aioice.Connection(ice_controlling=role == "controlling")
    connection.remote_username = ufrag
    connection.remote_password = password
    await connection.gather_candidates()
    say({
        "ufrag": connection.local_username,
        "password": connection.local_password,
        "candidates": [candidate.to_sdp() for candidate in connection.local_candidates],
    })
    connecting = None
    async for line in lines():
        if "candidate" in line:
            await connection.add_remote_candidate(aioice.Candidate.from_sdp(line["candidate"]))
        elif "end" in line:
            await connection.add_remote_candidate(None)
        elif "connect" in line:
            connecting = asyncio.create_task(connect(connection))
        elif "send" in line:
            await connection.send(line["send"].encode())
        elif "close" in line:
            break
    await connection.close()
    if connecting:
        connecting.cancel()


asyncio.run(main(*sys.argv[1:4]))
