"""A run archived, moved, restored and resumed, with the fake tools."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from factor.archive.flags import load_flags
from factor.archive.manifest import problems_of_files, read_manifest
from factor.products.images.image import read_image
from factor.products.solutions.soltabs import read_soltabs
from tests.fakes.observation import write_parset
from tests.operations.test_restart import ledgers, mosaic, products, residuals

MASK = 'fk5\ncircle(217.99d,52.1d,600")\n'


@pytest.fixture(scope="module")
def archived(finished: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A resumable archive of a finished run with its calibrated data, to be looked at only."""
    folder = tmp_path_factory.mktemp("archived") / "archive"
    assert (
        finished.call("archivefactor", str(finished.folder / "factor.parset"), str(folder), "-r", "-d", "all")
        == 0
    )
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """The content of every file, but for casacore's locks."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("table.lock", "factor.lock")]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def steps(folder: Path, direction: str) -> dict[str, Any]:
    """The steps of a self-calibration, with their times, by its record."""
    found: dict[str, Any] = json.loads((folder / f"state/facetselfcal/{direction}.json").read_text())["steps"]
    return found


def data_of(ms: Path, column: str) -> np.ndarray:
    from casacore.tables import table

    with table(str(ms), ack=False) as main:
        return main.getcol(column)


def test_in_the_middle_of_a_run(make_run: Callable[[], Any], finished: Any, tmp_path: Path) -> None:
    """Archived after a kill in a subtraction, restored elsewhere, the run ends like any other.

    The folder of the first run and its input are gone by then; nothing is calibrated twice.
    """
    run, folder, restored = make_run(), tmp_path / "archive", tmp_path / "elsewhere"
    data = tmp_path / "data"
    shutil.copytree(run.data, data)
    run.data = data

    def die_in_the_second_chunk() -> None:
        from factor.state import ledger

        copied = []

        def instant(name: str) -> None:
            copied.append(name)
            if copied.count("noted") == 2 and name == "copying":
                os.kill(os.getpid(), signal.SIGKILL)

        ledger._instant = instant

    assert run.run(before=die_in_the_second_chunk) == -signal.SIGKILL
    assert run.call("archivefactor", str(run.folder / "factor.parset"), str(folder), "-r") == 0
    assert list(folder.glob("chunks/*/*.pending.npy"))
    shutil.rmtree(data)
    shutil.rmtree(run.work)
    assert run.call("unarchivefactor", str(folder), str(restored)) == 0
    assert run.call("runfactor", "-q", str(restored / "factor.parset")) == 0
    here = SimpleNamespace(work=restored)
    np.testing.assert_allclose(mosaic(here), mosaic(finished), rtol=1e-5, atol=1e-7)
    for one, other in zip(residuals(here), residuals(finished), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert ledgers(here) == ledgers(finished)
    assert products(here) == {p for p in products(finished) if ".calibrated_" not in p} | {
        p for p in products(here) if ".calibrated_" in p
    }
    assert steps(restored, "east") == steps(folder, "east")


def test_a_finished_run_does_nothing_again(finished: Any, archived: Path, tmp_path: Path) -> None:
    """Restored with links or copies it is done, and the archive stays as it is, bit for bit."""
    before = snapshot(archived)
    for options in ([], ["-s"]):
        restored = tmp_path / f"restored{len(options)}"
        journal = list(finished.journal)
        assert finished.call("unarchivefactor", str(archived), str(restored), *options) == 0
        assert finished.call("runfactor", "-q", str(restored / "factor.parset")) == 0
        assert finished.journal == journal
        states = "".join(p.read_text() for p in (restored / "state").rglob("*.json"))
        assert str(finished.work) not in states
    assert any(p.is_symlink() for p in restored.rglob("table.f*"))
    assert snapshot(archived) == before
    assert problems_of_files(archived, read_manifest(archived).entries) == []


def test_more_directions_from_a_linked_archive(
    make_run: Callable[[], Any], finished: Any, tmp_path: Path
) -> None:
    """A run that ended with one direction goes on with another; what was linked stays as it is.

    Masks that the directions file names have moved along: nothing of the first is done again.
    """
    run, folder, restored = make_run(), tmp_path / "archive", tmp_path / "restored"
    run.data = tmp_path / "data"
    shutil.copytree(finished.data, run.data)
    _name_mask(run.data)
    assert run.run(directions__ndir_process="1", imaging__make_mosaic="False") == 0
    assert run.call("archivefactor", str(run.folder / "factor.parset"), str(folder), "-r") == 0
    before = snapshot(folder)
    shutil.rmtree(run.data)
    shutil.rmtree(run.work)
    assert run.call("unarchivefactor", str(folder), str(restored), "-s") == 0
    assert (restored / "inputs/east.reg").read_text() == MASK
    parset = restored / "factor.parset"
    parset.write_text(parset.read_text().replace("ndir_process = 1\n", ""))
    assert run.call("runfactor", "-q", str(parset)) == 0
    assert snapshot(folder) == before
    assert ledgers(SimpleNamespace(work=restored)) == ledgers(finished)
    assert steps(restored, "east") == steps(folder, "east")
    assert json.loads((restored / "state/facetimage/west.json").read_text())["status"] == "done"


def _name_mask(data: Path) -> None:
    (data / "masks").mkdir()
    (data / "masks/east.reg").write_text(MASK)
    directions = data / "directions.txt"
    first, *others = directions.read_text().splitlines()
    words = first.split()
    words[8] = words[9] = "masks/east.reg"
    directions.write_text("\n".join([" ".join(words), *others]) + "\n")


def test_what_is_in_it(finished: Any, archived: Path) -> None:
    """Folders, names and the manifest as documented; solutions of all directions, once."""
    manifest = read_manifest(archived)
    paths = {entry.path for entry in manifest.entries}
    assert {path.partition("/")[0] for path in paths} >= {
        "calibrated_data", "chunks", "images", "instrument_tables", "misc", "pipeline_state", "plots",
        "sky_models", "state", "log", "qa",
    }  # fmt: skip
    solutions = [p for p in paths if p.endswith(".h5")]
    assert {p.split("/")[1] for p in solutions} == {"east", "west"}
    assert not any("facetsub" in p for p in solutions)
    (pbcor,) = [p for p in paths if p.endswith("_pbcor.fits")]
    assert pbcor.startswith("images/field/fieldmosaic/")
    assert "MHz_c12.0r-0.5t0.0u80.0_pbcor" in pbcor
    assert manifest.images[pbcor] == "results/fieldmosaic/field/field.correct_mosaic.pbcor.fits"
    readme = (archived / "README.txt").read_text()
    assert all(path in readme for path in paths)
    assert "measure flux densities here" in readme
    assert "not for the primary beam" in readme
    chunk = next((finished.work / "chunks").rglob("*.ms"))
    saved = archived / "instrument_tables/flags" / chunk.parent.name / f"{chunk.stem}.flags.npz"
    assert np.array_equal(load_flags(saved), data_of(chunk, "FLAG"))


def test_calibrated_data_kept_or_made(finished: Any, archived: Path, tmp_path: Path) -> None:
    """One measurement set for each chunk; made again, the same, when facetimage's are gone."""
    names = sorted(p.name for p in (archived / "calibrated_data/east").iterdir())
    assert names == ["east_calibrated_data_chunk0.ms", "east_calibrated_data_chunk1.ms"]
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    folder = finished.work / "results/facetimage/east"
    kept = sorted(folder.glob("*.ms"))
    for ms in kept:
        shutil.move(ms, hidden / ms.name)
    try:
        before = snapshot(finished.work)
        parset = str(finished.folder / "factor.parset")
        assert finished.call("archivefactor", parset, str(tmp_path / "made"), "-d", "east") == 0
        assert snapshot(finished.work) == before
    finally:
        for ms in kept:
            shutil.move(hidden / ms.name, ms)
    for name in names:
        one, other = (
            data_of(a / "calibrated_data/east" / name, "DATA") for a in (archived, tmp_path / "made")
        )
        np.testing.assert_allclose(one, other, rtol=1e-5)
    assert not (tmp_path / "made/.making").exists()
    assert not list((tmp_path / "made/chunks").rglob("*.ms"))


def test_restored_from_the_input(finished: Any, archived: Path, tmp_path: Path) -> None:
    """From input, solutions, models and flags: the archived data, nothing solved, also after a kill."""
    script, output, elsewhere = archived / "script/restore_calibrated", tmp_path / "out", tmp_path / "work"
    flags = next((archived / "instrument_tables/flags").rglob("*.npz"))
    data = tmp_path / "data"
    shutil.copytree(finished.data, data)
    _flag_everything(next(data.glob("*.ms")))
    before, journal = snapshot(archived), len(finished.journal)
    finished.work.rename(elsewhere)

    def die_in_the_third_edit() -> None:
        from factor.state import ledger

        edits = []

        def instant(name: str) -> None:
            edits.append(name)
            if edits.count("copied") == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        ledger._instant = instant

    try:
        arguments = (str(data), str(output), "-d", "east")
        assert finished.script(script, *arguments, before=die_in_the_third_edit) == -signal.SIGKILL
        assert not (output / "calibrated_data").exists()
        assert finished.script(script, *arguments) == 0
        assert finished.script(script, str(data), str(output), "-d", "all") == 0
        assert not finished.work.exists()
    finally:
        elsewhere.rename(finished.work)
    assert snapshot(archived) == before
    assert not any(".h5" in outputs for outputs in finished.journal[journal:])
    names = {str(p.relative_to(archived)) for p in (archived / "calibrated_data").glob("*/*.ms")}
    assert names == {str(p.relative_to(output)) for p in (output / "calibrated_data").glob("*/*.ms")}
    assert len(names) == 4
    for name in names:
        one, other = (data_of(folder / name, "DATA") for folder in (archived, output))
        assert np.abs(one - other).max() < 1e-5 * np.abs(one).max()
    chunk = output / "work/chunks" / flags.parent.name / flags.name.replace(".flags.npz", ".ms")
    assert np.array_equal(data_of(chunk, "FLAG"), load_flags(flags))


def _flag_everything(ms: Path) -> None:
    """Flag half of a measurement set, as another pass of a flagger might."""
    from casacore.tables import table

    with table(str(ms), readonly=False, ack=False) as main:
        flags = main.getcol("FLAG")
        flags[::2] = True
        main.putcol("FLAG", flags)


def test_imaged_again(make_run: Callable[[], Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """From the archived data alone: every set of images and mosaics, alike, under the same names.

    Data that are not those of the manifest are not imaged.
    """
    run, folder, again = make_run(), tmp_path / "archive", tmp_path / "again"
    assert run.run(imaging__facet_cellsize_arcsec="[12.0, 24.0]") == 0
    assert run.call("archivefactor", str(run.folder / "factor.parset"), str(folder), "-d", "all") == 0
    before, script = snapshot(folder), folder / "script/reimage"
    assert run.script(script, str(again), "-d", "all") == 0
    assert snapshot(folder) == before
    names = {str(p.relative_to(again)) for p in (again / "images").rglob("*.fits")}
    assert names == {str(p.relative_to(folder)) for p in (folder / "images").rglob("*.fits")}
    assert len(names) == 2 * (2 + 4)
    for name in names:
        one, other = (read_image(base / name).data for base in (folder, again))
        # The run averaged more for the coarser set: its noise is another.
        tolerance = 0.02 if "_c24.0" in name else 1e-5
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=tolerance)
    damaged = next((folder / "calibrated_data/east").glob("*chunk1.ms/table.f*"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert run.script(script, str(tmp_path / "other"), "-d", "all") == 2
    assert f"{damaged}: its checksum is not that of the manifest" in capfd.readouterr().err
    assert not (tmp_path / "other/images").exists()


def test_run_again(finished: Any, archived: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With parset and directions of the archive, and its chunks in place of data that are gone.

    It comes to the same solutions; repeated, it goes on.
    """

    def first_group_only() -> None:
        from factor.cli import runfactor

        whole = runfactor.main
        runfactor.main = lambda argv: whole(["-q", "-s", "1", *argv])

    output, before = tmp_path / "again", snapshot(archived)
    arguments = (str(archived / "chunks"), str(output))
    for _ in range(2):
        assert finished.script(archived / "script/rerun", *arguments, before=first_group_only) == 0
    assert snapshot(archived) == before
    solutions = "results/facetselfcal/east/combined_solutions.h5"
    new, old = (read_soltabs(folder / solutions) for folder in (output, finished.work))
    assert set(new) == set(old)
    for name, soltab in old.items():
        np.testing.assert_allclose(new[name].values, soltab.values, rtol=1e-6)
    assert "the versions of all tools are those of the archive" in capfd.readouterr().out


def test_scripts_refuse(
    finished: Any, archived: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another input, an unknown direction, data that are not there: the reason, before anything is made."""
    output, less = tmp_path / "out", tmp_path / "less"
    less.mkdir()
    first = next(finished.data.glob("*.ms"))
    (less / first.name).symlink_to(first)

    def refused(expected: str, name: str, *arguments: str) -> None:
        assert finished.script(archived / "script" / name, *arguments) == 2
        assert expected in capfd.readouterr().err

    refused("is not part of the chunks", "restore_calibrated", str(less), str(output), "-d", "east")
    refused("nowhere: facetimage is not done", "reimage", str(output), "-d", "nowhere")
    refused("lacks calibrated data", "reimage", str(output), "-d", "east", "-i", str(less))
    assert not list(output.rglob("*.ms"))


def test_other_versions_and_damage(
    finished: Any, archived: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Tools of other versions are named before all else; what is damaged is not used."""
    folder = tmp_path / "moved"
    shutil.copytree(archived, folder, ignore=shutil.ignore_patterns("*.ms", "images", "qa", "plots"))
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest["versions"] |= {"LoSoTo": "1.0", "Tool": "3"}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    flags = next(folder.rglob("*.npz"))
    flags.write_bytes(flags.read_bytes()[:-1] + b"x")
    arguments = (str(finished.data), str(tmp_path / "out"), "-d", "east")
    assert finished.script(folder / "script/restore_calibrated", *arguments) == 2
    said = capfd.readouterr()
    assert "made with LoSoTo 1.0 (here " in said.out
    assert "Tool 3 (here not known)" in said.out
    assert f"{flags}: its checksum is not that of the manifest" in said.err
    assert not (tmp_path / "out/work/chunks").exists()


def test_killed_and_repeated(finished: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Killed, archivefactor leaves no file that looks whole but isn't; repeated, it goes on."""
    folder, restored, parset = (
        tmp_path / "archive",
        tmp_path / "restored",
        str(finished.folder / "factor.parset"),
    )

    def dying(calls: int) -> Callable[[], None]:
        def install() -> None:
            from factor.archive import copying, unarchive

            copy, seen = copying.copy_file, []

            def copy_file(source: Path, target: Path, advance: Any) -> str:
                seen.append(source)
                if len(seen) == calls:
                    target.write_bytes(source.read_bytes()[:10])
                    os.kill(os.getpid(), signal.SIGKILL)
                return copy(source, target, advance)

            copying.copy_file = unarchive.copy_file = copy_file

        return install

    for calls in (30, 150):
        assert (
            finished.call("archivefactor", parset, str(folder), "-r", before=dying(calls)) == -signal.SIGKILL
        )
        assert finished.call("unarchivefactor", str(folder), str(restored)) == 2
    assert "has no MANIFEST.json" in capfd.readouterr().err
    assert finished.call("archivefactor", parset, str(folder), "-r") == 0
    assert "files are there already" in capfd.readouterr().out
    assert not list(folder.rglob("*.part"))
    assert finished.call("unarchivefactor", str(folder), str(restored), before=dying(150)) == -signal.SIGKILL
    assert finished.call("unarchivefactor", str(folder), str(restored)) == 0
    journal = list(finished.journal)
    assert finished.call("runfactor", "-q", str(restored / "factor.parset")) == 0
    assert finished.journal == journal


def test_refusals(finished: Any, archived: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What would mix runs, lose data or is not known is refused before anything is written."""
    parset = str(finished.folder / "factor.parset")
    lock = finished.work / "factor.lock"
    other = write_parset(tmp_path / "other", finished.data)

    def refused(expected: str, name: str, *arguments: str, status: int = 2) -> None:
        assert finished.call(name, *arguments) == status
        assert expected in capfd.readouterr().err

    refused(
        "nowhere: facetimage is not done",
        "archivefactor",
        parset,
        str(tmp_path / "a"),
        "-d",
        "nowhere",
    )
    refused("nothing to archive", "archivefactor", str(other), str(tmp_path / "a"))
    refused("belongs to the run itself", "archivefactor", parset, str(finished.work / "state/x"))
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "since": "now"}))
    refused("is in use", "archivefactor", parset, str(tmp_path / "a"), status=1)
    lock.unlink()
    assert not (tmp_path / "a").exists()
    assert finished.call("archivefactor", parset, str(tmp_path / "basic")) == 0
    refused("made without -r", "unarchivefactor", str(tmp_path / "basic"), str(tmp_path / "b"))
    assert not (tmp_path / "b").exists()
    refused(
        "files of a run that the archive lacks", "unarchivefactor", str(archived), str(_stale(tmp_path / "c"))
    )
    assert not (tmp_path / "c/chunks").exists()


def _stale(folder: Path) -> Path:
    (folder / "state/facetselfcal").mkdir(parents=True)
    (folder / "state/facetselfcal/another.json").write_text("{}")
    return folder


def test_existing_files(
    finished: Any, archived: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Files that are there are kept and told; two states of a run are not mixed."""
    parset, folder = str(finished.folder / "factor.parset"), tmp_path / "archive"
    shutil.copytree(archived, folder)
    (picture,) = folder.glob("plots/field/fieldmosaic/*pbcut.png")
    picture.write_bytes(b"mine")
    before = snapshot(folder)
    assert finished.call("archivefactor", parset, str(folder), "-r") == 2
    assert "another state of this run" in capfd.readouterr().err
    assert snapshot(folder) == before
    assert finished.call("archivefactor", parset, str(folder), "-c") == 0
    assert read_manifest(folder).resumable
    assert picture.read_bytes() != b"mine"
    basic = tmp_path / "basic"
    assert finished.call("archivefactor", parset, str(basic)) == 0
    picture = basic / picture.relative_to(folder)
    picture.write_bytes(b"mine")
    assert finished.call("archivefactor", parset, str(basic)) == 0
    assert "is kept, though the run's is another" in capfd.readouterr().out
    assert picture.read_bytes() == b"mine"
