"""The machine, divided among directions."""

from __future__ import annotations

import inspect

import pytest

from factor.tuning.resources import share, total_memory_gb


@pytest.mark.parametrize("cpus", [1, 2, 6, 48])
@pytest.mark.parametrize("n_directions", [1, 3, 40])
@pytest.mark.parametrize("per_node", [None, 1, 4, 100])
def test_nothing_is_given_twice(cpus: int, n_directions: int, per_node: int | None) -> None:
    """Together the directions use what there is, and at least one is worked on."""
    got = share(n_directions, per_node, cpus, 32.0)
    assert 1 <= got.at_once <= n_directions
    assert per_node is None or got.at_once <= per_node
    assert got.threads >= 1
    assert got.at_once * got.threads <= max(cpus, got.at_once)
    assert got.at_once * got.memory_gb == pytest.approx(32.0)


def test_auto_keeps_all_processors_busy() -> None:
    """ndir_per_node = auto: one direction a processor."""
    assert share(40, None, 8, 64.0).at_once == 8


def test_little_memory_means_few_at_once() -> None:
    """Two images that do not fit are slower than one after the other."""
    assert share(40, None, 8, 4.5).at_once == 2
    assert share(40, None, 8, 0.5).at_once == 1


def test_memory_is_that_of_this_machine() -> None:
    """A container's limit counts where it is smaller; never nothing."""
    assert 0.1 < total_memory_gb() < 1e5
    assert inspect.getdoc(total_memory_gb)
