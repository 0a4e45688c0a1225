"""The fake tools within Factor's own process: for runs in which no process is to be killed."""

from __future__ import annotations

import threading
import time
import traceback
from pathlib import Path
from typing import Any

from factor.tools import runner
from tests.fakes import client
from tests.fakes.server import TOOLS

# Neither HDF5 nor casacore are safe in threads.
_one_at_a_time = threading.Lock()


def install(folder: Path) -> None:
    """Have the runner call the fakes instead of starting processes; ``folder`` as for `client`."""

    def wait(command: Any, out: Any, err: Any) -> tuple[int, float, float]:
        begin = time.thread_time()
        if runner.stopping():
            return -15, 0.0, 0.0
        arguments = list(command.full_argv[1:])
        if arguments == ["--version"]:
            out.write(client.VERSIONS)
            return 0, 0.0, 0.0
        key = client.key_of(arguments)
        status = 1
        if client.is_to_fail(folder, key):
            err.write(client.TOLD)
        else:
            status = _perform(Path(command.argv[0]).name, arguments, err)
        if status == 0:
            client.note(folder, key)
        return status, time.thread_time() - begin, 1.0

    runner._wait = wait  # type: ignore[assignment]


def _perform(tool: str, arguments: list[str], err: Any) -> int:
    with _one_at_a_time:
        try:
            TOOLS[tool](arguments)
        except Exception:  # noqa: BLE001 - the tool's way to fail
            err.write(traceback.format_exc())
            return 1
    return 0
