"""What a run takes of the disk at its peak, in units of its chunks' data columns.

    python -m tests.benchmarks.disk DIR [PARSET-OPTION ...]

run at the top of the checkout. A field with many stations and few sources is simulated in
DIR/data, so that data outweigh images, as in a real observation; Factor runs on it in DIR/work,
and the size of that folder, and of what is in it, is measured five times a second: the peak is
given, and that of each operation while it has intermediate data. Options like
``cluster.ndir_per_node=4`` change the parset.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "examples"))

import simulate  # noqa: E402
from evaluation.costs import chunk_data_bytes  # noqa: E402
from simulation.options import FieldOptions  # noqa: E402

from factor.observation.chunks import load_observation  # noqa: E402
from factor.workspace import Workspace  # noqa: E402

FIELD = FieldOptions(
    seed=5, name="disk", stations=30, bands=4, channels=16, minutes=41.0, interval_s=16.0, sources=8,
    radius_deg=0.4, flux_min_jy=0.4, flux_max_jy=3.0, sefd_jy=1500.0, gaussians=0.0,
)

OPTIONS = {
    "global": {"chunk_size_sec": "1200", "keep_avg_facet_data": "False"},
    "calibration": {"max_selfcal_loops": "1"},
    "imaging": {"selfcal_cellsize_arcsec": "3"},
    "directions": {
        "flux_min_Jy": "0.3", "size_max_arcmin": "2", "separation_max_arcmin": "7", "ndir_max": "2",
        "faceting_radius_deg": "0.45", "groupings": "2:0",
    },
    "cluster": {"ndir_per_node": "1"},
}

PERIOD_S = 0.2

_DATA = "data"


def kind(path: Path, work: Path) -> str:
    """What a file is part of."""
    parts = path.relative_to(work).parts
    if parts[0] != "results":
        return parts[0] if len(parts) > 1 else "logs"
    if "scratch" not in parts:
        return "products"
    return f"{parts[1]}: {_DATA if any(part.endswith('.ms') for part in parts) else 'images'}"


def sizes(work: Path) -> Counter[str]:
    """Bytes on disk by kind."""
    found: Counter[str] = Counter()
    for place, _, files in os.walk(work):
        for name in files:
            path = Path(place, name)
            with suppress(OSError):
                found[kind(path, work)] += path.lstat().st_blocks * 512
    return found


def watched(command: list[str], work: Path) -> dict[str, Counter[str]]:
    """Run a command, and give what was there at the peak of each operation that had data."""
    peaks: dict[str, Counter[str]] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(PERIOD_S):
            found = sizes(work)
            for name in [kind for kind in found if kind.endswith(f": {_DATA}")]:
                peaks[name] = max(peaks.get(name, Counter()), found, key=Counter.total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(CHECKOUT)})
    finally:
        ended.set()
        watcher.join()
    return peaks


def main(folder: Path, *changes: str) -> None:
    """Simulate, run, and print the peak."""
    simulate.simulate(FIELD, folder / "data")
    options = {section: dict(values) for section, values in OPTIONS.items()}
    options["global"] |= {"dir_working": str(folder / "work"), "dir_ms": str(folder / "data/ms")}
    for change in changes:
        name, value = change.split("=", 1)
        section, option = name.split(".", 1)
        options[section][option] = value
    parset = folder / "factor.parset"
    parset.write_text(
        "".join(f"[{s}]\n" + "".join(f"{k} = {v}\n" for k, v in o.items()) for s, o in options.items())
    )
    began = time.monotonic()
    peaks = watched([sys.executable, str(CHECKOUT / "bin/runfactor"), str(parset)], folder / "work")
    data = chunk_data_bytes(load_observation(Workspace(folder / "work")))
    print(f"data columns: {data / 1e6:.0f} MB; run: {time.monotonic() - began:.0f} s")  # noqa: T201
    for operation, peak in peaks.items():
        print(f"peak with {operation}:")  # noqa: T201
        for name, size in [*peak.most_common(), ("all", peak.total())]:
            print(f"{name:>24} {size / 1e6:8.0f} MB {size / data:6.2f} x")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), *sys.argv[2:])
