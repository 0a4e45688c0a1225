"""An option that a parset may set must have its effect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from factor.parset.option import Option
from factor.parset.schema import SECTIONS

FACTOR = Path(__file__).parents[2] / "factor"
CODE = "\n".join(p.read_text() for p in FACTOR.rglob("*.py") if "parset" not in p.relative_to(FACTOR).parts)
IMPLEMENTED = [
    option for section in SECTIONS for option in section.options
    if option.implemented and option.name != "strict"  # the reader of parsets itself heeds it
]


@pytest.mark.parametrize("option", IMPLEMENTED, ids=lambda option: option.name)
def test_option_is_read(option: Option) -> None:
    """One that no code reads is ignored: give it its effect, or mark it implemented=False."""
    assert re.search(rf'[."]{option.attribute}\b', CODE)
