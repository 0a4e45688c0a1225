"""Running things on this machine: threads that wait for processors, then for child processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ALL_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from factor.errors import FactorError


def available_cpus() -> int:
    """Processors that this process may use (its affinity, not the machine's number)."""
    return len(os.sched_getaffinity(0))


class Processors:
    """A number of processors that steps take and give back."""

    def __init__(self, total: int) -> None:
        self.total = max(1, total)
        self._free = self.total
        self._changed = threading.Condition()

    @contextmanager
    def take(self, wanted: int) -> Iterator[int]:
        """Hold some processors; never more than there are."""
        count = max(1, min(wanted, self.total))
        with self._changed:
            self._changed.wait_for(lambda: self._free >= count)
            self._free -= count
        try:
            yield count
        finally:
            with self._changed:
                self._free += count
                self._changed.notify_all()


def side_by_side(jobs: Mapping[str, Callable[[], None]], at_once: int) -> dict[str, FactorError]:
    """Run jobs in threads; a failure of one stops no other.

    Parameters
    ----------
    jobs : mapping of name to callable
        What to run.
    at_once : int
        How many at the same time.

    Returns
    -------
    dict of name to error
        Those that failed.
    """
    failures: dict[str, FactorError] = {}
    with ThreadPoolExecutor(max(1, at_once)) as pool:
        futures = {name: pool.submit(job) for name, job in jobs.items()}
        wait_awake(futures.values())
        for name, future in futures.items():
            try:
                future.result()
            except FactorError as error:
                failures[name] = error
    return failures


def wait_awake(
    futures: Iterable[Future[None]], until: str = ALL_COMPLETED
) -> tuple[set[Future[None]], set[Future[None]]]:
    """Wait as `concurrent.futures.wait` does, but look up now and then.

    A signal is handled by the main thread alone, which does not notice one that another thread
    got, or that came just before it fell asleep: a stop would wait for the end of an hour's step.
    """
    waiting = set(futures)
    while True:
        finished, pending = wait(waiting, timeout=0.5, return_when=until)
        failed = any(not future.cancelled() and future.exception() for future in finished)
        if not pending or (failed and until == FIRST_EXCEPTION):
            return finished, pending
