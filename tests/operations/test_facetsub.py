"""Which prediction is subtracted."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from factor.operations import facetsub
from factor.operations.base import InitialModels, Solutions
from factor.operations.difference import Change
from factor.operations.passes import CorruptedModel


@pytest.mark.parametrize("whole", [True, False])
def test_half_a_prediction_is_not_trusted(monkeypatch: Any, tmp_path: Path, whole: bool) -> None:
    """A prediction that facetsub had to begin again and that died must not pass for self-calibration's."""
    scratch = tmp_path / "scratch"
    for name in ("new.skymodel", "s.h5", "f.h5"):
        (tmp_path / name).write_text(name)
    solutions = Solutions("d", tmp_path / "s.h5", tmp_path / "f.h5", ("phase000",))
    change = Change(CorruptedModel(tmp_path / "new.skymodel", solutions), InitialModels({}), scratch)
    chunk = SimpleNamespace(name="chunk0", files=["file"])
    subtracted: list[Path] = []
    monkeypatch.setattr(Change, "predictions", lambda self, chunk: [(self.folder / f"{chunk.name}.ms", ())])
    monkeypatch.setattr(facetsub, "_standing", lambda *_: False)
    monkeypatch.setattr(facetsub, "_apply", lambda *given: subtracted.append(given[3].folder))
    ran: list[Path] = []
    monkeypatch.setattr(facetsub, "predict", lambda *given: [given[2].folder])
    context = SimpleNamespace(
        products=tmp_path / "products", scratch=scratch, direction="d", run=lambda *steps: ran.extend(steps)
    )
    context.products.mkdir()
    field = SimpleNamespace(observation=SimpleNamespace(chunks=[chunk]))
    if whole:
        (scratch / "chunk0.ms").mkdir(parents=True)
    facetsub.run(context, field, change, predicted=True)
    assert bool(ran) is not whole
    assert (subtracted == [scratch]) is whole
