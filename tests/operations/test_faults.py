"""Whatever goes wrong at whatever step: after resuming, the end is that of an undisturbed run.

Each step of the whole recipe has one fault here, and each kind of fault meets each sort of
step. With FACTOR_ALL_FAULTS=1 every kind strikes before, during and after every step.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.products.images.image import read_image
from tests.fakes.faults import KINDS, MOMENTS, VANISHED, Fault, Faults, possible
from tests.operations.test_peeling import peeling
from tests.operations.test_restart import ledgers, products, residuals

ALL = os.environ.get("FACTOR_ALL_FAULTS") == "1"
#: An outlier, a peeled calibrator, one that is self-calibrated, and two sets of images.
RECIPE = {"imaging__facet_cellsize_arcsec": "[12.0, 24.0]", "cluster__ncpu": "1"}
#: Where there is but one chunk, two thirds of the steps are left.
ONE_CHUNK = {"global__chunk_size_sec": "2400"}


class FaultyRun:
    """A working directory, its notes, and its folder in memory."""

    def __init__(self, make_run: Callable[[], Any], ram: Path) -> None:
        self.fake, self.ram = make_run(), ram
        self.options = {**peeling(self.fake), **RECIPE, "cluster__dir_local": str(ram)}
        if not ALL:
            self.options |= ONE_CHUNK

    def run(self, faults: Sequence[Fault] = ()) -> int:
        """Run until the end or the next fault."""
        folder = self.fake.folder
        if any(fault.kind == VANISHED for fault in faults):
            # casacore aborts the process in which a table vanishes that it holds open.
            (self.fake.tools / "apart").touch()
        status: int = self.fake.run(
            before=lambda: Faults(faults, folder, self.ram).install(), **self.options
        )
        return status

    def noted(self, name: str) -> list[str]:
        path = self.fake.folder / name
        return path.read_text().splitlines() if path.exists() else []

    @property
    def log(self) -> str:
        path = self.fake.work / "factor.log"
        return str(path.read_text()) if path.exists() else ""


@pytest.fixture(scope="module")
def make_faulty(make_run: Callable[[], Any]) -> Iterator[Callable[[], FaultyRun]]:
    """Make empty working directories with intermediate data in memory, where there is a RAM disk."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if os.access(shm, os.W_OK) else None) as folder:
        numbers = iter(range(1000))
        yield lambda: FaultyRun(make_run, Path(folder) / str(next(numbers)))


@pytest.fixture(scope="module")
def whole(make_faulty: Callable[[], FaultyRun]) -> FaultyRun:
    """The run that nothing disturbed."""
    run = make_faulty()
    assert run.run() == 0, run.log
    return run


def some(points: Sequence[str], *, vanished: bool) -> list[Fault]:
    """At least one fault for each step, and each fault at some point of each sort."""
    sorts: dict[str, list[str]] = {}
    for point in points:
        sorts.setdefault(point.split(":")[0], []).append(point)
    found: dict[Fault, None] = {}
    for alike in sorts.values():
        faults = [[f for f in possible(point) if (f.kind == VANISHED) == vanished] for point in alike]
        number = len(faults[0])
        least = number if vanished or alike[0].startswith("turn: ") else max(number, len(alike))
        for i in range(least):
            # Spread over the points where there are more of them than faults.
            at = i * max(1, len(alike) // least) % len(alike)
            found[faults[at][i % number]] = None
    return list(found)


def passed(whole: FaultyRun) -> list[str]:
    """All points of the run, in order."""
    found = list(dict.fromkeys(whole.noted("passed")))
    assert len(found) > 80
    return found


def assert_same_end(run: FaultyRun, whole: FaultyRun) -> None:
    one, other = run.fake, whole.fake
    assert ledgers(one) == ledgers(other)
    assert set(map(tuple, ledgers(one))) == {("out", "west", "east")}
    assert products(one) == products(other)
    for left, right in zip(residuals(one), residuals(other), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)
    for left, right in zip(_files(one, "*.fits"), _files(other, "*.fits"), strict=True):
        np.testing.assert_allclose(read_image(left).data, read_image(right).data, rtol=1e-5, atol=1e-7)
    for left, right in zip(_files(one, "*.skymodel"), _files(other, "*.skymodel"), strict=True):
        assert left.read_bytes() == right.read_bytes()
    for left, right in zip(_files(one, "*.h5"), _files(other, "*.h5"), strict=True):
        _same_solutions(left, right)
    assert not list(run.ram.rglob("*.ms"))


def _files(fake: Any, pattern: str) -> list[Path]:
    return sorted((fake.work / "results").rglob(pattern))


def _same_solutions(left: Path, right: Path) -> None:
    from factor.products.solutions.soltabs import read_soltabs

    one, other = read_soltabs(left), read_soltabs(right)
    assert one.keys() == other.keys()
    for name, soltab in one.items():
        np.testing.assert_allclose(soltab.values, other[name].values, rtol=1e-6)
        np.testing.assert_array_equal(soltab.weights, other[name].weights)


def assert_nothing_twice(run: FaultyRun, whole: FaultyRun) -> None:
    """No step was done again but those whose data had gone, since nothing needed them then."""
    gone = set()
    for path in (whole.fake.work / "state").glob("*/*.json"):
        record = json.loads(path.read_text())
        steps = [name for name, step in record.get("steps", {}).items() if step["released"]]
        gone |= {f"{path.parent.name} {path.stem}: {name}" for name in steps}
    again = Counter(run.noted("done")) - Counter(whole.noted("done"))
    assert set(again) <= gone
    assert not Counter(whole.noted("done")) - Counter(run.noted("done"))


def resume_through(run: FaultyRun, faults: Sequence[Fault]) -> None:
    """Run again and again until everything has gone wrong once, and a run comes to its end."""
    status, struck, problems = 1, -1, []
    while status != 0:
        assert len(run.noted("struck")) > struck, run.log[-3000:]
        struck, seen = len(run.noted("struck")), len(run.log)
        status = run.run(faults)
        if status not in (0, 1, -signal.SIGKILL) or "Traceback" in run.log[seen:]:
            problems.append(f"{run.noted('struck')[struck:]}: {run.log[seen:]}")
    assert not problems, "\n".join(problems)
    # An operation that ends while the run is being stopped has no other end.
    missed = {fault for fault in run.noted("missed") if fault.startswith("turn: ")}
    assert set(run.noted("struck")) | missed == {str(fault) for fault in faults}


def test_finished_steps_are_not_run_again(make_faulty: Callable[[], FaultyRun], whole: FaultyRun) -> None:
    """Killed, stopped, failing, silent, full: nothing is lost, nothing doubled, nothing done twice."""
    run = make_faulty()
    resume_through(run, some(passed(whole), vanished=False))
    assert_same_end(run, whole)
    assert_nothing_twice(run, whole)


def test_the_folder_in_memory_vanishes(make_faulty: Callable[[], FaultyRun], whole: FaultyRun) -> None:
    """As after a reboot: intermediate data are made again, and what is finished stays."""
    run = make_faulty()
    resume_through(run, some(passed(whole), vanished=True))
    assert_same_end(run, whole)


@pytest.mark.skipif(not ALL, reason="hours; set FACTOR_ALL_FAULTS=1")
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("kind", KINDS)
def test_all(make_faulty: Callable[[], FaultyRun], whole: FaultyRun, kind: str, moment: str) -> None:
    """One kind of fault at one moment of every step: a step that was stopped may be done all the same."""
    run, points = make_faulty(), passed(whole)
    resume_through(run, [f for p in points for f in possible(p) if (f.kind, f.moment) == (kind, moment)])
    assert_same_end(run, whole)
    if kind != VANISHED:
        assert_nothing_twice(run, whole)


def test_a_disk_that_is_always_too_small(
    make_faulty: Callable[[], FaultyRun], whole: FaultyRun, tmp_path: Path, capfd: Any
) -> None:
    """A real one, that fills up wherever it does: told in words, and gone on with when there is more room."""
    size_kb = 2000
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no tmpfs can be mounted here: it takes root and its rights")
    try:
        run = make_faulty()
        run.fake.work, local = tmp_path / "work", tmp_path / "local"
        run.options |= {"global__dir_working": str(run.fake.work), "cluster__dir_local": str(local)}
        filled = 0
        while (status := run.run()) != 0:
            assert status in (1, 2), run.log[-3000:]
            assert "Traceback" not in run.log
            filled, size_kb = filled + 1, int(1.3 * size_kb) + 2000
            assert size_kb < 300_000, run.log[-3000:]
            subprocess.run(["mount", "-o", f"remount,size={size_kb}k", str(tmp_path)], check=True)
        assert filled > 4
        said = capfd.readouterr().err
        for word in ("unexpected", "Traceback", "Logging error"):
            assert word not in said
        assert_same_end(run, whole)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
