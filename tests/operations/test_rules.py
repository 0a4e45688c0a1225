"""Sky, flux and bookkeeping in whole runs with the fake tools: the rules that break quietly."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factor.execution.step import file_digest
from factor.products.images.image import read_image
from factor.products.models.skymodel import read
from factor.products.solutions.normalising import normalisation_factor
from factor.products.solutions.soltabs import read_soltabs
from tests.fakes import dp3
from tests.fakes.observation import OPTIONS

SOLTABS = ["phase000", "phase001", "amplitude000"]


def words(command: str) -> list[str]:
    return [word for word in shlex.split(command) if word != "env"]


def dp3_calls(run: Any, title: str) -> list[Mapping[str, str]]:
    """Options of the DP3 commands whose title fits."""
    found = []
    for name, command in run.all_commands:
        if re.search(title, name) and "steps=" in command:
            found.append(dict(w.split("=", 1) for w in words(command) if "=" in w))
    return found


def steps(options: Mapping[str, str], kind: str) -> list[dict[str, str]]:
    """The steps of a kind, in order."""
    names = options["steps"].strip("[]").split(",")
    return [
        {k.removeprefix(f"{n}."): v for k, v in options.items() if k.startswith(f"{n}.")}
        for n in names
        if options[f"{n}.type"] == kind
    ]


def images(run: Any, title: str) -> list[list[str]]:
    return [words(c) for t, c in run.commands if re.search(title, t) and "-no-update-model-required" in c]


def value(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def results(run: Any, operation: str, direction: str) -> dict[str, Any]:
    return json.loads((run.work / "state" / operation / f"{direction}.json").read_text())["results"]


def column(ms: Path, name: str) -> np.ndarray:
    from casacore.tables import table

    with table(str(ms), ack=False) as main:
        return main.getcol(name)


@pytest.fixture(scope="module")
def borrowing(make_run: Callable[[], Any]) -> Any:
    """A run in which the self-calibration of one of two directions fails."""
    run = make_run()
    (run.tools / "fail").write_text("west.wsclean_image01")
    assert run.run(calibration__exit_on_selfcal_failure="False") == 0
    return run


def test_rule_1_no_prediction_applies_a_beam(finished: Any) -> None:
    """Data and models are apparent: a beam in any prediction would count it twice."""
    calls = dp3_calls(finished, "")
    assert len(calls) > 30
    for options in calls:
        for kind in ("predict", "h5parmpredict", "ddecal"):
            assert all(step["usebeammodel"] == "false" for step in steps(options, kind))
        assert not steps(options, "applybeam")
    assert sum(len(steps(options, "predict")) for options in calls) > 4


def test_no_pass_writes_into_its_input(finished: Any) -> None:
    """Only the ledger changes chunks: each DP3 run has an output of its own, or a null step."""
    for options in dp3_calls(finished, ""):
        if "msout" in options:
            assert "/chunks/" not in options["msout"]
            assert options["msout"] not in ("", ".")
        else:
            assert len(steps(options, "null")) == 1


def test_rule_3_flags_and_weights_stay(finished: Any) -> None:
    """Flags and weights of the chunks are those of the input, DATA is as it came."""
    for ms in sorted((finished.work / "chunks").rglob("*_chunk?.ms")):
        source = finished.data / (ms.name.rsplit("_chunk", 1)[0] + ".ms")
        times, own = column(source, "TIME"), column(ms, "TIME")
        rows = (times >= own.min()) & (times <= own.max())
        assert np.array_equal(column(ms, "FLAG"), column(source, "FLAG")[rows])
        assert np.array_equal(column(ms, "WEIGHT_SPECTRUM"), column(source, "WEIGHT_SPECTRUM")[rows])
        assert np.array_equal(column(ms, "DATA"), column(source, "SUBTRACTED_DATA_ALL")[rows])
        assert not np.array_equal(column(ms, "DATA"), column(ms, "CORRECTED_DATA"))


def test_rule_3_filled_for_prediction_flagged_for_imaging(finished: Any) -> None:
    """A flagged solution would flag what is predicted, and a filled one would image bad data."""
    for options in dp3_calls(finished, ""):
        for step in steps(options, "h5parmpredict"):
            assert step["applycal.parmdb"].endswith("_filled.h5")
    for options in dp3_calls(finished, "facetimage .*take out"):
        for step in steps(options, "applycal"):
            assert step["parmdb"].endswith("combined_solutions.h5")
    for direction in ("east", "west"):
        folder = finished.work / "results/facetselfcal" / direction
        flagged = read_soltabs(folder / "combined_solutions.h5")
        filled = read_soltabs(folder / "combined_solutions_filled.h5")
        assert not all(soltab.good.all() for soltab in flagged.values())
        assert all(soltab.good.all() for soltab in filled.values())


def _difference(run: Any, direction: str, n_channels: int) -> np.ndarray:
    """What a direction changed in the data, from what its subtraction left among the products."""
    frozen = run.work / "results/facetsub" / direction
    (initial,) = (run.work / "results/facetselfcal" / direction).glob(f"{direction}.initial*143*.skymodel")
    new = dp3.model_flux(frozen / f"{direction}.new_facet_sources.skymodel", n_channels)
    solutions = frozen / "combined_solutions_filled.h5"
    return new * dp3.corruption(solutions, SOLTABS) - dp3.model_flux(initial, n_channels)


def test_rule_4_what_was_subtracted_can_be_added_back(finished: Any) -> None:
    """Residual plus the frozen models, corrupted with the frozen solutions, is the input again."""
    chunks = sorted((finished.work / "chunks").rglob("*_chunk?.ms"))
    change = sum(_difference(finished, direction, 8) for direction in ("east", "west"))
    assert np.abs(change).min() > 1e-3
    for ms in chunks:
        channels = slice(0, 4) if "143MHz" in ms.name else slice(4, 8)
        back = column(ms, "CORRECTED_DATA") + change[channels][None, :, None]
        np.testing.assert_allclose(back, column(ms, "DATA"), atol=2e-6)


def test_rule_4_the_old_model_is_the_untouched_one(finished: Any) -> None:
    """What is taken away as the old model is what was subtracted in the beginning, uncorrupted."""
    calls = dp3_calls(finished, "facetsub west: predict the difference")
    assert len(calls) == 2
    for options in calls:
        (new,), (old,) = steps(options, "h5parmpredict"), steps(options, "predict")
        assert (new["operation"], old["operation"]) == ("replace", "subtract")
        mine = read(Path(old["sourcedb"]))
        model = read(next(finished.data.glob("*.merge")))
        assert set(mine.name) <= set(model.name)
        chosen = np.isin(model.name, mine.name)
        assert sorted(model.flux_jy[chosen]) == sorted(mine.flux_jy)


def test_rule_5_own_model_comes_back_corrupted(finished: Any) -> None:
    """A self-calibrated facet: the new model with its filled solutions, and no other."""
    for direction in ("east", "west"):
        calls = dp3_calls(finished, f"facetimage {direction}: take out")
        assert len(calls) == 2
        for options in calls:
            assert steps(options, "predict") == []
            (added,) = steps(options, "h5parmpredict")
            assert added["operation"] == "add"
            assert f"/{direction}.new_facet_sources.skymodel" in added["sourcedb"]
            assert f"/{direction}/combined_solutions_filled.h5" in added["applycal.parmdb"]
            (correct,) = steps(options, "applycal")
            assert f"/{direction}/combined_solutions.h5" in correct["parmdb"]
            assert options["msin.datacolumn"] == "CORRECTED_DATA"
        assert results(finished, "facetimage", direction)["solutions"] == "own"


def test_rule_5_failed_facet_gets_its_old_model(borrowing: Any) -> None:
    """Its old model stands subtracted: that comes back, uncorrupted; the neighbour's solutions correct."""
    calls = dp3_calls(borrowing, "facetimage west: take out")
    assert len(calls) >= 2
    for options in calls:
        assert steps(options, "h5parmpredict") == []
        (added,) = steps(options, "predict")
        assert added["operation"] == "add"
        assert "/west.initial" in added["sourcedb"]
        (correct,) = steps(options, "applycal")
        assert "/east/combined_solutions.h5" in correct["parmdb"]
        assert correct["steps"].strip("[]").split(",") == SOLTABS
    record = results(borrowing, "facetimage", "west")
    assert (record["solutions"], record["solutions_of"]) == ("borrowed", "east")


def test_rule_5_a_failed_direction_is_not_subtracted(borrowing: Any) -> None:
    """Only what was self-calibrated changes the data; the failure is told, the others go on."""
    for path in (borrowing.work / "chunks").rglob("*.ledger.json"):
        assert [entry["direction"] for entry in json.loads(path.read_text())["entries"]] == ["east"]
    state = json.loads((borrowing.work / "state/facetselfcal/west.json").read_text())
    assert state["status"] == "failed"
    assert "it was told to fail" in state["error"]
    assert "west: facetselfcal failed" in (borrowing.work / "factor.log").read_text()


def test_a_failure_stops_the_run_when_asked(make_run: Callable[[], Any], capfd: Any) -> None:
    """exit_on_selfcal_failure: one message with the tool's reason, and what is done is kept."""
    run = make_run()
    (run.tools / "fail").write_text("west.wsclean_image01")
    assert run.run() == 1
    said = capfd.readouterr().err
    assert "it was told to fail" in said
    assert "run again: it goes on with this step; or set exit_on_selfcal_failure = False" in said
    assert "[verdict]" not in said
    assert "Traceback" not in said
    assert results(run, "facetselfcal", "east")["verdict"]["good"]
    assert not (run.work / "results/facetimage").exists()
    (run.tools / "fail").unlink()
    before = len(run.journal)
    assert run.run() == 0
    assert not any(name.startswith("east.wsclean_image") for name in run.journal[before:])


def test_rule_6_no_component_lies_outside_its_facet(finished: Any) -> None:
    """What a facet's image finds beyond its polygon belongs to the neighbour's model."""
    from shapely.geometry import Point, Polygon

    from factor.directions.geometry import to_plane

    text = (finished.work / "regions/facets_ds9.reg").read_text()
    polygons = re.findall(r"polygon\(([^)]*)\).*?text=\{([^}]*)\}", text)
    assert len(polygons) == 2
    for corners, label in polygons:
        vertices = np.array(re.findall(r"-?\d+\.\d+", corners), float).reshape(-1, 2)
        name = next(n for n in ("east", "west") if n in label)
        folder = finished.work / "results/facetselfcal" / name
        model = read(folder / f"{name}.new_facet_sources.skymodel")
        assert len(model)
        centre = (217.5, 52.0)
        outline = Polygon(np.column_stack(to_plane(vertices[:, 0], vertices[:, 1], centre)))
        for x, y in np.column_stack(to_plane(model.ra_deg, model.dec_deg, centre)):
            assert outline.buffer(12 / 3600).contains(Point(x, y))


def test_rule_6_models_come_from_masked_images(finished: Any) -> None:
    """Each image whose components enter a model is cleaned within a mask."""
    lists = [argv for argv in images(finished, "") if "-save-source-list" in argv]
    assert len(lists) >= 8
    assert all("-fits-mask" in argv for argv in lists)


def test_rule_6_old_models_add_up(finished: Any) -> None:
    """Each source of the initial model is in exactly one facet, whole."""
    whole = read(next(finished.data.glob("*.merge")))
    parts = [
        read(next((finished.work / "results/facetselfcal" / name).glob(f"{name}.initial*143*.skymodel")))
        for name in ("east", "west")
    ]
    assert sorted(name for part in parts for name in part.name) == sorted(whole.name)
    assert sum(part.flux_jy.sum() for part in parts) == pytest.approx(whole.flux_jy.sum())


def test_rule_7_the_mean_gain_is_one(finished: Any) -> None:
    """One factor over chunks, bands and stations: the calibrator keeps its flux."""
    path = finished.work / "results/facetselfcal/east/combined_solutions.h5"
    soltabs = read_soltabs(path)
    amplitude = soltabs["amplitude000"]
    assert normalisation_factor(amplitude, None, soltabs["phase001"]) == pytest.approx(1.0, abs=0.01)
    chunks = np.array_split(amplitude.values, 2)
    means = [np.nanmean(np.log(chunk)) for chunk in chunks]
    assert abs(means[0] - means[1]) > 1e-6


def test_rule_8_new_models_have_spectra(finished: Any) -> None:
    """With two bands, too: two output channels, a fit, and an index in the model."""
    for argv in images(finished, "facetselfcal .*(wsclean_image|image_full)"):
        assert int(value(argv, "-channels-out")) >= 2
        assert int(value(argv, "-fit-spectral-pol")) >= 2
    text = (finished.work / "results/facetselfcal/east/east.new_facet_sources.skymodel").read_text()
    assert "SpectralIndex" in text
    assert "-0.7" in text


def test_rule_10_one_restoring_beam_turned_with_north(finished: Any) -> None:
    """All facets are restored with the field's beam; its angle follows each facet's north."""
    from factor.products.images.mosaic import turned_position_angle

    beam = results(finished, "facetimage", "field")["beam"]
    angles = {}
    for name in ("east", "west"):
        (argv,) = images(finished, f"facetimage {name}: image")
        at = argv.index("-beam-shape")
        major, minor, angle = (float(re.sub("[a-z]", "", word)) for word in argv[at + 1 : at + 4])
        assert (major, minor) == pytest.approx(beam[:2], abs=1e-4)
        centre = dp3.read(Path(argv[-1]), "DATA").centre
        assert angle == pytest.approx(turned_position_angle(beam[2], centre, (217.5, 52.0)), abs=1e-3)
        angles[name] = angle
    assert abs(angles["east"] - angles["west"]) > 0.1
    psf = [title for title, command in finished.commands if "-make-psf-only" in command]
    assert len(psf) == 1


def test_rule_11_collapsed_model_is_for_the_first_solve_alone(finished: Any) -> None:
    """Later solves have the components of the images, as a whole held in place."""
    for options in dp3_calls(finished, "facetselfcal .*solve"):
        (solve,) = steps(options, "ddecal")
        cycle = re.search(r"cycle(\d+)", solve["h5parm"])
        assert cycle is not None
        number = int(cycle[1])
        assert ("start.skymodel" in solve["sourcedb"]) == (number == 1)
        if number > 1:
            assert f"cycle{number - 1:02d}.held.skymodel" in solve["sourcedb"]
    for options in dp3_calls(finished, "difference|residual|take out"):
        assert not any("start.skymodel" in v for v in options.values())


def test_rule_12_the_donor_does_not_preapply(finished: Any) -> None:
    """The first direction is solved as it is; the next ones may be after its phases alone."""
    for options in dp3_calls(finished, "facetselfcal (east|west): take out the calibrator"):
        assert steps(options, "applycal") == []
    assert dp3_calls(finished, "facetselfcal east: take out the preapplied") == []
    assert results(finished, "facetselfcal", "east")["preapplied"] == ""
    calls = dp3_calls(finished, "facetselfcal west: take out the preapplied")
    assert len(calls) == 2
    for options in calls:
        (before,) = steps(options, "applycal")
        assert "/east/combined_solutions_filled.h5" in before["parmdb"]
        assert before["steps"].strip("[]").split(",") == ["phase000", "phase001"]
    preapplied = results(finished, "facetselfcal", "west")["preapplied"]
    assert preapplied in ("", "east")
    for options in dp3_calls(finished, "facetselfcal west: solve"):
        assert (".preapplied_" in options["msin"]) == (preapplied == "east")


def test_rule_12_final_solutions_hold_the_donors_phases(finished: Any) -> None:
    """Whoever corrects with the second direction's solutions applies no other before them."""
    for options in dp3_calls(finished, "facetimage|difference|take out the facet"):
        assert len(steps(options, "applycal")) <= 1
        assert len(steps(options, "h5parmpredict")) <= 1


def test_rule_12_without_preapplying(make_run: Callable[[], Any]) -> None:
    """preapply_first_cal_phases = False: every direction is solved as it is."""
    run = make_run()
    assert run.run("-s", "2", calibration__preapply_first_cal_phases="False") == 0
    assert dp3_calls(run, "take out the preapplied") == []
    for options in dp3_calls(run, "take out the calibrator"):
        assert steps(options, "applycal") == []


def test_the_mosaic_is_checked(finished: Any) -> None:
    """Every run holds the mosaic against what is known of the field, and says how it came out."""
    found = results(finished, "fieldmosaic", "field")
    assert {s["reference"] for s in found["check"]} == {"initial sky model"}
    assert found["seam_summary"]["edges"] == len(found["seams"])
    folder = finished.work / "results/fieldmosaic/field"
    for name in ("check.csv", "check.png", "provenance.txt", "correct_mosaic.pbcut.png"):
        assert (folder / f"field.{name}").stat().st_size > 0, name
    text = (finished.work / "factor.log").read_text()
    assert re.search(r"mosaic: \d+ of \d+ sources of the initial sky model found", text)
    assert "mosaic: steps between facets: " in text
    header = read_image(folder / "field.correct_mosaic.pbcor.fits").header
    assert "versions: Factor 2" in str(header["HISTORY"])
    assert f"parset {finished.work.parent}" in str(header["HISTORY"]).replace("\n", "")


def test_a_catalogue_places_starting_models(make_run: Callable[[], Any], tmp_path: Path) -> None:
    """A run reads it, moves the calibrator, keeps in mind which it was; another field's is refused."""
    run, catalogue = make_run(), tmp_path / "catalogue.csv"
    ra, dec = OPTIONS.ra_deg + 0.3 / np.cos(np.radians(OPTIONS.dec_deg)), OPTIONS.dec_deg + 0.1
    catalogue.write_text(f"RA,DEC,Flux\n{ra},{dec + 3.0 / 3600.0},1e4\n")
    changes = {"calibration__astrometry_catalogue": str(catalogue), "directions__ndir_process": "1"}
    assert run.run("-s", "1", **changes) == 0
    text = (run.work / "factor.log").read_text()
    assert "astrometry_catalogue: 1 sources in the field" in text
    assert "east: the starting model is moved by" in text
    record = json.loads((run.work / "state/facetselfcal/east.json").read_text())
    assert record["settings"]["astrometry_catalogue"] == file_digest(catalogue)
    catalogue.write_text("RA,DEC,Flux\n10,10,1\n")
    assert run.run("-s", "1", **changes) == 2
