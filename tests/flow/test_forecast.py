"""What the rest of a run needs of the disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from factor.flow.forecast import Demand, done_for_good
from factor.state.resume import Status


@pytest.mark.parametrize(("free", "met"), [(3e9, True), (1.5e9, False)])
def test_demand(free: float, met: bool) -> None:
    """Two folders on one disk are told together, with the numbers that decide."""
    demand = Demand((Path("/work"), Path("/local")), 2e9, free)
    assert demand.is_met is met
    assert str(demand) == f"/work and /local: about 2 GB needed, {free / 1e9:g} GB free"


def test_only_images_are_made_again() -> None:
    """A stale calibration stands subtracted and takes no more room; a stale image does."""
    stale = Status("stale", ("it changed",))
    found = {
        ("facetselfcal", "a"): stale,
        ("facetselfcal", "b"): Status("failed"),
        ("facetsub", "a"): Status("done"),
        ("facetimage_c15.0r-1.0t45.0u80.0", "a"): stale,
        ("fieldmosaic", "field"): stale,
    }
    assert done_for_good(found) == {("facetselfcal", "a"), ("facetsub", "a")}
