"""Chunks are complete copies, made once, and never from another input than before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from factor.errors import FactorError, InputError
from factor.observation import chunks as chunks_module
from factor.observation import copy as copy_module
from factor.observation.bands import find_measurement_sets, read_all
from factor.observation.checks import check_input
from factor.observation.chunks import (
    bytes_needed,
    check_disk,
    known_flagged_fractions,
    load_observation,
    make_chunks,
)
from factor.observation.model import Observation
from factor.observation.note import read_note
from factor.observation.plan import ChunkPlan, plan_chunks
from factor.state.ledger import Ledger
from factor.workspace import Workspace

MakeMs = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "work")


@pytest.fixture
def plan(tmp_path: Path, settings: SimpleNamespace) -> Callable[..., tuple[ChunkPlan, ...]]:
    """Plan what lies in a folder; pieces of two slots (one rest) unless told otherwise."""
    settings.init_skymodels = {}

    def make(folder: Path = tmp_path / "input", chunk_size_s: float = 16.0) -> tuple[ChunkPlan, ...]:
        infos = read_all(find_measurement_sets(folder))
        return plan_chunks(check_input(infos, settings).bands, chunk_size_s)

    return make


Plan = Callable[..., tuple[ChunkPlan, ...]]


def _columns(path: Path, *names: str) -> list[np.ndarray]:
    from casacore import tables

    with tables.table(str(path), ack=False) as main:
        return [main.getcol(name) for name in names]


def _content(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes())
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_copies(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """All columns and keywords of all rows arrive, and the input is not touched."""
    sources = [make_ms("a.ms", 140e6, range(5)), make_ms("b.ms", 150e6, range(5))]
    before = _content(sources[0].parent)
    observation = make_chunks(plan(), workspace)
    assert _content(sources[0].parent) == before
    assert [chunk.n_slots for chunk in observation.chunks] == [2, 3]
    names = ["TIME", "ANTENNA1", "ANTENNA2", "UVW", "FLAG", "WEIGHT_SPECTRUM", "INTERVAL", "EXPOSURE"]
    for number, source in enumerate(sources):
        paths = [chunk.files[number].path for chunk in observation.chunks]
        joined = [np.concatenate(parts) for parts in zip(*(_columns(path, *names, "DATA", "CORRECTED_DATA")
                                                           for path in paths), strict=True)]
        expected = _columns(source, *names, "SUBTRACTED_DATA_ALL", "SUBTRACTED_DATA_ALL")
        for name, got, want in zip([*names, "DATA", "CORRECTED_DATA"], joined, expected, strict=True):
            assert np.array_equal(got, want), name


def test_structure(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """DP3, WSClean and EveryBeam find subtables, keywords and the beam that was corrected."""
    from casacore import tables

    make_ms()
    path = make_chunks(plan(), workspace).chunks[0].files[0].path
    assert path == workspace.chunk("Band_140.0MHz", "field", 0)
    with tables.table(str(path), ack=False) as main:
        assert main.info()["type"] == "Measurement Set"
        assert "MODEL_DATA" not in main.colnames()
        assert not any("Dysco" in part["TYPE"] for part in main.getdminfo().values())
        for name in ("DATA", "CORRECTED_DATA"):
            assert main.getcolkeyword(name, "LOFAR_APPLIED_BEAM_MODE") == "Full"
        subtables = {key: value for key, value in main.getkeywords().items()
                     if isinstance(value, str) and value.startswith("Table: ")}
    assert {"ANTENNA", "FIELD", "OBSERVATION", "SPECTRAL_WINDOW", "POLARIZATION"} <= set(subtables)
    assert all(value.startswith(f"Table: {path}/") for value in subtables.values())
    with tables.table(f"{path}::OBSERVATION", ack=False) as observation:
        assert observation.getcell("LOFAR_ANTENNA_SET", 0) == "HBA_DUAL_INNER"


def test_sky_model_and_ledger_beside(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """Each band has its sky model under a name DP3 opens, each chunk an empty ledger."""
    source = make_ms(slots=range(5))
    observation = make_chunks(plan(), workspace)
    model = workspace.band("Band_140.0MHz") / "Band_140.0MHz.skymodel"
    assert observation.bands[0].skymodel == observation.chunks[0].files[0].skymodel == model
    assert model.read_text() == source.with_suffix(".merge").read_text()
    assert Ledger(workspace, observation.chunks[1].files[0].path).subtracted() == ()


def test_observation(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """What is made and what is read back later is the same, and right."""
    make_ms("a.ms", 140e6, range(5))
    make_ms("b.ms", 150e6, range(5), flagged=0.5)
    made = make_chunks(plan(), workspace)
    assert load_observation(workspace) == made
    assert [band.name for band in made.bands] == ["Band_140.0MHz", "Band_150.0MHz"]
    assert made.chunks[0].start_mjd_s == pytest.approx(4.9e9 - 4)
    assert made.chunks[1].end_mjd_s == pytest.approx(4.9e9 + 4 * 8 + 4)
    assert made.stations == ("CS001HBA0", "CS002HBA0", "RS205HBA")
    assert [read_note(file.path).band_flagged_fraction for file in made.chunks[0].files] == [0.0, 0.5]
    assert (made.ra_deg, made.dec_deg, made.interval_s) == (
        pytest.approx(217.5), pytest.approx(52.0), 8.0,
    )


def test_in_processes(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """Copying side by side gives the same."""
    make_ms(slots=range(5))
    observation = make_chunks(plan(), workspace, jobs=2)
    assert load_observation(workspace) == observation
    assert _columns(observation.chunks[1].files[0].path, "DATA")[0].shape == (18, 4, 4)


def test_kept_on_resume(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """A second start makes only what is missing and leaves the rest, and its ledger, alone."""
    make_ms(slots=range(5))
    observation = make_chunks(plan(), workspace)
    kept, lost = (chunk.files[0].path for chunk in observation.chunks)
    before = _content(kept)
    ledger = workspace.ledger(kept).stat().st_mtime_ns
    shutil.rmtree(lost)
    assert bytes_needed(plan(), workspace) > 0
    assert make_chunks(plan(), workspace) == observation
    assert bytes_needed(plan(), workspace) == 0
    assert _content(kept) == before
    assert workspace.ledger(kept).stat().st_mtime_ns == ledger
    assert known_flagged_fractions(workspace) == {"field.ms": 0.0}


def test_half_made(
    make_ms: MakeMs, plan: Plan, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk whose copying was interrupted is not taken for one."""
    make_ms(slots=range(5))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(copy_module, "_fill_missing", die)
        with pytest.raises(KeyboardInterrupt):
            make_chunks(plan(), workspace)
    assert not list(workspace.chunks.glob("*/*.ms"))
    assert list(workspace.chunks.glob("*/*.part"))
    assert len(make_chunks(plan(), workspace).chunks) == 2
    assert not list(workspace.chunks.glob("*/*.part"))


def test_missing_slots_and_rows(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """Every chunk holds every slot and baseline: rows then agree with DP3's, band with band."""
    rows = [i for i in range(24) if i not in (1, 8, 9)]
    make_ms("a.ms", 140e6, [0, 1, 3, 4], rows=rows)
    make_ms("b.ms", 150e6, range(5))
    observation = make_chunks(plan(chunk_size_s=1200), workspace)
    a, b = (file.path for file in observation.chunks[0].files)
    keys = ("TIME", "ANTENNA1", "ANTENNA2", "INTERVAL", "EXPOSURE")
    for name, left, right in zip(keys, _columns(a, *keys), _columns(b, *keys), strict=True):
        assert np.array_equal(left, right), name
    missing = np.zeros(30, dtype=bool)
    missing[[1, 8, 9, *range(12, 18)]] = True
    flags, weights, data = _columns(a, "FLAG", "WEIGHT_SPECTRUM", "DATA")
    assert flags[missing].all()
    assert not flags[~missing].any()
    assert (weights[missing] == 0).all()
    assert (data[missing] == 0).all()
    wanted = _columns(b, "DATA")[0]
    assert np.array_equal(data[~missing], wanted[~missing])
    inner = missing & (_columns(a, "TIME")[0] > 4.9e9)
    assert np.allclose(_columns(a, "UVW")[0][inner], _columns(b, "UVW")[0][inner])


def test_unsorted_input(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """Rows in another order are brought into that of time."""
    make_ms(slots=range(4), rows=[*range(12, 24), *range(12)])
    data, time = _columns(
        make_chunks(plan(chunk_size_s=1200), workspace).chunks[0].files[0].path, "DATA", "TIME"
    )
    assert np.array_equal(data[:, 0, 0].real // 100, np.repeat(range(4), 6))
    assert (np.diff(time) >= 0).all()


def test_alternating_files(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """Interleaved files of one band are woven together."""
    make_ms("even.ms", slots=[0, 2, 4])
    make_ms("odd.ms", slots=[1, 3])
    (file,) = make_chunks(plan(chunk_size_s=1200), workspace).chunks[0].files
    data, flags = _columns(file.path, "CORRECTED_DATA", "FLAG")
    assert np.array_equal(data[:, 0, 0].real // 100, np.repeat(range(5), 6))
    assert not flags.any()


def test_small_blocks(
    make_ms: MakeMs, plan: Plan, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying in pieces gives the same as at once."""
    monkeypatch.setattr(copy_module, "_BLOCK_BYTES", 700)
    source = make_ms("even.ms", slots=[0, 2, 4])
    make_ms("odd.ms", slots=[1, 3])
    (file,) = make_chunks(plan(chunk_size_s=1200), workspace).chunks[0].files
    data, weights = _columns(file.path, "DATA", "WEIGHT_SPECTRUM")
    assert np.array_equal(data[12:18], _columns(source, "SUBTRACTED_DATA_ALL")[0][6:12])
    assert np.array_equal(weights[:, 0, 0], np.repeat(np.arange(5) + 2, 6))


def test_old_chunks_as_input(
    make_ms: MakeMs, plan: Plan, workspace: Workspace, tmp_path: Path
) -> None:
    """When the original data are gone, the chunks of an old run serve: their pristine data."""
    from casacore import tables

    make_ms("a.ms", 140e6, range(5))
    make_ms("b.ms", 150e6, range(5))
    old = make_chunks(plan(), workspace)
    for chunk in old.chunks:
        for file in chunk.files:
            with tables.table(str(file.path), readonly=False, ack=False) as main:
                main.putcol("CORRECTED_DATA", main.getcol("DATA") - 7)
    new = Workspace(tmp_path / "again")
    again = make_chunks(plan(workspace.chunks), new)
    assert [c.files[0].path.name for c in again.chunks] == ["a_chunk0.ms", "a_chunk1.ms"]
    assert replace(again, bands=(), chunks=()) == replace(old, bands=(), chunks=())
    for was, now in zip(old.chunks, again.chunks, strict=True):
        data, residual = _columns(now.files[1].path, "DATA", "CORRECTED_DATA")
        assert np.array_equal(data, _columns(was.files[1].path, "DATA")[0])
        assert np.array_equal(data, residual)
    assert again.bands[0].skymodel.read_bytes() == old.bands[0].skymodel.read_bytes()
    assert make_chunks(plan(workspace.chunks), workspace) == old


def _refused(observation: Callable[[], Observation]) -> str:
    with pytest.raises(InputError) as caught:
        observation()
    assert "delete chunks/" in caught.value.hint
    return caught.value.message


def test_changed_input_is_refused(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """Solutions and subtractions belong to the data that were there: nothing is mixed."""
    path = make_ms(slots=range(5))
    make_chunks(plan(), workspace)
    assert "time slots" in _refused(lambda: make_chunks(plan(chunk_size_s=24), workspace))
    shutil.rmtree(path)
    make_ms(slots=range(5), rows=range(29))
    assert "with 30 rows, it now has 29" in _refused(lambda: make_chunks(plan(), workspace))
    shutil.rmtree(path)
    make_ms(slots=range(5), freq_hz=140.04e6)
    assert "139.8500 MHz" in _refused(lambda: make_chunks(plan(), workspace))
    shutil.rmtree(path)
    make_ms("other.ms", slots=range(5))
    assert "field.ms are gone" in _refused(lambda: make_chunks(plan(), workspace))


def test_changed_sky_model_is_refused(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """The old model must stay what was subtracted."""
    path = make_ms(slots=range(5))
    make_chunks(plan(), workspace)
    with path.with_suffix(".merge").open("a") as stream:
        stream.write("s2, POINT, 14:31:00, +52.00.00, 1.0\n")
    assert "differs from" in _refused(lambda: make_chunks(plan(), workspace))


def test_disk_too_small(
    make_ms: MakeMs, plan: Plan, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is told before the first byte, with numbers."""
    make_ms(slots=range(5))
    monkeypatch.setattr(
        chunks_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=2_000_000)
    )
    with pytest.raises(FactorError, match=r"chunks need 0\.02 GB, 0\.002 GB are free"):
        make_chunks(plan(), workspace)
    with pytest.raises(FactorError, match="chunks need"):
        check_disk(plan(), workspace)
    assert not list(workspace.chunks.glob("*/*.ms*"))


def test_newer_chunk_is_refused(make_ms: MakeMs, plan: Plan, workspace: Workspace) -> None:
    """A chunk of a newer Factor may mean something else by its columns."""
    from casacore import tables

    make_ms()
    path = make_chunks(plan(), workspace).chunks[0].files[0].path
    with tables.table(str(path), readonly=False, ack=False) as main:
        note = json.loads(main.getkeyword("FACTOR_CHUNK"))
        main.putkeyword("FACTOR_CHUNK", json.dumps({**note, "version": 9}))
    with pytest.raises(InputError, match="newer Factor"):
        load_observation(workspace)


def test_no_chunks(workspace: Workspace) -> None:
    """Reports ask before anything was made."""
    with pytest.raises(InputError, match="no chunks"):
        load_observation(workspace)
