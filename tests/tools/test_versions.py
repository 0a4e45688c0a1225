"""Versions in headers and archives."""

from __future__ import annotations

from pathlib import Path

from factor.tools.versions import code_checksum


def test_code_is_told_apart(tmp_path: Path) -> None:
    """A changed module and a renamed one make another version; what Python compiles of them does not."""
    module = tmp_path / "room/module.py"
    module.parent.mkdir()
    module.write_text("x = 1\n")
    first = code_checksum(tmp_path)
    (module.parent / "module.pyc").write_text("compiled")
    assert code_checksum(tmp_path) == first
    module.write_text("x = 2\n")
    second = code_checksum(tmp_path)
    module.rename(module.with_name("other.py"))
    assert len({first, second, code_checksum(tmp_path)}) == 3
