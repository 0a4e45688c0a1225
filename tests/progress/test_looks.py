"""Colours and names of facets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from factor.progress.looks import LOOKS, short_names

#: Full colour blindness of three kinds, on linear RGB: Machado, Oliveira & Fernandes 2009, IEEE
#: Trans. Visualization and Computer Graphics 15, 1291, table 1.
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


def seen(colour: str, blindness: str) -> np.ndarray:
    """A colour in CIELAB as it is seen."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if blindness:
        linear = np.clip(np.array(BLIND[blindness]) @ linear, 0.0, 1.0)
    xyz = np.array(TO_XYZ) @ linear / (0.9505, 1.0, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16.0 / 116.0)
    return np.array([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)])


@pytest.mark.parametrize("blindness", ["", *BLIND])
def test_colours_can_be_told_apart(blindness: str) -> None:
    """Also by people who are colour-blind; a difference of 2.3 is just seen side by side."""
    looks = {name: (seen(look.colour, blindness), look.hatch) for name, look in LOOKS.items()}
    for (one, (left, hatch)), (other, (right, other_hatch)) in itertools.combinations(looks.items(), 2):
        enough = 12.0 if hatch == other_hatch else 8.0
        assert np.linalg.norm(left - right) > enough, f"{one} and {other}"


def test_labels() -> None:
    """On a map there is room for what tells a facet from the others, unless full names are asked for."""
    names = ["facet_patch_1", "facet_patch_12", "3C_295_and_its_neighbour"]
    assert list(short_names(names).values()) == ["1", "12", "3C_295_an…"]
    assert list(short_names(names, full=True).values()) == names
    assert list(short_names(["a_1", "b_1"]).values()) == ["a_1", "b_1"]
