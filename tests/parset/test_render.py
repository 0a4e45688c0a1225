"""The documentation and the example parset cannot fall behind the schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from factor.parset import load_text
from factor.parset.render import documentation, example
from factor.parset.schema import SECTIONS

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "text"), [("docs/parset.rst", documentation()), ("examples/factor.parset", example())]
)
def test_rendered_files_are_up_to_date(name: str, text: str) -> None:
    """A changed schema wants: python -m factor.parset.render."""
    assert (CHECKOUT / name).read_text() == text


def test_documentation_names_every_option() -> None:
    """No option is undocumented."""
    text = documentation()
    for section in SECTIONS:
        assert f"``[{section.name}]``" in text
        for option in section.options:
            assert f"\n    {option.name}\n" in text


def test_example_is_a_valid_parset(tmp_path: Path) -> None:
    """The example must be readable as it is, and with every option uncommented."""
    assert load_text(example(), tmp_path, check_paths=False).notes == ()
    uncommented = "\n".join(
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in example().splitlines()
    )
    settings = load_text(uncommented, tmp_path, check_paths=False)
    assert settings.notes == ()
    assert settings.cluster.ncpu == 16
