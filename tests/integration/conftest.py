"""A simulated field, and the whole of Factor on it with the real tools."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from factor.tools.environment import prepare

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT / "examples"))

import simulate  # noqa: E402
from simulation.options import FieldOptions  # noqa: E402

prepare()

#: Two chunks of the smallest size, few and long slots, few stations, three bright sources.
FIELD = FieldOptions(
    seed=4, name="small", stations=12, bands=2, channels=4, minutes=41.0, interval_s=24.0, sources=6,
    radius_deg=0.4, flux_min_jy=0.4, flux_max_jy=4.0, sefd_jy=600.0, gaussians=0.0,
)

PARSET = """
[global]
dir_working = {work}
dir_ms = {data}
chunk_size_sec = 1200
[calibration]
max_selfcal_loops = 1
[imaging]
selfcal_cellsize_arcsec = 3
[directions]
flux_min_Jy = 0.5
size_max_arcmin = 2
separation_max_arcmin = 9
faceting_radius_deg = 0.38
ndir_max = 2
"""


@dataclass(frozen=True)
class Ended:
    """How a run of runfactor ended, and the CPU time that it and its tools took."""

    status: int
    said: str
    cpu_s: float


@dataclass(frozen=True)
class Place:
    """A folder with a parset, in which runfactor works."""

    folder: Path
    data: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def parset(self) -> Path:
        return self.folder / "factor.parset"

    @property
    def mosaic(self) -> Path:
        return self.work / "results/fieldmosaic/field/field.correct_mosaic.pbcor.fits"

    def start(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start runfactor in a bare environment: users set nothing by hand."""
        if not self.parset.exists():
            self.parset.write_text(PARSET.format(work=self.work, data=self.data))
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "USER") if name in os.environ}
        command = [sys.executable, str(CHECKOUT / "bin/runfactor"), *options, str(self.parset)]
        return subprocess.Popen(
            command, env={**kept, "PYTHONPATH": str(CHECKOUT), **variables},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder,
        )

    def run(self, *options: str, **variables: str) -> Ended:
        """Run runfactor to its end."""
        before = _cpu_of_children_s()
        process = self.start(*options, **variables)
        said, _ = process.communicate(timeout=400)
        return Ended(process.returncode, said, _cpu_of_children_s() - before)

    def copy(self, folder: Path) -> Place:
        """Move a copy of all that was done to another folder."""
        folder.mkdir()
        shutil.copytree(self.work, folder / "work", symlinks=True)
        return Place(folder, self.data)


def _cpu_of_children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def checksum(folder: Path) -> str:
    """A checksum of all files in a folder."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        # Opening a table to read it may write casacore's lock file: no data are in it.
        if path.name != "table.lock":
            total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> simulate.Paths:
    """The field and its truth."""
    root = tmp_path_factory.mktemp("simulated")
    simulate.simulate(FIELD, root)
    return simulate.Paths(root)


@pytest.fixture(scope="session")
def input_before(simulated: simulate.Paths) -> str:
    """The checksum of the input as it was made."""
    return checksum(simulated.root / "ms")


@pytest.fixture(scope="session")
def stopped(
    simulated: simulate.Paths, input_before: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Place, Ended]:
    """Factor stopped after the first group (-s 1)."""
    assert input_before
    place = Place(tmp_path_factory.mktemp("factor"), simulated.root / "ms")
    return place, place.run("-v", "-s", "1")


@pytest.fixture(scope="session")
def after_first_group(
    stopped: tuple[Place, Ended], tmp_path_factory: pytest.TempPathFactory
) -> Place:
    """A copy of that state, for runs that are to be disturbed."""
    return stopped[0].copy(tmp_path_factory.mktemp("copy") / "state")


@pytest.fixture(scope="session")
def finished(stopped: tuple[Place, Ended], after_first_group: Place) -> tuple[Place, Ended]:
    """The same run brought to its mosaic."""
    assert after_first_group
    return stopped[0], stopped[0].run()
