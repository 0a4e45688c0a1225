"""Peeling in whole runs with the fake tools: outliers, and a bright calibrator in a facet."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.directions.file import format_position
from factor.errors import InputError
from factor.products.models.skymodel import read
from factor.products.solutions.normalising import normalisation_factor
from factor.products.solutions.soltabs import read_soltabs
from tests.fakes import dp3
from tests.operations.test_rules import column, dp3_calls, images, results, steps

SOLTABS = ["phase000", "phase001", "amplitude000"]
OUTLIER = (219.0, 53.2)
WEST = (217.5 - 0.3 / np.cos(np.radians(52.0)), 51.9)


def write_model(path: Path, position: tuple[float, float], flux_jy: float) -> Path:
    ra, dec = format_position(*position).split(",")
    ra = ra.replace("h", ":").replace("m", ":").rstrip("s")
    dec = dec.replace("d", ".").replace("m", ".").rstrip("s")
    path.write_text(
        "FORMAT = Name, Type, Patch, Ra, Dec, I, ReferenceFrequency='150e6', SpectralIndex='[]'\n"
        f", , s, {ra}, {dec}\ns0, POINT, s, {ra}, {dec}, {flux_jy}, , [-0.8]\n"
    )
    return path


def write_row(path: Path, name: str, position: tuple[float, float], model: str = "empty") -> Path:
    path.write_text(f"{name} {format_position(*position)} False False 128 0 0 LD empty empty {model} True\n")
    return path


def peeling(run: Any) -> dict[str, str]:
    """Parset options with which a run peels an outlier and the calibrator of the west facet."""
    write_model(run.folder / "out.skymodel", OUTLIER, 30.0)
    write_model(run.folder / "west.skymodel", WEST, 40.0)
    outliers = write_row(run.folder / "outliers.txt", "out", OUTLIER, "out.skymodel")
    directions = (run.data / "directions.txt").read_text().splitlines()
    words = directions[1].split()
    words[10] = "west.skymodel"
    words[13] = "40000"
    (run.folder / "directions.txt").write_text("\n".join([directions[0], " ".join(words)]) + "\n")
    return {
        "directions__outliers_file": str(outliers),
        "directions__directions_file": str(run.folder / "directions.txt"),
    }


@pytest.fixture(scope="module")
def peeled(make_run: Callable[[], Any]) -> Any:
    """A run with an outlier and a peeled calibrator that came to its end."""
    run = make_run()
    assert run.run(**peeling(run)) == 0, (run.work / "factor.log").read_text()
    return run


def test_outliers_first_then_peeled_calibrators(peeled: Any) -> None:
    """What outshines the field goes before anything is self-calibrated beside it."""
    order = list(dict.fromkeys(title.split(":")[0] for title, _ in peeled.commands))
    wanted = ["outlierpeel out", "facetpeel west", "facetpeelimage west", "facetselfcal east"]
    assert [title for title in order if title in wanted] == wanted
    for path in (peeled.work / "chunks").rglob("*.ledger.json"):
        entries = json.loads(path.read_text())["entries"]
        assert [entry["direction"] for entry in entries] == ["out", "west", "east"]


def test_peeled_is_in_the_data_of_later_solves(peeled: Any) -> None:
    """Each extraction sees the subtractions before it: later directions are solved without it."""
    assert not (peeled.work / "results/facetselfcal/west").exists()
    assert results(peeled, "outlierpeel", "out")["verdict"]["good"]
    assert results(peeled, "facetpeelimage", "west")["verdict"]["good"]


def test_an_outlier_is_neither_imaged_nor_a_donor(peeled: Any) -> None:
    """Its solutions hold where nothing is imaged, and its phases are those of another sky."""
    assert not list(peeled.work.glob("results/facetimage*/out"))
    assert not any("/out/" in c for t, c in peeled.commands if t.startswith(("facetselfcal", "facetimage")))
    region = (peeled.work / "regions/facets_ds9.reg").read_text()
    assert "out" not in region.replace("outline", "")
    assert "out" in (peeled.work / "regions/calimages_ds9.reg").read_text()


def test_the_peeled_calibrator_gives_its_phases(peeled: Any) -> None:
    """A facet's calibrator is a donor like any other: normalised phases, no amplitudes."""
    (calls) = dp3_calls(peeled, "facetselfcal east: take out the preapplied")
    assert calls
    for options in calls:
        (correct,) = steps(options, "applycal")
        assert correct["parmdb"].endswith("facetpeel/west/combined_solutions_norm_filled.h5")
        assert correct["steps"] == "[phase000,phase001]"


def _change(run: Any, name: str, model: str, kind: str) -> np.ndarray:
    """What a direction changed in the data, from the frozen copies beside its subtraction."""
    frozen = run.work / "results/facetsub" / name
    change = dp3.model_flux(frozen / model, 8)
    change = change * dp3.corruption(frozen / f"combined_solutions{kind}_filled.h5", SOLTABS)
    for initial in frozen.glob(f"{name}.initial*143*.skymodel"):
        change = change - dp3.model_flux(initial, 8)
    return change


def test_rule_4_what_was_peeled_can_be_added_back(peeled: Any) -> None:
    """Residual plus the frozen models, corrupted with the frozen solutions, is the input again."""
    change = (
        _change(peeled, "out", "out.apparent.skymodel", "_unnorm")
        + _change(peeled, "west", "west.new_facet_sources.skymodel", "_norm")
        + _change(peeled, "east", "east.new_facet_sources.skymodel", "")
    )
    for ms in sorted((peeled.work / "chunks").rglob("*_chunk?.ms")):
        channels = slice(0, 4) if "143MHz" in ms.name else slice(4, 8)
        back = column(ms, "CORRECTED_DATA") + change[channels][None, :, None]
        np.testing.assert_allclose(back, column(ms, "DATA"), atol=2e-6)


def test_an_outlier_that_no_model_had_has_nothing_to_give_back(peeled: Any) -> None:
    """The initial subtraction did not know it: there is no old model to be added."""
    for options in dp3_calls(peeled, "outlierpeel out"):
        assert not steps(options, "predict")
    assert len(dp3_calls(peeled, "facetsub out: predict the difference")) == 2


def test_rule_1_models_are_attenuated(peeled: Any) -> None:
    """The beam is far below one where the outlier lies, and nearly one in the field."""
    out = read(peeled.work / "results/outlierpeel/out/out.apparent.skymodel")
    west = read(peeled.work / "results/facetpeel/west/west.apparent.skymodel")
    assert 0.1 * 30 < out.flux_jy[0] < 0.8 * 30
    assert 0.9 * 40 < west.flux_jy[0] < 40
    assert out.spectral_index[0, 0] < -0.9


def test_rule_5_the_facet_gets_its_calibrator_back(peeled: Any) -> None:
    """What was subtracted is added, the calibrator included, and the normalised ones correct."""
    for options in dp3_calls(peeled, "facetimage west: take out"):
        (added,) = steps(options, "h5parmpredict")
        assert added["operation"] == "add"
        assert added["sourcedb"].endswith("facetsub/west/west.new_facet_sources.skymodel")
        assert added["applycal.parmdb"].endswith("facetsub/west/combined_solutions_norm_filled.h5")
        (correct,) = steps(options, "applycal")
        assert correct["parmdb"].endswith("facetsub/west/combined_solutions_norm.h5")
    assert results(peeled, "facetimage", "west")["solutions"] == "own"


def test_the_new_model_is_made_without_the_calibrator(peeled: Any) -> None:
    """The facet's image has the calibrator taken out; the model has it from the given one."""
    (options,) = dp3_calls(peeled, "facetpeelimage west: take out the facet, chunk0")[:1]
    (gone,) = steps(options, "h5parmpredict")
    assert gone["operation"] == "subtract"
    assert gone["sourcedb"].endswith("facetpeel/west/west.apparent.skymodel")
    assert gone["applycal.parmdb"].endswith("combined_solutions_unnorm_filled.h5")
    assert steps(options, "predict")[0]["operation"] == "add"
    assert len(images(peeled, "facetpeelimage west: image west.image_full")) == 1
    for name in ("image_full.fits", "wsclean_pre-image.fits", "wsclean_post-image.fits"):
        assert (peeled.work / f"results/facetpeelimage/west/west.{name}").exists()


def test_rule_7_both_kinds_of_solutions_are_the_same_data(peeled: Any) -> None:
    """Model times unnormalised gains is the new model times normalised ones, whose mean is one."""
    folder = peeled.work / "results/facetpeel/west"
    amplitudes = [
        read_soltabs(folder / f"combined_solutions{kind}.h5")["amplitude000"] for kind in ("_unnorm", "_norm")
    ]
    # One but for the weights of the image.
    assert normalisation_factor(amplitudes[1]) == pytest.approx(1.0, abs=0.02)
    scale = results(peeled, "facetpeel", "west")["amplitude_scale"]
    good = amplitudes[0].good
    assert amplitudes[0].values[good] / amplitudes[1].values[good] == pytest.approx(scale, rel=1e-6)
    assert abs(scale - 1.0) > 1e-4
    given = read(folder / "west.apparent.skymodel").flux_jy.sum()
    new = read(peeled.work / "results/facetpeelimage/west/west.new_facet_sources.skymodel")
    assert new.flux_jy.max() == pytest.approx(given * scale**2, rel=1e-6)


def test_the_dry_run_shows_what_is_peeled(peeled: Any, capfd: Any) -> None:
    """-d says what a run would do, in its order."""
    assert peeled.run("-d", **peeling(peeled)) == 0
    text = (peeled.work / "factor.log").read_text()
    assert "outlier: outlierpeel, facetsub: out (done)" in text
    assert "peeled: facetpeel, facetpeelimage, facetsub: west (done)" in text


def test_killed_while_peeling(make_run: Callable[[], Any], peeled: Any) -> None:
    """Commands of the peeled calibrator kill Factor: nothing is peeled twice, and the end is the same."""
    run = make_run()
    options = peeling(run)
    (run.tools / "die").write_text("peel.slow west.image_full difference")
    killed = 0
    while (status := run.run("-s", "1", cluster__ncpu="1", **options)) != 0:
        assert status == -signal.SIGKILL, (run.work / "factor.log").read_text()
        killed += 1
        assert killed < 40
    assert killed >= 5
    for one, other in zip(*(sorted((r.work / "chunks").rglob("*.ms")) for r in (run, peeled)), strict=True):
        np.testing.assert_allclose(column(one, "CORRECTED_DATA"), column(other, "CORRECTED_DATA"), atol=1e-5)


def test_a_failed_peeling_is_not_subtracted(make_run: Callable[[], Any]) -> None:
    """One direction's failure stops no other one when the settings say so; its facet borrows."""
    run = make_run()
    options = peeling(run)
    (run.tools / "fail").write_text("west.image_full")
    assert run.run("-s", "1", calibration__exit_on_selfcal_failure="False", **options) == 0
    for path in (run.work / "chunks").rglob("*.ledger.json"):
        entries = json.loads(path.read_text())["entries"]
        assert [entry["direction"] for entry in entries] == ["out", "east"]
    assert "west: peeling failed: step 'image west.image_full'" in (run.work / "factor.log").read_text()


def test_restored_from_the_input(peeled: Any, tmp_path: Path) -> None:
    """What was peeled, an outlier too, is subtracted from an archive's input as it was in the run."""
    folder, output = tmp_path / "archive", tmp_path / "out"
    assert peeled.call("archivefactor", str(peeled.folder / "factor.parset"), str(folder), "-d", "all") == 0
    script = folder / "script/restore_calibrated"
    assert peeled.script(script, str(peeled.data), str(output), "-d", "all") == 0
    names = [path.relative_to(folder) for path in (folder / "calibrated_data").glob("*/*.ms")]
    assert len(names) == 4
    for name in names:
        one, other = column(folder / name, "DATA"), column(output / name, "DATA")
        assert np.abs(one - other).max() < 1e-5 * np.abs(one).max()


def test_an_outlier_without_a_model(make_run: Callable[[], Any], capfd: Any) -> None:
    """It cannot be self-calibrated: an error before anything runs, naming file and row."""
    run = make_run()
    path = write_row(run.folder / "outliers.txt", "out", OUTLIER)
    assert run.run(directions__outliers_file=str(path)) == InputError.exit_status
    said = capfd.readouterr().err
    assert f"{path}, row 'out': the outlier has no model" in said
    assert not run.journal


def test_a_model_of_another_source(make_run: Callable[[], Any], capfd: Any) -> None:
    """A model at another place would be subtracted where nothing is."""
    run = make_run()
    write_model(run.folder / "m.skymodel", WEST, 30.0)
    path = write_row(run.folder / "outliers.txt", "out", OUTLIER, "m.skymodel")
    assert run.run(directions__outliers_file=str(path)) == InputError.exit_status
    assert "is not the direction out" in capfd.readouterr().err


def test_an_outlier_is_taken_out_of_the_selection(make_run: Callable[[], Any]) -> None:
    """A direction at the same place is that source: it is peeled only, with its initial model given back."""
    run = make_run()
    write_model(run.folder / "m.skymodel", WEST, 30.0)
    path = write_row(run.folder / "outliers.txt", "out", WEST, "m.skymodel")
    assert run.run("-s", "1", directions__outliers_file=str(path)) == 0
    assert not (run.work / "results/facetselfcal/west").exists()
    assert (run.work / "results/facetselfcal/east").exists()
    differences = dp3_calls(run, "facetsub out: predict the difference")
    assert differences
    for options in differences:
        (old,) = steps(options, "predict")
        assert old["operation"] == "subtract"
        assert list(read(Path(old["sourcedb"])).name) == ["west_0"]
    initial = next((run.work / "results/facetselfcal/east").glob("east.initial*143*"))
    assert "west_0" not in read(initial).name


def test_peeling_changed_in_a_run_that_has_begun(peeled: Any, capfd: Any) -> None:
    """A facet that stands subtracted one way cannot go on as if it had been the other way."""
    assert peeled.run(calibration__peel_flux_jy="100", **peeling(peeled)) == InputError.exit_status
    assert "changed: west" in capfd.readouterr().err
