"""Self-calibrations that must fail, or do no harm: a trial of the verdict on a simulated field.

    python tests/benchmarks/verdict_trials.py FIELD WORK [TRIAL ...]

FIELD is the folder of a field as tests/benchmarks/fields leaves it, with a finished run in
its folder work: the directions are taken from there, and the ionosphere of a very bright
source that is put into the data. Each trial spoils a copy of the data, runs Factor on one
direction, and tells what was found and whether anything was subtracted.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

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
[directions]
directions_file = {directions}
ndir_process = 1
faceting_radius_deg = 1.5
allow_reordering = False
[cluster]
ndir_per_node = auto
"""

ROW = "{name} {position} empty empty 512 0 0 LD empty empty empty False 0.1 0\n"

#: The direction that most trials spoil: its name in the finished run, and its source.
DIRECTION, SOURCE = "facet_patch_4", "Patch_4"


class Trial:
    """A copy of the data, to be spoilt."""

    def __init__(self, field: Path, folder: Path) -> None:
        self.field, self.data, self.work = field, folder / "ms", folder / "work"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(field / "data/ms", self.data)
        rows = (field / "work/factor_directions.txt").read_text().splitlines(keepends=True)
        self.comments = [row for row in rows if row.startswith("#")]
        named = {row.split()[0]: row for row in rows if row.split() and not row.startswith("#")}
        self.rows = [named.pop(DIRECTION), *named.values()]
        self.directions = folder / "directions.txt"
        self.options: tuple[str, ...] = ("-s", "1")

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

    def dp3(self, ms: Path, *steps: str) -> None:
        """Change the residual data by steps of DP3."""
        command = [
            str(find_tools().dp3), f"msin={ms}", "msin.datacolumn=SUBTRACTED_DATA_ALL",
            "msout=.", "msout.datacolumn=SUBTRACTED_DATA_ALL", *steps,
        ]
        subprocess.run(command, check=True, capture_output=True)

    def run(self) -> None:
        """Run Factor."""
        self.directions.write_text("".join([*self.comments, *self.rows]))
        parset = self.directions.with_name("factor.parset")
        parset.write_text(
            PARSET.format(work=self.work, data=self.data, directions=self.directions)
        )
        subprocess.run([sys.executable, "bin/runfactor", "-q", *self.options, str(parset)], check=False)

    def tell(self, name: str) -> None:
        """Say what the verdict was, what it rests on, and whether anything was subtracted."""
        direction = self.rows[0].split()[0]
        subtracted = (self.work / f"state/facetsub/{direction}.json").exists()
        sys.stdout.write(f"== {name}: {'SUBTRACTED' if subtracted else 'nothing subtracted'}\n")
        for operation in ("facetselfcal", "facetselfcal_retry"):
            path = self.work / f"state/{operation}/{direction}.json"
            if path.exists():
                record = json.loads(path.read_text())
                found = record["results"].get("verdict", {"checks": [], "good": record["error"]})
                sys.stdout.write(f"   {operation}: good: {found['good']}\n")
                for check in found["checks"]:
                    mark = "  " if check["passed"] else "X "
                    value = float("nan") if check["value"] is None else check["value"]
                    sys.stdout.write(f"   {mark}{check['name']} {value:.3f} ({check['limit']})\n")
        sys.stdout.flush()


def good(_: Trial) -> None:
    """Nothing is spoilt."""


def _brighter(parts: list[str]) -> None:
    parts[5] = str(3.0 * float(parts[5]))


def _displaced(parts: list[str]) -> None:
    sign, rest = (parts[4][0], parts[4][1:]) if parts[4][0] in "+-" else ("+", parts[4])
    degrees, minutes, seconds = rest.split(".", 2)
    total = float(minutes) * 60.0 + float(seconds) + 10.0
    parts[4] = f"{sign}{degrees}.{int(total // 60):02d}.{total % 60:07.4f}"


def _mismatch(change: Callable[[list[str]], None]) -> Callable[[Trial], None]:
    """A sky model that is wrong, and not what was subtracted."""
    return lambda trial: trial.change_source(SOURCE, change)


def _wrong(change: Callable[[list[str]], None]) -> Callable[[Trial], None]:
    """A sky model that is wrong, and was subtracted."""

    def spoil(trial: Trial) -> None:
        before = {model: model.read_bytes() for model in trial.models}
        trial.change_source(SOURCE, change)
        for ms in trial.sets:
            old = ms.with_suffix(".old.skymodel")
            new = ms.with_suffix(".new.skymodel")
            old.write_bytes(before[ms.with_suffix(".merge")])
            new.write_bytes(ms.with_suffix(".merge").read_bytes())
            steps = ["steps=[a,b]"]
            for step, model, operation in (("a", old, "add"), ("b", new, "subtract")):
                steps += [f"{step}.type=predict", f"{step}.sourcedb={model}",
                          f"{step}.sources=[{SOURCE}]", f"{step}.operation={operation}"]
            trial.dp3(ms, *steps)
            old.unlink()
            new.unlink()

    return spoil


def faint(trial: Trial) -> None:
    """A calibrator of 0.06 Jy; with the second attempt, and all that follows."""
    trial.options = ()
    trial.rows.insert(0, ROW.format(name="faint", position="14h37m14s,+51d14m58.6s"))


def beside(trial: Trial) -> None:
    """A calibrator of 0.28 Jy, 8' from one of 15 Jy with an ionosphere of its own."""
    trial.rows.insert(0, ROW.format(name="weak", position="14h22m20.8s,+51d45m28.4s"))
    solutions = trial.field / "work/results/facetsub/facet_patch_8/combined_solutions_filled.h5"
    line = "bright{n},POINT,{patch},14:22:20.8,+51.53.28.0,15.0,[-0.7],false,144000000,,,\n"
    source = trial.data.parent / "bright.skymodel"
    header = trial.models[0].read_text().splitlines()[0] + "\n"
    source.write_text(header + ", , facet_patch_8, 14:22:20.8, +51.53.28.0\n"
                      + line.format(n=0, patch="facet_patch_8"))
    for ms in trial.sets:
        trial.dp3(
            ms, "steps=[a,b]", "a.type=h5parmpredict", f"a.sourcedb={source}", "a.operation=add",
            "a.directions=[[facet_patch_8]]", f"a.applycal.parmdb={solutions}",
            "a.applycal.steps=[p,s,g]", "a.applycal.p.correction=phase000",
            "a.applycal.correction=phase000",
            "a.applycal.s.correction=phase001", "a.applycal.g.correction=amplitude000",
            "b.type=predict", f"b.sourcedb={source}", "b.operation=subtract",
        )  # fmt: skip
        with ms.with_suffix(".merge").open("a") as model:
            model.write(", , Patch_bright, 14:22:20.8, +51.53.28.0\n")
            model.write(line.format(n=1, patch="Patch_bright"))


def _mad(gain: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Callable[[Trial], None]:
    """A station whose gains make no sense."""

    def spoil(trial: Trial) -> None:
        from casacore.tables import table

        random = np.random.default_rng(1)
        for ms in trial.sets:
            with table(str(ms), readonly=False, ack=False) as main:
                times, where = np.unique(main.getcol("TIME"), return_inverse=True)
                full, rest = main.getcol("DATA"), main.getcol("SUBTRACTED_DATA_ALL")
                gains = gain(random, (len(times), full.shape[1]))[where][:, :, None]
                one, two = main.getcol("ANTENNA1") == 5, main.getcol("ANTENNA2") == 5
                factor = np.where(one[:, None, None], gains, 1.0)
                factor = factor * np.where(two[:, None, None], gains.conj(), 1.0)
                main.putcol("SUBTRACTED_DATA_ALL", (full * factor - (full - rest)).astype(np.complex64))

    return spoil


def _random_phases(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(2j * np.pi * random.random(shape))


def _tenfold(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return 10.0 * _random_phases(random, shape)


TRIALS: dict[str, Callable[[Trial], None]] = {
    "good": good,
    "faint": faint,
    "beside": beside,
    "random_phases": _mad(_random_phases),
    "tenfold_and_random": _mad(_tenfold),
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
