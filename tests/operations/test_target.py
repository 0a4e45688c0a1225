"""A run with a target."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

#: A circle in the north-west, apart from both directions.
TARGET = {
    "directions__target_ra": "217.4",
    "directions__target_dec": "52.3",
    "directions__target_radius_arcmin": "3",
}


def _images(run: Any) -> dict[str, Any]:
    return {
        path.stem: json.loads(path.read_text())["results"]
        for path in sorted((run.work / "state/facetimage").glob("*.json"))
        if path.stem != "field"
    }


def test_a_facet_of_its_own(make_run: Callable[[], Any]) -> None:
    """It is imaged last with a neighbour's solutions, also beyond ndir_process, and its data are kept."""
    run = make_run()
    status = run.run(
        directions__target_has_own_facet="True",
        directions__ndir_process="1",
        imaging__image_target_only="True",
        **{**TARGET, "global__keep_avg_facet_data": "False"},
    )
    assert status == 0
    assert not (run.work / "state/facetselfcal/target.json").exists()
    images = _images(run)
    assert list(images) == ["target"]
    assert (images["target"]["solutions"], images["target"]["solutions_of"]) == ("borrowed", "east")
    assert sorted((run.work / "results/facetimage/target").glob("*.ms"))
    assert any("-multiscale" in c for title, c in run.commands if title.startswith("facetimage target"))
