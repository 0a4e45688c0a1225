"""Files that appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from factor.files import copy_whole, whole


def test_whole_or_not_at_all(tmp_path: Path) -> None:
    """A writer that fails leaves the file as it was, and nothing beside it."""
    path = tmp_path / "new" / "a.fits"
    with whole(path) as draft:
        draft.write_text("one")
        assert not path.exists()
        assert not list(path.parent.glob("*.fits")), "nobody takes a draft for a product"
    with pytest.raises(UnicodeEncodeError), whole(path) as draft:
        draft.write_text("t" + 10_000 * " " + "\udcff", encoding="utf-8")
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_copy(tmp_path: Path) -> None:
    """A copy replaces what was there, and makes its folder."""
    (tmp_path / "a").write_text("new")
    copy_whole(tmp_path / "a", tmp_path / "b" / "c")
    assert (tmp_path / "b" / "c").read_text() == "new"
