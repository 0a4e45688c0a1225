"""Self-calibrations that must fail, or do no harm: trials of the verdict on a simulated field.

    python tests/benchmarks/verdict_trials.py FIELD WORK [TRIAL ...]

FIELD is a folder of examples/simulate.py, which is left as it is. Each trial spoils a copy of
its data, runs Factor on one direction (``good``: on four), and tells what the verdict found,
whether anything was subtracted, and how far the calibrator's new model is from the truth.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, "examples")

from simulation.sky import dms, hms

from factor.products.models.skymodel import read
from factor.tools.environment import find_tools, prepare

prepare()

PARSET = """
[global]
dir_working = {work}
dir_ms = {data}
chunk_size_sec = 1200
[calibration]
max_selfcal_loops = 2
exit_on_selfcal_failure = False
[imaging]
selfcal_cellsize_arcsec = 2.5
wsclean_image_padding = 1.2
make_mosaic = False
facet_cellsize_arcsec = 6
facet_taper_arcsec = 25
[directions]
directions_file = {directions}
ndir_process = {number}
faceting_radius_deg = 1.5
allow_reordering = False
[cluster]
ndir_per_node = auto
"""

HEADER = (
    "# name position mscale_selfcal_do mscale_facet_do cal_imsize solint_ph solint_amp dynamic_range "
    "region_selfcal region_facet peel_skymodel outlier_source cal_size_deg cal_flux_mjy\n"
)
ROW = "{name} {position} empty empty 512 0 0 LD empty empty empty False 0.05 0\n"

#: Apparent flux density from which sources are directions, and those of the trials' calibrators, Jy.
DIRECTION_JY, USUAL_JY, WEAK_JY = 0.35, 0.8, 0.28
#: Sources with a neighbour within this distance serve no trial, degrees.
ALONE_DEG = 0.15

Source = dict[str, Any]


def apparent_jy(source: Source) -> float:
    """In the middle of the band."""
    return float(np.mean(source["apparent_flux_jy"]))


def distance_deg(one: Source, other: Source) -> float:
    """On the plane of the sky."""
    east = (one["ra_deg"] - other["ra_deg"]) * np.cos(np.radians(one["dec_deg"]))
    return float(np.hypot(east, one["dec_deg"] - other["dec_deg"]))


def position(source: Source) -> str:
    """As the directions file has it."""
    ra, dec = hms(source["ra_deg"]).split(":"), dms(source["dec_deg"]).split(".", 2)
    return f"{ra[0]}h{ra[1]}m{ra[2]}s,{dec[0]}d{dec[1]}m{dec[2]}s"


class Trial:
    """A copy of the data, to be spoilt."""

    def __init__(self, field: Path, folder: Path) -> None:
        self.field, self.data, self.work = field, folder / "ms", folder / "work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(field / "ms", self.data)
        self.sources: list[Source] = json.loads((field / "truth/truth.json").read_text())["sources"]
        self.directions = [s for s in self.sources if apparent_jy(s) > DIRECTION_JY]
        self.calibrate(USUAL_JY)
        self.number, self.options = 1, ("-s", "1")

    def calibrate(self, flux_jy: float) -> None:
        """Choose the calibrator: the source that is alone and comes nearest to a flux."""
        alone = [
            source for source in self.sources
            if source["major_arcsec"] == 0
            and sorted(distance_deg(source, other) for other in self.sources)[1] > ALONE_DEG
        ]
        self.calibrator = min(alone, key=lambda s: abs(np.log(apparent_jy(s) / flux_jy)))
        others = [source for source in self.directions if source is not self.calibrator]
        self.directions = [self.calibrator, *others]

    @property
    def patch(self) -> str:
        """The calibrator's name in the sky models."""
        model = read(self.models[0])
        east = (model.ra_deg - self.calibrator["ra_deg"]) * np.cos(np.radians(model.dec_deg))
        return str(model.patch[np.argmin(np.hypot(east, model.dec_deg - self.calibrator["dec_deg"]))])

    @property
    def sets(self) -> list[Path]:
        return sorted(self.data.glob("*.ms"))

    @property
    def models(self) -> list[Path]:
        return sorted(self.data.glob("*.merge"))

    def change_source(self, patch: str, change: Callable[[list[str]], None]) -> None:
        """Change the fields of a source's components in all sky models."""
        for model in self.models:
            lines = model.read_text().splitlines()
            for number, line in enumerate(lines):
                parts = [part.strip() for part in line.split(",")]
                if parts[1:3] and parts[2] == patch and parts[0]:
                    change(parts)
                    lines[number] = ",".join(parts)
            model.write_text("\n".join(lines) + "\n")

    def dp3(self, ms: Path, *steps: str, column: str = "SUBTRACTED_DATA_ALL") -> None:
        """Change the residual data, or another column, by steps of DP3."""
        command = [
            str(find_tools().dp3), f"msin={ms}", f"msin.datacolumn={column}",
            "msout=.", f"msout.datacolumn={column}", *steps,
        ]
        subprocess.run(command, check=True, capture_output=True)

    def run(self) -> None:
        """Run Factor."""
        directions = self.data.parent / "directions.txt"
        rows = [ROW.format(name=s["name"], position=position(s)) for s in self.directions]
        directions.write_text(HEADER + "".join(rows))
        parset = directions.with_name("factor.parset")
        parset.write_text(
            PARSET.format(work=self.work, data=self.data, directions=directions, number=self.number)
        )
        subprocess.run([sys.executable, "bin/runfactor", "-q", *self.options, str(parset)], check=False)

    def tell(self, name: str) -> None:
        """Say what the verdicts were, what they rest on, and whether anything was subtracted."""
        for source in self.directions[: self.number]:
            direction = source["name"]
            subtracted = (self.work / f"state/facetsub/{direction}.json").exists()
            outcome = "SUBTRACTED" if subtracted else "nothing subtracted"
            sys.stdout.write(f"== {name}, {direction}, {apparent_jy(source):.2f} Jy: {outcome}\n")
            for operation in ("facetselfcal", "facetselfcal_retry"):
                path = self.work / f"state/{operation}/{direction}.json"
                if path.exists():
                    self._tell(source, operation, json.loads(path.read_text()))
        sys.stdout.flush()

    def _tell(self, source: Source, operation: str, record: dict[str, Any]) -> None:
        found = record["results"].get("verdict", {"checks": [], "good": record["error"]})
        sys.stdout.write(f"   {operation}: good: {found['good']}\n")
        for check in found["checks"]:
            mark = "  " if check["passed"] else "X "
            value = float("nan") if check["value"] is None else check["value"]
            sys.stdout.write(f"   {mark}{check['key']} {value:.3f} ({check['limit']})\n")
        products = self.work / f"results/{operation}/{source['name']}"
        model = products / f"{source['name']}.new_facet_sources.skymodel"
        if model.exists():
            sys.stdout.write(f"   new model: {compared(model, source)}\n")


def compared(model: Path, source: Source) -> str:
    """Flux and position of a source in a model, against the truth."""
    new = read(model)
    east = (new.ra_deg - source["ra_deg"]) * np.cos(np.radians(new.dec_deg)) * 3600.0
    north = (new.dec_deg - source["dec_deg"]) * 3600.0
    near = np.hypot(east, north) < 40.0
    flux_jy = new.flux_jy[near]
    if not flux_jy.sum() > 0:
        return "nothing at its place"
    away = np.hypot(east[near] @ flux_jy, north[near] @ flux_jy) / flux_jy.sum()
    return f"{flux_jy.sum() / apparent_jy(source):.3f} of its flux, {away:.2f} arcsec off"


def good(trial: Trial) -> None:
    """Nothing is spoilt; four directions."""
    trial.number, trial.options = 4, ("-s", "4")


def _brighter(parts: list[str]) -> None:
    parts[5] = str(3.0 * float(parts[5]))


def _displaced(parts: list[str]) -> None:
    sign, rest = (parts[4][0], parts[4][1:]) if parts[4][0] in "+-" else ("+", parts[4])
    degrees, minutes, seconds = rest.split(".", 2)
    total = float(minutes) * 60.0 + float(seconds) + 10.0
    parts[4] = f"{sign}{degrees}.{int(total // 60):02d}.{total % 60:07.4f}"


def _mismatch(change: Callable[[list[str]], None]) -> Callable[[Trial], None]:
    """A sky model that is wrong, and not what was subtracted."""
    return lambda trial: trial.change_source(trial.patch, change)


def _wrong(change: Callable[[list[str]], None]) -> Callable[[Trial], None]:
    """A sky model that is wrong, and was subtracted."""

    def spoil(trial: Trial) -> None:
        before = {model: model.read_bytes() for model in trial.models}
        trial.change_source(trial.patch, change)
        for ms in trial.sets:
            old = ms.with_suffix(".old.skymodel")
            new = ms.with_suffix(".new.skymodel")
            old.write_bytes(before[ms.with_suffix(".merge")])
            new.write_bytes(ms.with_suffix(".merge").read_bytes())
            steps = ["steps=[a,b]"]
            for step, model, operation in (("a", old, "add"), ("b", new, "subtract")):
                steps += [f"{step}.type=predict", f"{step}.sourcedb={model}",
                          f"{step}.sources=[{trial.patch}]", f"{step}.operation={operation}"]
            trial.dp3(ms, *steps)
            old.unlink()
            new.unlink()

    return spoil


def _add_source(trial: Trial, place: tuple[float, float], columns: tuple[str, str, str]) -> None:
    """A source with the ionosphere of another one, subtracted like all others.

    The place is in degrees; the columns are its type, what follows its place up to the reference
    frequency, and its patch.
    """
    kind, numbers, patch = columns
    where = {"ra_deg": place[0], "dec_deg": place[1]}
    (seen_as, *_) = (s["name"] for s in trial.sources if 0.3 < distance_deg(s, where) < 1.0)
    sky = f"{hms(place[0])}, {dms(place[1])}"
    line = f"{patch}{{n}},{kind},{{patch}},{sky},{numbers}\n"
    source = trial.data.parent / f"{patch}.skymodel"
    header = trial.models[0].read_text().splitlines()[0] + "\n"
    source.write_text(f"{header}, , {seen_as}, {sky}\n" + line.format(n=0, patch=seen_as))
    for ms in trial.sets:
        seen = (
            "a.type=h5parmpredict", f"a.sourcedb={source}", "a.operation=add",
            f"a.directions=[[{seen_as}]]", f"a.applycal.parmdb={trial.field / 'truth/effects.h5'}",
            "a.applycal.steps=[p,g]", "a.applycal.correction=phase000",
            "a.applycal.p.correction=phase000", "a.applycal.g.correction=amplitude000",
        )  # fmt: skip
        subtracted = ("b.type=predict", f"b.sourcedb={source}", "b.operation=subtract")
        trial.dp3(ms, "steps=[a]", *seen, column="DATA")
        trial.dp3(ms, "steps=[a,b]", *seen, *subtracted)
        with ms.with_suffix(".merge").open("a") as model:
            model.write(f", , {patch}, {sky}\n" + line.format(n=1, patch=patch))


def beside(trial: Trial) -> None:
    """A calibrator of 0.28 Jy, 8' from one of 15 Jy with an ionosphere of its own."""
    trial.calibrate(WEAK_JY)
    place = (trial.calibrator["ra_deg"], trial.calibrator["dec_deg"] + 8.0 / 60.0)
    _add_source(trial, place, ("POINT", "15.0,[-0.7],false,144000000,,,", "Patch_bright"))


def _new_calibrator(kind: str, flux_jy: float, shape: str) -> Callable[[Trial], None]:
    """A calibrator that is added 12' from the usual one; with the second attempt, and all that follows."""

    def spoil(trial: Trial) -> None:
        trial.options = ()
        place = (trial.calibrator["ra_deg"], trial.calibrator["dec_deg"] + 12.0 / 60.0)
        columns = (kind, f"{flux_jy},[-0.7],false,144000000,{shape}", "Patch_new")
        _add_source(trial, place, columns)
        trial.calibrator = {
            "name": "new", "ra_deg": place[0], "dec_deg": place[1], "apparent_flux_jy": [flux_jy],
        }  # fmt: skip
        trial.directions = [trial.calibrator, *trial.directions[1:]]

    return spoil


def _mad(gain: Callable[[np.random.Generator, tuple[int, int]], np.ndarray], station: int = 5
         ) -> Callable[[Trial], None]:  # fmt: skip
    """A station whose gains make no sense; they are told per time slot and channel."""

    def spoil(trial: Trial) -> None:
        from casacore.tables import table

        random = np.random.default_rng(1)
        for ms in trial.sets:
            with table(str(ms), readonly=False, ack=False) as main:
                times, where = np.unique(main.getcol("TIME"), return_inverse=True)
                full, rest = main.getcol("DATA"), main.getcol("SUBTRACTED_DATA_ALL")
                gains = gain(random, (len(times), full.shape[1]))[where][:, :, None]
                one, two = main.getcol("ANTENNA1") == station, main.getcol("ANTENNA2") == station
                factor = np.where(one[:, None, None], gains, 1.0)
                factor = factor * np.where(two[:, None, None], gains.conj(), 1.0)
                main.putcol("SUBTRACTED_DATA_ALL", (full * factor - (full - rest)).astype(np.complex64))
                main.putcol("DATA", (full * factor).astype(np.complex64))

    return spoil


def _random_phases(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return np.exp(2j * np.pi * random.random(shape))


def _random_clock(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Phases that are random in time alone."""
    return np.repeat(_random_phases(random, (shape[0], 1)), shape[1], axis=1)


def _half(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """The same, in the second half only."""
    gains = _random_clock(random, shape)
    gains[: shape[0] // 2] = 1.0
    return gains


def _tenfold(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return 10.0 * _random_phases(random, shape)


def _deaf(_: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """A twentieth of the signal."""
    return np.full(shape, 0.05 + 0j)


TRIALS: dict[str, Callable[[Trial], None]] = {
    "good": good,
    "faint": _new_calibrator("POINT", 0.05, ",,"),
    "resolved": _new_calibrator("GAUSSIAN", 0.18, "30,15,40"),
    "beside": beside,
    "random_phases": _mad(_random_phases),
    "random_phases_reference": _mad(_random_phases, station=0),
    "random_clock": _mad(_random_clock),
    "random_half": _mad(_half),
    "tenfold_and_random": _mad(_tenfold),
    "deaf": _mad(_deaf),
    "flux_mismatch": _mismatch(_brighter),
    "flux_wrong": _wrong(_brighter),
    "position_mismatch": _mismatch(_displaced),
    "position_wrong": _wrong(_displaced),
}


def main() -> None:
    """Run the trials that the command line names, or all."""
    field, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for name in sys.argv[3:] or list(TRIALS):
        trial = Trial(field, folder / name)
        TRIALS[name](trial)
        trial.run()
        trial.tell(name)
        shutil.rmtree(trial.data)


if __name__ == "__main__":
    main()
