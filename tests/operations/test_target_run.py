"""A run with a target, flags, compression, and data that are kept at full resolution."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

#: A circle in the north-west, apart from both directions, and more.
OPTIONS = {
    "directions__target_ra": "217.4",
    "directions__target_dec": "52.3",
    "directions__target_radius_arcmin": "3",
    "directions__target_has_own_facet": "True",
    "directions__ndir_process": "1",
    "imaging__image_target_only": "True",
    "global__keep_avg_facet_data": "False",
    "global__keep_unavg_facet_data": "True",
    "global__use_compression": "True",
    "global__flag_baseline": "[CS002*]",
}


@pytest.fixture(scope="module")
def run(make_run: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finished run on data whose bands have different sky models."""
    run = make_run()
    data = tmp_path_factory.mktemp("two_models") / "data"
    shutil.copytree(run.data, data)
    model = max(data.glob("*.merge"))
    model.write_text(model.read_text().replace(", 1.0, ,", ", 1.1, ,"))
    run.data = data
    assert run.run(**OPTIONS) == 0
    return run


def _column(ms: Path, name: str) -> Any:
    from casacore.tables import table

    with table(str(ms), ack=False) as main:
        return main.getcol(name)


def test_a_facet_of_its_own(run: Any) -> None:
    """It alone is imaged, beyond ndir_process and with a neighbour's solutions; its data are kept."""
    assert not (run.work / "state/facetselfcal/target.json").exists()
    images = {path.stem: path for path in (run.work / "state/facetimage").glob("*.json")}
    assert sorted(images) == ["field", "target"]
    results = json.loads(images["target"].read_text())["results"]
    assert (results["solutions"], results["solutions_of"]) == ("borrowed", "east")
    assert sorted((run.work / "results/facetimage/target").glob("target.calibrated_chunk*.ms"))
    assert any("-multiscale" in c for title, c in run.commands if title.startswith("facetimage target"))


def test_data_at_full_resolution(run: Any) -> None:
    """All bands of a chunk in one measurement set, neither averaged nor compressed."""
    kept = sorted((run.work / "results/facetimage/target").glob("*_calibrated_data_*.ms"))
    assert [ms.name for ms in kept] == [f"target_calibrated_data_chunk{n}.ms" for n in (0, 1)]
    for ms in kept:
        chunks = sorted((run.work / "chunks").rglob(f"*{ms.stem.rsplit('_', 1)[1]}.ms"))
        data = _column(ms, "DATA")
        assert data.shape[:2] == (len(_column(chunks[0], "DATA")), 2 * 4)
        assert not np.allclose(data[:, :4], _column(chunks[0], "CORRECTED_DATA"))


def test_it_is_kept_once(run: Any) -> None:
    """Neither the same nor another imaging set takes it out again; deleted, it alone is made again."""

    def done() -> list[str]:
        return [line for line in run.journal if line]  # without the check of the flagging options

    before = done()
    assert run.run(**OPTIONS) == 0
    assert done() == before
    shutil.rmtree(run.work / "results/facetimage/target/target_calibrated_data_chunk1.ms")
    assert run.run(**OPTIONS) == 0
    again = done()[len(before) :]
    assert again[-1] == "target_calibrated_data_chunk1.ms"
    assert len(again) == 3, "two parts with a model each, and their sum"


def test_flags_stay_out_of_the_chunks(run: Any) -> None:
    """What the user flags is flagged where data are solved and imaged, and nowhere else."""
    for chunk in (run.work / "chunks").rglob("*.ms"):
        assert not _column(chunk, "FLAG").reshape(-1, 10, 4, 4)[:, 0].all()
    for ms in (run.work / "results/facetimage/target").glob("*.ms"):
        flags = _column(ms, "FLAG")
        assert flags.reshape(-1, 10, *flags.shape[1:])[:, 0].all()
    for title, command in run.commands:
        reads_chunks = "msin=" in command and "/chunks/" in command.split(" msout=")[0]
        edits = "difference" in title
        assert ("preflagger" in command) is (reads_chunks and not edits), title


def test_compression_only_where_nothing_is_subtracted(run: Any) -> None:
    """Differences, residuals and data at full resolution stay exact; what is solved and imaged is small."""
    compressed = {title for title, command in run.commands if "storagemanager=dysco" in command}
    assert any(title.startswith("facetselfcal east: take out the calibrator") for title in compressed)
    assert any(title.startswith("facetimage target: take out the calibrated") for title in compressed)
    assert not [t for t in compressed if any(w in t for w in ("difference", "residual", "unaveraged"))]
