"""How a calibrator's flux moves over cycles with slow gains: ``python flux_scale.py FOLDER``.

Simulates a double source seen by 15 stations for 20 minutes in two bands, with phases
that change fast, gains that change slowly and differ most for remote stations, and
noise; self-calibrates it from a good model, as facetselfcal does; and prints the flux
after each cycle over that of the last image with phases alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from simulation import measurementset as msets
from simulation.geometry import Sky, choose_stations

from factor.operations.calibration import solving
from factor.products.images.image import read_image
from factor.products.models.clean_models import model_from_clean
from factor.products.solutions import combining
from factor.products.solutions.imageweights import Weighting, read_image_weights, write_image_weights
from factor.products.solutions.normalising import normalisation_factor
from factor.products.solutions.soltabs import read_soltabs
from factor.tools.command import Command
from factor.tools.dp3 import ApplyCal, Average, DDECal, DP3Run, Predict, dp3_command
from factor.tools.environment import find_tools, prepare
from factor.tools.runner import run
from factor.tools.wsclean import WSClean, wsclean_command
from factor.tuning.intervals import CORE_LAMBDA

N_STATIONS, N_SLOTS, INTERVAL_S = 15, 150, 8.0
BANDS = [freq + 0.244e6 * np.arange(8) for freq in (132e6, 150e6)]
RA_DEG, DEC_DEG, NAME = 217.5, 52.0, "calibrator"
SKY = (
    "FORMAT = Name, Type, Patch, Ra, Dec, I, SpectralIndex='[]', LogarithmicSI, ReferenceFrequency='141e6'\n"
    f", , {NAME}, 14:30:00.0, 52.00.00.0\n"
    f"a, POINT, {NAME}, 14:30:00.0, 52.00.00.0, 1.5, [-0.7], true, 141e6\n"
    f"b, POINT, {NAME}, 14:30:02.0, 52.00.12.0, 0.8, [-0.7], true, 141e6\n"
)
NOISE_JY = 0.35
#: By how much the gains of remote stations are low, which only slow gains can find out.
REMOTE_LOSS = 0.05
PHASE_CYCLES, GAIN_CYCLES = 2, 10
SLOTS_FAST, SLOTS_SLOW = 2, 30
WEIGHTING = Weighting(512, 1.5, -0.5, 80.0)


class Trial:
    """One simulated observation and what is done to it."""

    def __init__(self, folder: Path) -> None:
        prepare()
        folder.mkdir(parents=True)
        self.folder, self.tools = folder, find_tools()
        self.skymodel = folder / "truth.skymodel"
        self.skymodel.write_text(SKY)
        stations = choose_stations(N_STATIONS, 60.0)
        sky = Sky(stations[0].position, *np.radians([RA_DEG, DEC_DEG]))
        self.times = np.round(sky.time_of_hour_angle(0.0)) + INTERVAL_S * np.arange(N_SLOTS)
        uvw = sky.station_uvw(self.times, np.array([s.position for s in stations]))
        where = np.radians([RA_DEG, DEC_DEG])
        self.observed = msets.Observed(tuple(stations), *where, "test", self.times, INTERVAL_S, uvw)
        self.remote = np.array([s.name.startswith("RS") for s in stations])
        self.mss = [self._observe(i, freqs) for i, freqs in enumerate(BANDS)]

    def call(self, command: Command) -> None:
        result = run(command, self.folder / "log", self.folder / "log")
        if result.error:
            raise SystemExit(result.error)

    def dp3(self, task: DP3Run) -> None:
        self.call(dp3_command(self.tools, task))

    def _observe(self, number: int, freqs: Any) -> Path:
        empty, path = self.folder / f"empty{number}.ms", self.folder / f"band{number}.ms"
        flags = np.zeros((N_SLOTS * self.observed.n_baselines, len(freqs)), dtype=bool)
        msets.make_ms(empty, self.observed, freqs, flags)
        self.dp3(DP3Run((empty,), "DATA", (Predict(self.skymodel, "replace"),), path))
        data = msets.read_column(path, "DATA").reshape(N_SLOTS, -1, len(freqs), 4)
        first, second = self.observed.pairs
        gains = self._gains(freqs)
        gp, gq = gains[:, first], gains[:, second].conj()
        data = data * (gp[..., :, None] * gq[..., None, :]).reshape(data.shape)
        rng = np.random.default_rng(number)
        data = data + NOISE_JY * (rng.normal(size=data.shape) + 1j * rng.normal(size=data.shape))
        msets.write_column(path, "DATA", data.reshape(-1, len(freqs), 4).astype(np.complex64))
        return path

    def _gains(self, freqs: Any) -> Any:
        """(time, ant, freq, pol); the same random numbers in every band."""
        rng = np.random.default_rng(99)
        hours = (self.times - self.times[0])[:, None, None, None] / 3600.0
        shape = (1, N_STATIONS, 1, 2)
        spread = np.where(self.remote, 0.1, 0.05)[None, :, None, None]
        level = spread * rng.normal(size=shape) - np.where(self.remote, REMOTE_LOSS, 0.0)[None, :, None, None]
        wave = 0.05 * np.sin(2 * np.pi * (hours / 0.5 + rng.uniform(size=shape)))
        slow = 0.15 * rng.normal(size=shape) + 0.1 * np.sin(2 * np.pi * (hours + rng.uniform(size=shape)))
        walk = np.cumsum(rng.normal(0.0, 0.08, (N_SLOTS, N_STATIONS)), axis=0)
        walk *= np.where(self.remote, 1.0, 0.2)
        fast = walk[:, :, None, None] * (141e6 / freqs)[None, None, :, None]
        return np.exp(level + wave + 1j * (slow + fast))

    def solve(self, mode: str, model: Path, fast: Path | None, h5parm: Path) -> tuple[combining.Piece, ...]:
        ddecal = DDECal(
            h5parm=h5parm, sourcedb=model, mode=mode, directions=(NAME,),
            solint=SLOTS_SLOW if fast else SLOTS_FAST, nchan=8,
            smoothnessconstraint=0.0 if fast else 5e6, uvlambdamin=CORE_LAMBDA if fast else 80.0,
            maxiter=solving.MAX_ITERATIONS, tolerance=solving.TOLERANCE, stepsize=solving.STEP_SIZE,
            propagatesolutions=True, solveralgorithm=solving.ALGORITHM,
        )  # fmt: skip
        steps = (ApplyCal(fast, solving.PHASES), ddecal) if fast else (ddecal,)
        self.dp3(DP3Run(tuple(self.mss), "DATA", steps, None, (h5parm,)))
        start, end = self.times[0] - 0.5 * INTERVAL_S, self.times[-1] + 0.5 * INTERVAL_S
        return (combining.Piece(h5parm, start, end, 0),)

    def image(self, label: str, h5parm: Path | None, soltabs: tuple[str, ...]) -> tuple[Path, float, float]:
        """The model, the peak and the flux within 40 arcsec."""
        corrected = self.folder / f"{label}.ms"
        steps: Any = (ApplyCal(h5parm, soltabs), Average(1, 1)) if h5parm else (Average(1, 1),)
        self.dp3(DP3Run(tuple(self.mss), "DATA", steps, corrected))
        options = WSClean(
            name=self.folder / label, size=WEIGHTING.size, scale_arcsec=WEIGHTING.scale_arcsec,
            robust=WEIGHTING.robust, minuv_lambda=WEIGHTING.minuv_lambda, channels_out=2,
            spectral_terms=2, niter=20000, auto_mask=5.0, auto_threshold=1.0, save_source_list=True,
        )  # fmt: skip
        self.call(wsclean_command(self.tools, options, [corrected], threads=1, memory_gb=2.0))
        image = read_image(options.image)
        y, x = np.indices(image.data.shape)
        near = np.hypot(y - WEIGHTING.size // 2, x - WEIGHTING.size // 2) * WEIGHTING.scale_arcsec < 40.0
        beam = image.restoring_beam
        area = np.pi * beam.bmaj_deg * beam.bmin_deg / (4 * np.log(2)) * (3600 / WEIGHTING.scale_arcsec) ** 2
        model = self.folder / f"{label}.skymodel"
        model_from_clean(options.source_list, NAME, model)
        return model, float(image.data.max()), float(image.data[near].sum() / area)


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: Path) -> None:
    """Run the trial and print a line for each cycle."""
    trial = Trial(folder)
    weights = folder / "weights.npz"
    write_image_weights(trial.mss, WEIGHTING, weights)
    _, peak, flux = trial.image("cycle00", None, ())
    model = trial.skymodel
    tell(f"cycle 0: peak {peak:.4f}, flux {flux:.4f} Jy, true flux 2.3 Jy")
    anchor = (peak, flux)
    for number in range(1, PHASE_CYCLES + GAIN_CYCLES + 1):
        label = f"cycle{number:02d}"
        fast = folder / f"{label}.fast.h5"
        pieces = trial.solve("scalarphase", model, None, folder / f"{label}.fast.raw.h5")
        combining.merge_fast(pieces, NAME, (RA_DEG, DEC_DEG), fast)
        path, soltabs, note = fast, solving.PHASES, ""
        if number > PHASE_CYCLES:
            path, soltabs = folder / f"{label}.h5", solving.GAINS
            pieces = trial.solve("diagonal", model, fast, folder / f"{label}.slow.raw.h5")
            combining.add_slow(fast, pieces, True, weights, path)
            gains = read_soltabs(path)
            amplitude, phase = gains["amplitude000"], gains["phase001"]
            baselines, cells = read_image_weights(weights).of(amplitude)
            exact = normalisation_factor(amplitude, baselines, phase, cells)
            other = {
                "equal weights": normalisation_factor(amplitude, None, phase),
                "no phases": normalisation_factor(amplitude, baselines, None, cells),
                "neither": normalisation_factor(amplitude),
            }
            note = ", ".join(f"{name} {(exact / f) ** -2:.4f}" for name, f in other.items())
        model, peak, flux = trial.image(label, path, soltabs)
        anchor = (peak, flux) if number == PHASE_CYCLES else anchor
        tell(
            f"cycle {number}: peak {peak:.4f} ({peak / anchor[0]:.4f}), flux {flux:.4f} "
            f"({flux / anchor[1]:.4f}) {note}"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
