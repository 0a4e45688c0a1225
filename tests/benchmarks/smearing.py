"""What averaging costs a source in the corner of a facet, measured with DP3 and WSClean.

    smearing.py MS [--offset DEG] [--limit 0.15] [--cellsize ARCSEC] [--scratch DIR]

A source is predicted at an offset from the phase centre of a measurement set, which is only
read; the data are averaged as Factor would for a facet that reaches so far, in frequency, in
time, along short baselines, and all three together; the peak of the source is compared with
that without averaging. Printed are the steps, the formulae and what was lost.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from factor.directions.file import format_position
from factor.products.images.image import read_image
from factor.tools import environment
from factor.tools.dp3 import Average, DP3Run, Predict, dp3_command
from factor.tools.wsclean import WSClean, wsclean_command
from factor.tuning.averaging import (
    Sampling,
    bandwidth_smearing,
    choose_averaging,
    longest_path_lambda,
    time_smearing,
)

#: Position angles of the source.
ANGLES_DEG = (0.0, 45.0, 90.0, 135.0)


def sampling_of(ms: Path) -> tuple[Sampling, tuple[float, float]]:
    """Channels, slots and phase centre of a measurement set."""
    from casacore.tables import table

    with table(f"{ms}::SPECTRAL_WINDOW", ack=False) as windows:
        freqs, width = windows.getcell("CHAN_FREQ", 0), windows.getcell("CHAN_WIDTH", 0)[0]
    with table(f"{ms}::FIELD", ack=False) as fields:
        centre = np.degrees(fields.getcell("PHASE_DIR", 0)[0])
    with table(str(ms), ack=False) as main:
        interval = main.getcell("INTERVAL", 0)
    return Sampling(len(freqs), float(width), float(freqs[0]), float(interval)), (centre[0], centre[1])


class Bench:
    """A measurement set with one source, averaged and imaged in several ways."""

    def __init__(self, ms: Path, place: tuple[float, float], cellsize_arcsec: float, scratch: Path) -> None:
        self.ms, self.place, self.cellsize, self.scratch = ms, place, cellsize_arcsec, scratch
        self.tools = environment.find_tools()
        ra, dec = format_position(*place).split(",")
        self.shift = (ra, dec)
        dots = dec.replace("d", ".").replace("m", ".").rstrip("s").replace(":", ".")
        colons = ra.replace("h", ":").replace("m", ":").rstrip("s")
        self.model = scratch / "source.skymodel"
        self.model.write_text(
            "FORMAT = Name, Type, Patch, Ra, Dec, I\n"
            f" , , source, {colons}, {dots}\nsource_0, POINT, source, {colons}, {dots}, 1.0\n"
        )

    def _run(self, argv: tuple[str, ...]) -> None:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])

    def image(self, averaging: Average, path_lambda: float = 0.0) -> tuple[float, float]:
        """Peak of the source, and minor axis of the beam in degrees."""
        msout = self.scratch / "averaged.ms"
        run = DP3Run((self.ms,), "DATA", (Predict(self.model, "replace"), averaging), msout)
        self._run(dp3_command(self.tools, run).full_argv)
        options = WSClean(
            name=self.scratch / "source", size=512, scale_arcsec=self.cellsize, minuv_lambda=80.0,
            padding=1.2, niter=1, baseline_averaging=path_lambda,
        )
        command = wsclean_command(self.tools, options, [msout], threads=1, memory_gb=2.0)
        argv = command.full_argv
        self._run((*argv[:-1], "-shift", *self.shift, argv[-1]))
        image = read_image(options.image)
        middle = image.data[206:306, 206:306]
        return float(middle.max()), image.restoring_beam.bmin_deg


def measure(ms: Path, offset_deg: float, limit: float, cellsize_arcsec: float, scratch: Path) -> None:
    """Print what is chosen and lost."""
    sampling, (ra, dec) = sampling_of(ms)
    lost: dict[str, list[float]] = {}
    for angle in np.radians(ANGLES_DEG):
        north = dec + offset_deg * math.cos(angle)
        place = (ra + offset_deg * math.sin(angle) / math.cos(math.radians(north)), north)
        bench = Bench(ms, place, cellsize_arcsec, scratch)
        whole, beam_deg = bench.image(Average(1, 1))
        chosen = choose_averaging(sampling, offset_deg, beam_deg, limit / 3.0)
        path = longest_path_lambda(offset_deg, limit / 3.0)
        ways = {
            "frequency": (Average(chosen.freqstep, 1), 0.0),
            "time": (Average(1, chosen.timestep), 0.0),
            "short baselines": (Average(1, 1), path),
            "all": (Average(chosen.freqstep, chosen.timestep), path),
        }
        for name, (averaging, along) in ways.items():
            lost.setdefault(name, []).append(1.0 - bench.image(averaging, along)[0] / whole)
    width, interval = chosen.freqstep * sampling.chan_width_hz, chosen.timestep * sampling.interval_s
    say = sys.stdout.write
    say(f"offset {offset_deg:g} deg, beam {3600 * beam_deg:.1f} arcsec, limit {limit:g}: "
          f"{chosen.freqstep} channels, {chosen.timestep} slots, {path:.1f} wavelengths\n")
    say(f"formula: frequency {bandwidth_smearing(width, sampling.freq_hz, offset_deg, beam_deg):.4f}, "
          f"time {time_smearing(interval, offset_deg, beam_deg):.4f}, short baselines {limit / 3.0:.4f}\n")
    for name, values in lost.items():
        say(f"{name}: lost {np.mean(values):.4f} (mean), {max(values):.4f} (worst of {len(values)} angles)\n")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("ms", type=Path)
    parser.add_argument("--offset", type=float, default=0.5, help="degrees")
    parser.add_argument("--limit", type=float, default=0.15, help="max_peak_smearing")
    parser.add_argument("--cellsize", type=float, default=2.5, help="arcsec")
    parser.add_argument("--scratch", type=Path, default=None, help="folder for intermediate data")
    arguments = parser.parse_args()
    environment.prepare()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        measure(arguments.ms, arguments.offset, arguments.limit, arguments.cellsize, Path(folder))


if __name__ == "__main__":
    main()
