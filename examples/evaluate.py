"""Hold a run against the truth of its simulated field: ``python examples/evaluate.py DIR``.

DIR holds ``data`` (made by simulate.py), ``factor.parset`` and ``work`` (made by runfactor).
Images the same facets from the field without direction-dependent effects (``ideal``), with
those that perfect solutions would leave (``limit``), and from the uncorrected data (``di``),
measures them all, and leaves ``report.json`` and
``quickstart.png``. Run again, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

# So that a checkout works before anything is installed.
sys.path[:0] = [p for p in (str(Path(__file__).parent), str(Path(__file__).parents[1]))
                if p not in sys.path]

from evaluation import limit, mosaics, phases, references, results, table  # noqa: E402
from evaluation.costs import chunk_data_bytes, read_cost  # noqa: E402
from evaluation.truth import Truth, read_truth  # noqa: E402

from factor.cli.common import guarded  # noqa: E402
from factor.errors import InputError  # noqa: E402
from factor.operations.base import Field  # noqa: E402
from factor.operations.calibration.plan import make_plan  # noqa: E402
from factor.operations.calibration.solving import solutions_of  # noqa: E402
from factor.operations.imaging.facets import imaging_sets, operation_name  # noqa: E402
from factor.parset import load  # noqa: E402
from factor.products.images.image import Beam  # noqa: E402
from factor.products.images.plot import compare_images  # noqa: E402
from factor.state.records import Record  # noqa: E402
from factor.state.store import StateStore, as_json  # noqa: E402
from factor.tools.environment import prepare  # noqa: E402
from factor.workspace import FIELD  # noqa: E402


def evaluate(folder: Path, elapsed_s: float = math.nan) -> dict[str, Any]:
    """Evaluate the run in a folder and write its report and picture.

    Parameters
    ----------
    folder : Path
        As the module's description says.
    elapsed_s : float
        What the quickstart took until now; NaN where nobody knows.

    Returns
    -------
    dict
        The report, as it is in ``report.json``.

    Raises
    ------
    FactorError
        When the run is not finished, or a tool fails.
    """
    started = time.monotonic()
    prepare()
    truth = read_truth(folder / "data" / "truth")
    field = references.field_of_run(load(folder / "factor.parset"))
    record = _mosaic_record(field)
    calibrators = _calibrators(field, truth, mosaics.read_mosaic(_mosaic_folder(field)).beam)
    good = [c.source for c in calibrators if c.good]
    data = folder / "data"
    sets = {
        "ideal": data / "ideal",
        "limit": limit.make_limit_data(data, good, truth, data / "limit"),
        "di": data / _uncorrected(data),
    }
    fields = {"factor": field}
    for kind, mss in sets.items():
        print(f"imaging {folder / kind}", flush=True)
        fields[kind] = references.make_reference(references.Reference(folder / kind, mss), field)
    images = {kind: mosaics.read_mosaic(_mosaic_folder(one)) for kind, one in fields.items()}
    noise = mosaics.noise_of(images["ideal"], truth, field.geometry)
    sample = truth.sample(field.geometry, images["ideal"].beam, noise)
    measures = {
        kind: mosaics.measure(image, truth, field.geometry, sample, [c.source for c in calibrators])
        for kind, image in images.items()
    }
    work = field.workspace
    findings = results.Findings(
        measures=measures,
        seams={kind: _seams(one, measures[kind].noise_jy) for kind, one in fields.items()},
        calibrators=calibrators,
        beam=images["factor"].beam,
        cost=read_cost(folder / "cost.json", work.commands_log, chunk_data_bytes(field.observation)),
        wall_s=elapsed_s,
        calibrator_deg={s.name: s.distance_deg(s.nearest(good)) for s in sample} if good else {},
    )
    compare_images(
        ("Direction-independent", images["di"].flat.path),
        ("Factor", images["factor"].flat.path),
        {facet.name: facet.vertices for facet in field.facets if not facet.is_patch},
        folder / "quickstart.png",
        noise=measures["factor"].noise_jy,
    )
    findings = replace(findings, wall_s=elapsed_s + time.monotonic() - started)
    report = {"mosaic_finished": record.finished, **results.make_report(findings)}
    (folder / "report.json").write_text(json.dumps(as_json(report), indent=1) + "\n")
    return report


def _uncorrected(data: Path) -> str:
    """Which data DI is made from: those of the run, less the outlier, which is easily peeled."""
    return "without_outlier" if (data / "without_outlier").is_dir() else "ms"


def _mosaic_operation(field: Field) -> str:
    """Name of the mosaic that is measured: that of the first set of imaging parameters."""
    return operation_name("fieldmosaic", imaging_sets(field.settings)[0], field.settings)


def _mosaic_folder(field: Field) -> Path:
    return field.workspace.products(_mosaic_operation(field), FIELD)


def _mosaic_record(field: Field) -> Record:
    record = StateStore(field.workspace).load(_mosaic_operation(field), FIELD)
    if record is None or record.status != "done":
        raise InputError(
            f"{field.workspace.root}: the run has no finished mosaic",
            f"run runfactor {field.settings.path} to its end first",
        )
    return record


def _seams(field: Field, noise_jy: float) -> list[float]:
    return [seam["difference_jy"] / noise_jy for seam in _mosaic_record(field).results["seams"]]


def _calibrators(field: Field, truth: Truth, beam: Beam) -> list[results.CalibratorOf]:
    """The true sources of the directions that were self-calibrated and have a facet.

    Their solutions are those that stand subtracted, of whichever round, and those of the first where
    nothing is subtracted.
    """
    store = StateStore(field.workspace)
    found = []
    for facet in field.facets:
        record = store.load("facetselfcal", facet.name)
        if facet.is_patch or record is None or record.status != "done":
            continue
        direction = facet.direction
        source = truth.calibrator(direction.ra_deg, direction.dec_deg, direction.cal_size_deg or 0.0)
        plan = make_plan(field, facet, float(record.results["flux_jy"]))
        thermal = phases.ThermalLimit(
            flux_jy=source.apparent_jy,
            visibility_noise_jy=truth.visibility_noise_jy,
            n_samples=truth.n_channels * plan.solve.solint_fast,
            min_uv_lambda=field.settings.calibration.solve_min_uv_lambda,
        )
        subtracted = store.load("facetsub", facet.name)
        good = subtracted is not None and subtracted.status == "done"
        products = field.workspace.products("facetsub" if good else "facetselfcal", facet.name)
        h5parm = solutions_of(products, facet.name).h5parm
        error = phases.direction_error(
            h5parm, truth.effects, source.name, field.observation.mid_freq_hz, thermal
        )
        isolated = truth.isolated(source, beam)
        found.append(results.CalibratorOf(facet.name, source, isolated, good, error))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evaluate.py", description="Hold a run against the truth of its simulated field."
    )
    parser.add_argument("dir", type=Path, help="folder with data, factor.parset and work")
    parser.add_argument("--elapsed", type=float, default=math.nan, metavar="SECONDS",
                        help="what the quickstart took until now")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Evaluate; the exit status is 1 when that failed, 2 for wrong usage or input."""

    def action() -> None:
        arguments = _parser().parse_args(argv)
        report = evaluate(arguments.dir.absolute(), arguments.elapsed)
        table.show(report)
        print(f"{arguments.dir / 'report.json'}, {arguments.dir / 'quickstart.png'}")

    return guarded("evaluate.py", action)


if __name__ == "__main__":
    raise SystemExit(main())
