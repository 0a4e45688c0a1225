"""The residual images on which verdicts rest."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from factor.directions.facets import make_facets
from factor.directions.geometry import FieldGeometry
from factor.directions.model import Direction
from factor.operations.base import Field
from factor.operations.imaging.residuals import half_width_deg
from factor.products.images.image import SkyGrid
from factor.products.images.masks import polygon_mask

CENTRE = (200.0, 50.0)


@pytest.mark.parametrize("place", [(200.0, 50.3), (200.0, 52.0), (204.5, 50.0)])
def test_every_facet_is_on_its_residual_image(place: tuple[float, float]) -> None:
    """A patch lies outside the ellipse of the facets: without its pixels no verdict could be good."""
    geometry = FieldGeometry(*CENTRE, 1.0, mean_elevation_rad=0.7)
    directions = [Direction("a", *CENTRE, cal_imsize=512), Direction("b", *place, cal_imsize=512)]
    facet = make_facets(directions, [], geometry)[1]
    parts: dict[str, Any] = dict.fromkeys(("settings", "workspace", "sources", "calibrators", "facets"))
    field = Field(
        observation=SimpleNamespace(ra_deg=CENTRE[0], dec_deg=CENTRE[1]), geometry=geometry, **parts
    )
    cell_arcsec = 30.0
    size = int(2.0 * half_width_deg(field, facet) * 3600.0 / cell_arcsec)
    image = SkyGrid(*CENTRE, size, size, cell_arcsec)
    large = SkyGrid(*CENTRE, 1200, 1200, cell_arcsec)
    inside = polygon_mask(facet.vertices, image.wcs, image.shape).sum()
    assert inside == polygon_mask(facet.vertices, large.wcs, large.shape).sum() > 0
