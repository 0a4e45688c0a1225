"""A run with a hundred facets and all its pictures, without the run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from factor.products.images.image import SkyGrid, write_image
from factor.state.plan import PlannedDirection
from tests.progress.conftest import Site


@dataclass(frozen=True)
class Sizes:
    """Sides of the images, pixels; no facet images for 0."""

    calibrator: int = 48
    field: int = 48
    facet: int = 0
    plots: tuple[str, ...] = ("tec",)


def make_image(path: Path, *, peak: float = 1.0, size: int = 48) -> None:
    """Noise of 1 mJy and a source in the middle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(1).normal(0.0, 1e-3, (size, size)).astype(np.float32)
    data[size // 2, size // 2] = peak
    header = SkyGrid(217.5, 52.0, size, size, 60.0).header(144e6)
    header.update({"BUNIT": "JY/BEAM", "BMAJ": 0.05, "BMIN": 0.05, "BPA": 0.0})
    write_image(path, data[None, None], header)


def with_pictures(site: Site, name: str, cycles: int = 2, sizes: Sizes = Sizes()) -> None:
    """What a self-calibration leaves."""
    folder = site.workspace.products("facetselfcal", name)
    for k in range(cycles):
        make_image(folder / f"{name}.wsclean_image{k:02d}.fits", size=sizes.calibrator)
    for kind in ("pre", "post"):
        make_image(folder / f"{name}.wsclean_{kind}-image.fits", size=sizes.field)
    for plot in sizes.plots:
        Pillow.new("RGB", (900, 400), "white").save(folder / f"{name}.make_selfcal_plots_{plot}.png")
    if sizes.facet:
        make_image(folder / f"{name}.image_full.fits", size=sizes.facet)
        drawn = np.random.default_rng(2).integers(0, 255, (700, 800, 3), dtype=np.uint8) // 32 * 32
        Pillow.fromarray(drawn).save(folder / f"{name}.image_full.png")


def hundred(site: Site, *, cycles: int = 2, sizes: Sizes = Sizes()) -> None:
    """A run with a hundred facets, side by side in rows of ten, that are copies of one."""
    directions = []
    for k in range(100):
        ra, dec = 215.0 + 0.4 * (k % 10), 50.0 + 0.25 * (k // 10)
        square = ((ra, dec), (ra + 0.4, dec), (ra + 0.4, dec + 0.25), (ra, dec + 0.25))
        directions.append(PlannedDirection(f"facet_patch_{k}", ra + 0.2, dec + 0.12, square, flux_jy=1.0))
    names = tuple(direction.name for direction in directions)
    site.plan(names, directions=tuple(directions), groups=(names,))
    site.pulse(started=4000, outcome="done")
    for k, name in enumerate(names):
        site.calibrated(name, (4000 - 30 * k, 3900 - 30 * k))
        if k == 0:
            with_pictures(site, name, cycles, sizes)
            continue
        for path in site.workspace.products("facetselfcal", names[0]).iterdir():
            link = site.workspace.products("facetselfcal", name) / path.name.replace(names[0], name)
            link.parent.mkdir(exist_ok=True)
            link.hardlink_to(path)
