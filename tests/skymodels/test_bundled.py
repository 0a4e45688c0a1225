"""Bundled peeling models against their publications."""

from __future__ import annotations

import pytest

from factor.products.models.skymodel import flux_at, read
from factor.skymodels.bundled import bundled_models, find_bundled

#: Flux densities at 150 MHz and spectra, Scaife & Heald 2012 (MNRAS 423, L30), Table 2.
PUBLISHED = {
    "3C48": (64.768, [-0.387, -0.420, 0.181]),
    "3C147": (66.738, [-0.022, -1.012, 0.549]),
    "3C196": (83.084, [-0.699, -0.110]),
    "3C286": (27.477, [-0.158, 0.032, -0.180]),
    "3C295": (97.763, [-0.582, -0.298, 0.583, -0.363]),
    "3C380": (77.352, [-0.767]),
}

#: Positions to the second of time and arc, as catalogues (NED) give them.
POSITIONS = {
    "3C48": (24.4221, 33.1597), "3C147": (85.6506, 49.8520), "3C196": (123.4002, 48.2174),
    "3C286": (202.7845, 30.5092), "3C295": (212.8360, 52.2025), "3C380": (277.3824, 48.7462),
}  # fmt: skip


def test_all_are_there() -> None:
    """The models that users are promised, packaged with the code."""
    assert set(bundled_models()) == set(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_spectra_are_the_published_ones(name: str) -> None:
    """Over the whole HBA, the components of a source together."""
    flux, terms = PUBLISHED[name]
    model = read(bundled_models()[name])
    for freq_mhz in (75.0, 115.0, 150.0, 190.0, 325.0):
        # The publication's form: S = A0 10^(A1 x + A2 x^2 + ...), x = log10(freq / 150 MHz).
        x = {75.0: -0.30103, 115.0: -0.115393, 150.0: 0.0, 190.0: 0.102662, 325.0: 0.335792}[freq_mhz]
        published = flux * 10.0 ** sum(a * x ** (n + 1) for n, a in enumerate(terms))
        assert flux_at(model, freq_mhz * 1e6).sum() == pytest.approx(published, rel=1e-4)


@pytest.mark.parametrize("name", POSITIONS)
def test_found_by_position(name: str) -> None:
    """A direction file's position, good to a few arcsec, finds the model; a degree off it finds none."""
    ra, dec = POSITIONS[name]
    found = find_bundled(ra + 0.002, dec - 0.002)
    assert found is not None
    assert found.stem == name
    assert find_bundled(ra, dec + 1.0) is None


@pytest.mark.parametrize("name", PUBLISHED)
def test_sources_are_cited(name: str) -> None:
    """Each file says where its numbers come from, and where they are approximate."""
    text = bundled_models()[name].read_text()
    assert "Scaife & Heald 2012, MNRAS 423, L30" in text
    assert ("approximate" in text) == (name in ("3C196", "3C295", "3C380"))
