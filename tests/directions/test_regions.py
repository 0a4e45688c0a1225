"""Region files that ds9 reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from regions import Regions

from factor.directions.facets import make_facets
from factor.directions.geometry import FieldGeometry
from factor.directions.model import Direction
from factor.directions.regions import write_calimage_regions, write_facet_regions

DIRECTIONS = [
    Direction("facet_patch_1", 0.2, 60.0, cal_size_deg=0.05),
    Direction("facet_patch_2", 359.5, 60.3, cal_size_deg=0.1),
    Direction("outside", 8.0, 60.0, cal_size_deg=0.1),
]


def test_facets_come_back(tmp_path: Path) -> None:
    """Each facet's polygon and its direction's point are read back with the facet's name."""
    facets = make_facets(DIRECTIONS, [], FieldGeometry(0.0, 60.0, 1.5))
    path = tmp_path / "regions" / "facets_ds9.reg"
    write_facet_regions(facets, path)
    shapes = Regions.read(path, format="ds9")
    assert len(shapes) == 6
    for facet, polygon, point in zip(facets, shapes[::2], shapes[1::2], strict=True):
        assert polygon.meta["text"] == facet.name == point.meta["text"]
        ra, dec = np.array(facet.vertices).T
        assert np.allclose(polygon.vertices.ra.deg, ra, atol=1e-8)
        assert np.allclose(polygon.vertices.dec.deg, dec, atol=1e-8)
        assert point.center.ra.deg == pytest.approx(facet.direction.ra_deg)


def test_calibrator_boxes_come_back(tmp_path: Path) -> None:
    """The inner box is where sources are added back, the outer one is the image."""
    path = tmp_path / "calimages_ds9.reg"
    write_calimage_regions(DIRECTIONS, {"facet_patch_1": 0.3, "facet_patch_2": 0.4, "outside": 0.5}, path)
    boxes = Regions.read(path, format="ds9")
    widths = [box.width.to_value("deg") for box in boxes]
    assert widths == pytest.approx([0.05, 0.3, 0.1, 0.4, 0.1, 0.5])
    assert {box.meta["text"] for box in boxes} == {d.name for d in DIRECTIONS}
