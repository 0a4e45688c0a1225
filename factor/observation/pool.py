"""Side by side in processes: casacore's tables are not made for threads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_in_processes(
    function: Callable[..., Result], arguments: Sequence[tuple[Any, ...]], jobs: int
) -> list[Result]:
    """Call a function once per tuple of arguments.

    Parameters
    ----------
    function : callable
        Importable by name; what it takes, returns and raises is sent between processes.
    arguments : sequence of tuple
        One call each.
    jobs : int
        Calls at once; with one, everything happens in this process.

    Returns
    -------
    list
        What the calls returned, in order.

    Raises
    ------
    Exception
        The first one that a call raised; calls that have not begun are dropped then.
    """
    workers = min(jobs, len(arguments))
    if workers <= 1:
        return [function(*call) for call in arguments]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        futures = [pool.submit(function, *call) for call in arguments]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
