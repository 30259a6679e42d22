"""aioice_peer.py with nothing but a relayed candidate. argv as there, then: relay's port, user name, password."""
import functools
import pathlib
import runpy
import sys

import aioice

port, username, password = sys.argv[4:7]
aioice.Connection = functools.partial(
    aioice.Connection,
    turn_server=("127.0.0.1", int(port)),
    turn_username=username,
    turn_password=password,
    transport_policy=aioice.ice.TransportPolicy.RELAY,
)
runpy.run_path(str(pathlib.Path(__file__).with_name("aioice_peer.py")), run_name="__main__")
