"""An archive with the real DP3 and WSClean, moved elsewhere, its run gone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from factor.products.images.image import image_noise, read_image
from tests.integration.conftest import CHECKOUT, Ended, Place

pytestmark = pytest.mark.tools


def call(program: Path, *arguments: str) -> str:
    """Run a program to its end in a bare environment, and give what it said."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "PYTHONPATH": str(CHECKOUT)}
    ended = subprocess.run(
        [sys.executable, str(program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def column(ms: Path, name: str) -> np.ndarray:
    from casacore.tables import table

    with table(str(ms), ack=False) as main:
        return main.getcol(name)


def test_restored_and_imaged(finished: tuple[Place, Ended], tmp_path: Path) -> None:
    """From the input: the archived data to 1e-4, all flags and weights; from these the archived image."""
    place, _ = finished
    direction = sorted(path.name for path in (place.work / "results/facetsub").iterdir())[0]
    made, folder, out = tmp_path / "made", tmp_path / "elsewhere/archive", tmp_path / "out"
    call(CHECKOUT / "bin/archivefactor", str(place.parset), str(made), "-d", direction)
    folder.parent.mkdir()
    made.rename(folder)
    hidden = tmp_path / "hidden"
    shutil.move(place.work, hidden)
    try:
        said = call(folder / "script/restore_calibrated", str(place.data), str(out), "-d", direction)
        call(folder / "script/reimage", str(out), "-i", str(out), "-d", direction)
    finally:
        shutil.move(hidden, place.work)
    assert "the versions of all tools are those of the archive" in said
    names = sorted(str(ms.relative_to(folder)) for ms in (folder / "calibrated_data").glob("*/*.ms"))
    assert names
    for name in names:
        archived, restored = folder / name, out / name
        flags = column(archived, "FLAG")
        one, other = (column(ms, "DATA")[~flags] for ms in (archived, restored))
        assert np.sqrt((np.abs(one - other) ** 2).mean() / (np.abs(one) ** 2).mean()) < 1e-4
        assert np.array_equal(flags, column(restored, "FLAG"))
        assert np.array_equal(column(archived, "WEIGHT_SPECTRUM"), column(restored, "WEIGHT_SPECTRUM"))
        assert len(column(archived / "SPECTRAL_WINDOW", "CHAN_FREQ")) == 1
    (image,) = folder.glob(f"images/{direction}/facetimage/*_apparent.fits")
    one, other = (read_image(base / image.relative_to(folder)).data for base in (folder, out))
    assert image_noise(other) == pytest.approx(image_noise(one), rel=0.01)
    assert np.nanmax(np.abs(one - other)) < 0.1 * image_noise(one)
