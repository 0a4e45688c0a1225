"""Runs the commands of fake tools in forks of one process that has everything loaded."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes import client, dp3, wsclean

TOOLS = {"DP3": dp3.main, "wsclean": wsclean.main}


def _answer(argv: list[str]) -> dict[str, object]:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            TOOLS[argv[0]](argv[1:])
            status = 0
        except Exception:  # noqa: BLE001 - the tool's way to fail
            traceback.print_exc()
            status = 1
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()}


def _receive(connection: socket.socket) -> list[str]:
    request = b""
    while block := connection.recv(65536):
        request += block
    return json.loads(request)


def _serve(listener: socket.socket) -> None:
    # What each command needs, loaded once.
    import astropy.coordinates
    import astropy.io.fits
    import astropy.wcs
    import casacore.tables
    import tables

    del astropy, casacore, tables
    children: list[int] = []
    while True:
        connection, _ = listener.accept()
        try:
            argv = _receive(connection)
        except (OSError, ValueError):  # the client was killed
            connection.close()
            continue
        if argv == ["sync"]:
            for child in children:
                os.waitpid(child, 0)
            children.clear()
            connection.sendall(b"{}")
        else:
            child = os.fork()
            if child == 0:
                with contextlib.suppress(OSError):  # a killed client waits for no answer
                    connection.sendall(json.dumps(_answer(argv)).encode())
                os._exit(0)
            children.append(child)
        connection.close()


@contextmanager
def fake_tools(folder: Path) -> Iterator[dict[str, str]]:
    """Start the server and make the programs.

    Returns
    -------
    dict
        The environment with which Factor finds them.
    """
    environment = {"FAKE_TOOLS": str(folder)}
    for tool in TOOLS:
        program = folder / tool
        program.write_text(f"#!{sys.executable} -IS\n{Path(client.__file__).read_text()}")
        program.chmod(0o755)
        environment[f"FACTOR_{tool.upper()}"] = str(program)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen(64)
        server = os.fork()
        if server == 0:
            try:
                _serve(listener)
            finally:
                os._exit(1)
    try:
        yield environment
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
