"""Processors that steps share, and jobs that do not stop each other."""

from __future__ import annotations

import threading
import time

import pytest

from factor.errors import FactorError
from factor.execution.local import Processors, available_cpus, side_by_side


def test_never_more_than_there_are() -> None:
    """Ten steps of one to three processors on three never hold four."""
    processors, lock = Processors(3), threading.Lock()
    held, most = 0, 0

    def use(wanted: int) -> None:
        nonlocal held, most
        with processors.take(wanted) as count:
            with lock:
                held += count
                most = max(most, held)
            time.sleep(0.005)
            with lock:
                held -= count

    threads = [threading.Thread(target=use, args=(1 + i % 3,)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (held, most) == (0, 3)


def test_more_than_all_gets_all() -> None:
    """A step that wants eight processors runs on two as well, instead of waiting for ever."""
    processors = Processors(2)
    with processors.take(8) as count:
        assert count == 2
    with processors.take(0) as count:
        assert count == 1


def test_given_back_after_a_failure() -> None:
    """A step that fails does not keep its processors."""
    processors = Processors(1)
    with pytest.raises(ValueError, match="no"), processors.take(1):
        raise ValueError("no")
    with processors.take(1) as count:
        assert count == 1


def test_available_cpus() -> None:
    """On a shared node only the processors of the job count."""
    assert available_cpus() >= 1


def test_a_failure_stops_no_other() -> None:
    """A direction that fails leaves the others of its group alone; it is told by its name."""
    done = []

    def fail() -> None:
        raise FactorError("bad")

    failures = side_by_side({"a": fail, "b": lambda: done.append("b"), "c": fail}, 1)
    assert done == ["b"]
    assert set(failures) == {"a", "c"}
    assert str(failures["a"]) == "bad"


def test_at_most_so_many_at_once() -> None:
    """ndir_per_node holds."""
    lock, busy, most = threading.Lock(), 0, 0

    def job() -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1

    assert side_by_side({str(i): job for i in range(6)}, 2) == {}
    assert most == 2
