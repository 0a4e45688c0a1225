"""Ctrl-C and SIGTERM: end the tools, keep what is done, say how to go on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from factor.errors import Interrupted
from factor.tools import runner


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Within: SIGINT and SIGTERM end all tools and raise `Interrupted` in the main thread."""
    runner.reset()

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        # Another one, of whichever kind, would end the waiting for what is still being noted.
        for one in previous:
            signal.signal(one, signal.SIG_IGN)
        runner.stop_all()
        raise Interrupted(
            f"stopped by {signal.Signals(number).name}; what is done is kept",
            "run the same command again to go on",
        )

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
