"""Killed with its tools, ended, or begun again: the run ends with the same products."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from factor.products.images.image import read_image

#: The runs of these tests: one direction is self-calibrated, the other borrows.
SHORT = {"directions__ndir_selfcal": "1"}


def mosaic(run: Any) -> np.ndarray:
    return read_image(run.work / "results/fieldmosaic/field/field.correct_mosaic.pbcor.fits").data


def residuals(run: Any) -> list[np.ndarray]:
    from casacore.tables import table

    found = []
    for ms in sorted((run.work / "chunks").rglob("*.ms")):
        with table(str(ms), ack=False) as main:
            found.append(main.getcol("CORRECTED_DATA"))
    return found


def ledgers(run: Any) -> list[list[str]]:
    files = sorted((run.work / "chunks").rglob("*.ledger.json"))
    contents = [json.loads(file.read_text()) for file in files]
    assert all(content["intent"] is None for content in contents)
    return [[entry["direction"] for entry in content["entries"]] for content in contents]


def products(run: Any) -> set[str]:
    results = run.work / "results"
    # What a measurement set consists of inside is casacore's affair.
    return {
        str(path.relative_to(results))
        for path in results.rglob("*")
        if not any(parent.suffix == ".ms" for parent in path.parents)
    }


@pytest.fixture(scope="module")
def whole(make_run: Callable[[], Any]) -> Any:
    """The run that nothing disturbed."""
    run = make_run()
    assert run.run(**SHORT) == 0
    return run


def assert_same_end(run: Any, whole: Any) -> None:
    np.testing.assert_allclose(mosaic(run), mosaic(whole), rtol=1e-5, atol=1e-7)
    for one, other in zip(residuals(run), residuals(whole), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert ledgers(run) == ledgers(whole) == [["east"]] * 4
    assert products(run) == products(whole)


def full_disk() -> None:
    """Hardly anything is free any more."""
    from factor.execution import room

    room.shutil = SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=1000))  # type: ignore[assignment]


def test_data_go_when_nothing_needs_them(make_run: Callable[[], Any]) -> None:
    """Late in a self-calibration there is nothing left of the calibrator's data, and nobody misses them."""
    run = make_run()
    (run.tools / "die").write_text("wsclean_post")
    only = {**SHORT, "cluster__ncpu": "1"}
    assert run.run("-s", "1", **only) == -signal.SIGKILL
    scratch = run.work / "results/facetselfcal/east/scratch"
    assert {path.name for path in scratch.glob("*.ms")} == {"chunk0.residual.ms", "chunk1.residual.ms"}
    assert run.run("-s", "1", **only) == 0
    assert set(Counter(title for title, _ in run.commands).values()) == {1}


def test_each_command_crashes_once(make_run: Callable[[], Any], whole: Any) -> None:
    """Breakdowns of the tools, with half an output, are no harm where they do not come again."""
    run = make_run()
    assert run.run(before=full_disk, **SHORT) == 1
    assert run.commands == []
    assert [title.split(": ")[1] for title, _ in run.all_commands] == 2 * ["look for mad stations"]
    assert json.loads((run.work / "state/facetselfcal/east.json").read_text())["status"] == "running"
    said = (run.work / "factor.log").read_text()
    assert re.search(r"facetselfcal of east needs about [\d.]+ GB more in .*; 1e-06 GB are free there", said)
    (run.tools / "crash").touch()
    assert run.run(**SHORT) == 0
    crashes = (run.tools / "crashed").read_text().splitlines()
    assert len(run.commands) == len(whole.commands) + len(crashes)
    assert len(crashes) > 0.9 * len(whole.commands)
    assert_same_end(run, whole)


def test_killed_with_its_tools(make_run: Callable[[], Any], whole: Any) -> None:
    """Before, in the middle of, or after their work, some of each sort, in processes of their own.

    What was finished is not done again, and the end is that of an undisturbed run. All steps
    are killed in `test_faults`.
    """
    run = make_run()
    (run.tools / "die").write_text("cycle01.fast cycle03.slow image01 image_full difference")
    killed = 0
    # On one processor, or a kill would also hit commands that ended but are not noted yet.
    while (status := run.run(cluster__ncpu="1", **SHORT)) != 0:
        assert status == -signal.SIGKILL, (run.work / "factor.log").read_text()
        killed += 1
        assert killed < 200
    died = (run.tools / "died").read_text().splitlines()
    assert len(died) == killed > 8
    assert Counter(run.journal) == Counter(whole.journal)
    assert_same_end(run, whole)


@pytest.mark.parametrize(("kind", "predicted"), [("RefusedError", 1), ("FactorError", 0)])
def test_a_difference_that_is_not_subtracted(
    make_run: Callable[[], Any], kind: str, predicted: int
) -> None:
    """Values that are no numbers may be there by chance: predicted anew; not where the disk was full."""

    def stop() -> None:
        from factor.state import ledger

        def stopped(*_: Any) -> None:
            raise getattr(ledger, kind)("it cannot be subtracted")

        ledger.Ledger._check_finite = stopped  # type: ignore[method-assign]

    run = make_run()
    assert run.run("-s", "1", before=stop) == 1
    before = len(run.journal)
    assert run.run("-s", "1") == 0
    assert run.journal[before:] == predicted * ["chunk0_0.difference.ms"]


def test_nothing_is_done_twice(finished: Any) -> None:
    """A second run ends at once: no command, no product touched."""
    before, images = list(finished.journal), mosaic(finished)
    stamps = {p: p.stat().st_mtime_ns for p in (finished.work / "results").rglob("*.fits")}
    assert finished.run() == 0
    assert finished.journal == before
    assert stamps == {p: p.stat().st_mtime_ns for p in (finished.work / "results").rglob("*.fits")}
    assert np.array_equal(images, mosaic(finished), equal_nan=True)


def test_beginning_again(make_run: Callable[[], Any], whole: Any) -> None:
    """results/ and state/ deleted: from the data as they came, without chunking again."""
    run = make_run()
    assert run.run(**SHORT) == 0
    chunks = {p: p.stat().st_mtime_ns for p in (run.work / "chunks").rglob("table.info")}
    for name in ("results", "state"):
        shutil.rmtree(run.work / name)
    assert run.run(**SHORT) == 0
    # Which stations are mad in the two chunks is known already.
    assert len(run.journal) == 2 * len(whole.journal) - 2
    assert chunks == {p: p.stat().st_mtime_ns for p in (run.work / "chunks").rglob("table.info")}
    assert_same_end(run, whole)
