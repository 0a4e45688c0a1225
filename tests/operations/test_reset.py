"""Resetting directions in whole runs with the fake tools, killed at every instant."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.directions.file import format_position
from factor.errors import InputError
from tests.fakes import dp3
from tests.operations.test_peeling import OUTLIER, write_model, write_row
from tests.operations.test_restart import residuals
from tests.operations.test_rules import column

SOLTABS = ["phase000", "phase001", "amplitude000"]


def copied(run: Any, make_run: Callable[[], Any]) -> Any:
    """The same state in another working directory."""
    other = make_run()
    shutil.copytree(run.work, other.work)
    return other


def standing(run: Any) -> list[list[str]]:
    """Directions in each chunk's ledger."""
    contents = [json.loads(path.read_text()) for path in sorted((run.work / "chunks").rglob("*.ledger.json"))]
    assert all(content["intent"] is None for content in contents)
    return [[entry["direction"] for entry in content["entries"]] for content in contents]


def change(run: Any, name: str) -> np.ndarray:
    """What a direction's subtraction takes out of the data, from the copies beside it."""
    frozen = run.work / "results/facetsub" / name
    values = dp3.model_flux(frozen / f"{name}.new_facet_sources.skymodel", 8)
    values = values * dp3.corruption(frozen / "combined_solutions_filled.h5", SOLTABS)
    for initial in frozen.glob(f"{name}.initial*143*.skymodel"):
        values = values - dp3.model_flux(initial, 8)
    return values


def assert_subtracted(run: Any, *names: str, factor: float = 1e-5) -> None:
    """The residual is the data as they came without these directions, and no others."""
    assert standing(run) == [list(names)] * 4
    total = sum((change(run, name) for name in names), np.zeros(8, complex))
    for ms in sorted((run.work / "chunks").rglob("*_chunk?.ms")):
        channels = slice(0, 4) if "143MHz" in ms.name else slice(4, 8)
        expected = column(ms, "DATA") - total[channels][None, :, None]
        rms = np.sqrt((np.abs(expected) ** 2).mean())
        np.testing.assert_allclose(column(ms, "CORRECTED_DATA"), expected, rtol=0, atol=factor * rms)


def operations(run: Any, direction: str) -> set[str]:
    """Operations of which there are records, and of which there are products: the same."""
    records = {path.parent.name for path in run.work.glob(f"state/*/{direction}.json")}
    assert records == {path.parent.name for path in run.work.glob(f"results/*/{direction}")}
    return records


def test_undo_alone(finished: Any, make_run: Callable[[], Any]) -> None:
    """The first of two is undone exactly, the other one stays; a run subtracts it again, no more."""
    run = copied(finished, make_run)
    assert run.run("-r", "east", "--undo") == 0
    assert_subtracted(run, "west")
    assert operations(run, "east") == {"facetselfcal", "facetimage"}
    before = len(run.journal)
    assert run.run() == 0
    assert standing(run) == [["west", "east"]] * 4
    assert not [line for line in run.journal[before:] if "difference" not in line]
    for one, other in zip(residuals(run), residuals(finished), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_the_last_one_needs_no_prediction(finished: Any, make_run: Callable[[], Any]) -> None:
    """Where nothing else stands subtracted, the data as they came are put back, bit by bit."""
    run = copied(finished, make_run)
    shutil.rmtree(run.work / "results/facetsub/west")
    assert run.run("-r", "east,west", "--undo") == 0
    assert run.journal == []
    for ms in sorted((run.work / "chunks").rglob("*_chunk?.ms")):
        assert np.array_equal(column(ms, "CORRECTED_DATA"), column(ms, "DATA"))


def test_all_repairs_what_is_lost(finished: Any, make_run: Callable[[], Any], capfd: Any) -> None:
    """A lost ledger, and models that are gone: to begin again needs neither."""
    run = copied(finished, make_run)
    min(run.work.rglob("*.ledger.json")).unlink()
    shutil.rmtree(run.work / "results/facetsub")
    capfd.readouterr()
    assert run.run("-r", "east", "--undo") == 1
    assert "is missing: what stands subtracted" in capfd.readouterr().err
    assert run.run("-r", "all", before=dies(run.folder / "note", deadly=False)) == 0
    assert standing(run) == [[]] * 4
    assert_subtracted(run)


def test_resetting_a_direction(finished: Any, make_run: Callable[[], Any], capfd: Any) -> None:
    """It is done again from its beginning; the other one is kept; images of both are made again."""
    run = copied(finished, make_run)
    capfd.readouterr()
    assert run.run("-r", "east", "-d") == 0
    assert "would be reset: the subtraction of east is undone" in (run.work / "factor.log").read_text()
    assert standing(run) == [["east", "west"]] * 4
    assert run.journal == []
    assert run.run("-r", "east") == 0
    assert_subtracted(run, "west", "east")
    titles = {title.split(":")[0] for title, _ in run.commands[len(finished.commands):]}
    assert titles == {"facetsub east", "facetselfcal east", "facetimage east", "facetimage west"}


def test_resetting_an_operation(finished: Any, make_run: Callable[[], Any]) -> None:
    """-o takes what was made of it along: the image alone, or the calibration and its subtraction."""
    run = copied(finished, make_run)
    assert run.run("-r", "east", "-o", "facetimage") == 0
    assert {title.split(":")[0] for title, _ in run.commands[len(finished.commands):]} == {"facetimage east"}
    assert run.run("-r", "east", "-o", "facetselfcal", "--undo") == InputError.exit_status
    journal = list(run.journal)
    assert run.run("-r", "field", "-o", "fieldmosaic") == 0
    assert run.journal == journal
    assert operations(run, "field") == {"facetimage", "fieldmosaic"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-r", "eastern"), "did you mean east?"),
        (("-r", "east,nobody"), "there is no direction nobody; nothing was reset"),
        (("-r", "east", "-o", "initsubtract"), "everything is built on the initial subtraction"),
    ],
)
def test_unknown_names(finished: Any, capfd: Any, options: tuple[str, ...], said: str) -> None:
    """Refused before anything is touched, with what is known."""
    stamps = {p: p.stat().st_mtime_ns for p in (finished.work / "state").rglob("*.json")}
    capfd.readouterr()
    assert finished.run(*options) == InputError.exit_status
    assert said in capfd.readouterr().err
    assert stamps == {p: p.stat().st_mtime_ns for p in (finished.work / "state").rglob("*.json")}


def lose_headers(chunks: Path) -> bool:
    """What casacore does when it closes a chunk that was written, half done: it empties a small file."""
    lost = False
    for path in chunks.rglob("*.ledger.json"):
        for name in (json.loads(path.read_text())["intent"] or {}).get("header", {}):
            (path.with_name(path.name.replace(".ledger.json", ".ms")) / name).write_bytes(b"")
            lost = True
    return lost


def dies(note: Path, *, deadly: bool = True) -> Callable[[], None]:
    """Kill the process once at each instant of a reset and of its edits; what follows it does not run.

    A death while a chunk is being written costs it its header.
    """

    def die(key: str) -> None:
        known = note.read_text().splitlines() if note.exists() else []
        if deadly and key not in known:
            with note.open("a") as stream:
                stream.write(key + "\n")
            if key == "copied":
                assert lose_headers(note.parent / "work/chunks")
            os.kill(os.getpid(), signal.SIGKILL)

    def install() -> None:
        from factor import process
        from factor.flow import reset
        from factor.state import ledger

        reset.instant = die
        ledger._instant = die
        process.process = lambda *_: None  # type: ignore[assignment]

    return install


@pytest.mark.parametrize("name", ["east", "all"])
def test_killed_while_resetting(finished: Any, make_run: Callable[[], Any], name: str) -> None:
    """A kill at any instant: the next start, though it is not asked to, finishes the reset."""
    run = copied(finished, make_run)
    (run.tools / "die").write_text("difference")
    note = run.folder / "note"
    status, killed = run.run("-r", name, before=dies(note)), 0
    while status != 0:
        assert status == -signal.SIGKILL, (run.work / "factor.log").read_text()
        killed += 1
        assert killed < 100
        status = run.run(before=dies(note))
    assert killed >= len(note.read_text().splitlines()) >= 6
    assert not (run.work / "state/reset.json").exists()
    assert operations(run, "east") == set()
    if name == "all":
        assert standing(run) == [[]] * 4
        assert not list(run.work.glob("results/*/*"))
        assert not list(run.work.glob("state/*/*"))
    else:
        assert_subtracted(run, "west")
        assert operations(run, "west") == operations(finished, "west")


def test_reasons(finished: Any, make_run: Callable[[], Any]) -> None:
    """The dry run and the records say the same of what is stale and why; the rest is done."""
    run = copied(finished, make_run)

    def said(*options: str, **changes: str) -> str:
        log = run.work / "factor.log"
        log.unlink()
        assert run.run(*options, **changes) == 0
        return log.read_text()

    def kept(operation: str, direction: str) -> list[str]:
        return json.loads((run.work / f"state/{operation}/{direction}.json").read_text())["stale"]

    assert "stale" not in said("-d")
    # As it is where the phases of east make the first image of west better.
    west = run.work / "state/facetselfcal/west.json"
    ended = json.loads(west.with_name("east.json").read_text())["finished"]
    west.write_text(json.dumps({**json.loads(west.read_text()), "inputs": {"facetselfcal east": ended}}))
    text = said("-d", imaging__max_peak_smearing="0.1", calibration__stepsize="0.1")
    changed = "max_peak_smearing went from 0.15 to 0.1"
    assert f"facetselfcal of east, west: stale because {changed}; stepsize went from 0.02 to 0.1\n" in text
    assert f"facetimage of east, west: stale because {changed}\n" in text
    assert "fieldmosaic of field: stale because facetimage east is to be done; " in text
    text = said("-d", "-r", "east")
    assert "group 1 of 2: facetselfcal, facetsub: east (not run)" in text
    assert "facetselfcal of west: stale because facetselfcal east was reset" in text
    assert "facetimage of west: stale because facetsub east was reset\n" in text
    (run.work / "results/facetimage/west/west.image_full.fits").write_bytes(b"")
    (run.work / "results/facetselfcal/west/combined_solutions.h5").unlink()
    assert "facetsub: east (facetsub not run)" in said("-d", "-r", "east", "-o", "facetsub")
    text = said("-r", "east", "--undo")
    lost = "product results/facetselfcal/west/combined_solutions.h5 is missing"
    assert kept("facetselfcal", "west") == [lost]
    assert "product results/facetimage/west/west.image_full.fits has changed" in kept("facetimage", "west")
    assert f"facetselfcal of west: stale because {lost}\n" in text


def test_directions_that_are_added(finished: Any, make_run: Callable[[], Any], capfd: Any) -> None:
    """Taken up where they change nothing of what was begun; refused, with what to do, where they do."""
    run = copied(finished, make_run)
    given = (run.data / "directions.txt").read_text()
    row = next(line for line in given.splitlines() if line.startswith("east"))
    faint = row.replace(row.split()[1], format_position(217.5 + 0.2 / np.cos(np.radians(52.0)), 51.75))
    (run.folder / "directions.txt").write_text(given + faint.replace("east", "faint", 1) + "\n")
    more = {"directions__directions_file": str(run.folder / "directions.txt")}
    capfd.readouterr()
    assert run.run("-d", **more) == run.run(**more) == InputError.exit_status
    said = capfd.readouterr().err
    assert "the facets are not those of what this run has done (changed: east, west)" in said
    assert "runfactor -r all" in said
    assert run.run("-d", "-r", "all", **more) == 0
    write_model(run.folder / "out.skymodel", OUTLIER, 30.0)
    outliers = write_row(run.folder / "outliers.txt", "out", OUTLIER, "out.skymodel")
    assert run.run("-d", directions__outliers_file=str(outliers)) == 0
    text = (run.work / "factor.log").read_text()
    assert "outlier: outlierpeel, facetsub: out (not run)" in text
    assert "facetimage of east, west: stale because facetsub out is to be done\n" in text


def test_moving_the_working_directory(finished: Any, make_run: Callable[[], Any]) -> None:
    """Another place, and files with other times: nothing is done again; no shell reads the odd name."""
    run = make_run()
    place = run.folder / "else where$(touch pwned)&`touch pwned`|x"
    shutil.copytree(finished.work, place, copy_function=shutil.copyfile)
    assert run.run(global__dir_working=str(place)) == 0
    assert run.journal == []
    assert run.run("-r", "east", "-o", "facetimage", global__dir_working=str(place)) == 0
    assert len(run.journal) == 3
    assert not Path("pwned").exists()
    assert not list(run.folder.rglob("pwned"))
