"""What self-calibration needs before it begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from factor.errors import InputError
from factor.operations import facetselfcal
from factor.products.models.skymodel import concatenate


def test_direction_beside_its_source() -> None:
    """A position a few arcminutes off would be solved against noise, for hours."""
    field: Any = SimpleNamespace(calibrators={"d": {"a.skymodel": concatenate([])}})
    facet: Any = SimpleNamespace(name="d")
    with pytest.raises(InputError, match="direction d: no source"):
        facetselfcal.run(SimpleNamespace(), field, facet, None)  # type: ignore[arg-type]
