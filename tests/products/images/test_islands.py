"""Clean masks from PyBDSF."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from factor.execution.step import canonical_action
from factor.products.images.image import SkyGrid, read_image, write_image
from factor.products.images.islands import island_mask_command, write_island_mask


def test_islands_within_the_polygon(tmp_path: Path) -> None:
    """Rule 6: a source within the polygon is masked, one beyond it is not, nor is the noise."""
    grid = SkyGrid(217.5, 52.0, 200, 160, 2.0)
    header = grid.header(144e6)
    header.update(BMAJ=8 / 3600, BMIN=8 / 3600, BPA=0.0, BUNIT="JY/BEAM")
    rows, columns = np.mgrid[:160, :200]
    data = np.random.default_rng(1).normal(0.0, 1e-3, grid.shape)
    for x, y in ((50, 80), (150, 40)):
        data += 0.1 * np.exp(-4 * np.log(2) * ((columns - x) ** 2 + (rows - y) ** 2) / 16.0)
    allowed = (columns < 100).astype(np.float32)
    write_image(tmp_path / "quick.fits", data.astype(np.float32), header)
    write_image(tmp_path / "polygon.fits", allowed, header)
    write_island_mask(tmp_path / "quick.fits", tmp_path / "polygon.fits", tmp_path / "mask.fits")
    mask = read_image(tmp_path / "mask.fits").data > 0
    assert mask[80, 50]
    assert not mask[:, 100:].any()
    assert 10 < mask.sum() < 150


def test_the_command_is_one_of_a_process(tmp_path: Path) -> None:
    """PyBDSF runs on its own; another Python of the same version does not make the mask stale."""
    command = island_mask_command(tmp_path / "a.fits", tmp_path / "b.fits", tmp_path / "c.fits")
    assert command.outputs == (tmp_path / "c.fits",)
    assert command.argv[1:3] == ("-m", "factor.products.images.islands")
    assert "python" not in canonical_action(command)
