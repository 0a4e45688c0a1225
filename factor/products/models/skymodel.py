"""Sky models: read, written, cut and joined.

Files are in makesourcedb's text format, read with LSMTool. All fluxes are apparent.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from factor.directions.geometry import Floats, Ints, dec_texts, ra_texts, weighted_centres
from factor.errors import InputError
from factor.files import whole

Bools = npt.NDArray[np.bool_]
Strings = npt.NDArray[np.str_]

_COLUMNS = (
    "Name, Type, Patch, Ra, Dec, I, SpectralIndex='[]', LogarithmicSI, "
    "ReferenceFrequency='{freq!r}', MajorAxis, MinorAxis, Orientation"
)


@dataclass(frozen=True, eq=False)
class Components:
    """The components of a sky model: arrays of one length, one entry per component.

    Attributes
    ----------
    name, patch, type : numpy.ndarray of str
        ``patch`` is empty for a model that is not in patches; ``type`` is ``POINT`` or
        ``GAUSSIAN``.
    ra_deg, dec_deg : numpy.ndarray
    flux_jy : numpy.ndarray
        Stokes I at the reference frequency.
    major_arcsec, minor_arcsec, orientation_deg : numpy.ndarray
        Full widths at half maximum and position angle; 0 for points.
    spectral_index : numpy.ndarray
        Shape (n, terms): the polynomial's terms from the first order on.
    logarithmic_si : numpy.ndarray of bool
        True where the polynomial is one of logarithms.
    reference_freq_hz : numpy.ndarray
    """

    name: Strings
    patch: Strings
    type: Strings
    ra_deg: Floats
    dec_deg: Floats
    flux_jy: Floats
    major_arcsec: Floats
    minor_arcsec: Floats
    orientation_deg: Floats
    spectral_index: Floats
    logarithmic_si: Bools
    reference_freq_hz: Floats

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) != 1 or self.spectral_index.ndim != 2:
            raise ValueError(f"columns of a sky model differ in length: {lengths}")

    def __len__(self) -> int:
        return len(self.name)


def point_components(ra_deg: Floats, dec_deg: Floats, flux_jy: Floats, freq_hz: float) -> Components:
    """Point sources with a flat spectrum, named ``s0``, ``s1``, ..."""
    n = len(ra_deg)
    zeros = np.zeros(n)
    return Components(
        name=np.array([f"s{k}" for k in range(n)], dtype=np.str_),
        patch=np.full(n, ""),
        type=np.full(n, "POINT"),
        ra_deg=np.asarray(ra_deg, dtype=float),
        dec_deg=np.asarray(dec_deg, dtype=float),
        flux_jy=np.asarray(flux_jy, dtype=float),
        major_arcsec=zeros,
        minor_arcsec=zeros,
        orientation_deg=zeros,
        spectral_index=np.zeros((n, 1)),
        logarithmic_si=np.full(n, True),
        reference_freq_hz=np.full(n, float(freq_hz)),
    )


def _lsmtool_tables() -> Any:
    """LSMTool's reader, imported without the change that its import makes to the root logger."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    first = "lsmtool" not in sys.modules
    from lsmtool import tableio

    if first:
        root.handlers[:] = handlers
        root.setLevel(level)
    logging.getLogger("LSMTool").setLevel(logging.ERROR)
    return tableio


def read(path: Path) -> Components:
    """Read a sky model whose name may end in anything.

    Parameters
    ----------
    path : Path
        A file in makesourcedb's format, such as WSClean's ``-sources.txt``.

    Raises
    ------
    InputError
        When the file is missing or no sky model, or has what is not supported: shapelets,
        polarised components, a spectral index without a reference frequency.
    """
    if not path.is_file():
        raise InputError(f"sky model '{path}' does not exist")
    try:
        table = _lsmtool_tables().skyModelReader(str(path))
    # LSMTool lets every kind of exception out for a malformed line.
    except Exception as error:
        raise InputError(
            f"'{path}' is not a sky model in makesourcedb format: {error}",
            "look at its 'format' line and at the number of columns in each line",
        ) from error
    components = _from_table(table)
    problems = _unsupported(components, table)
    if problems:
        raise InputError([f"sky model '{path}': {problem}" for problem in problems])
    return components


def _column(table: Any, name: str, default: float) -> Floats:
    n = len(table)
    if name not in table.colnames:
        return np.full(n, default)
    column = table[name]
    return np.asarray(column.filled() if hasattr(column, "filled") else column, dtype=float)


def _strings(table: Any, name: str, default: str) -> Strings:
    if name not in table.colnames:
        return np.full(len(table), default)
    column = table[name]
    values = column.filled(default) if hasattr(column, "filled") else column
    return np.array([str(v).strip() for v in values], dtype=np.str_)


def _from_table(table: Any) -> Components:
    n = len(table)
    terms = np.zeros((n, 1))
    if n and "SpectralIndex" in table.colnames:
        column = table["SpectralIndex"]
        filled = column.filled(0.0) if hasattr(column, "filled") else column
        terms = np.asarray(filled, dtype=float).reshape(n, -1)
    logarithmic = _strings(table, "LogarithmicSI", str(table.meta.get("LogarithmicSI", "true")))
    return Components(
        name=_strings(table, "Name", ""),
        patch=_strings(table, "Patch", ""),
        type=np.char.upper(_strings(table, "Type", "POINT")),
        ra_deg=_column(table, "Ra", 0.0),
        dec_deg=_column(table, "Dec", 0.0),
        flux_jy=_column(table, "I", 0.0),
        major_arcsec=_column(table, "MajorAxis", 0.0),
        minor_arcsec=_column(table, "MinorAxis", 0.0),
        orientation_deg=_column(table, "Orientation", 0.0),
        spectral_index=terms,
        logarithmic_si=np.char.lower(logarithmic) != "false",
        reference_freq_hz=_column(table, "ReferenceFrequency", 0.0),
    )


def _unsupported(components: Components, table: Any) -> list[str]:
    problems = []
    other = sorted(set(components.type.tolist()) - {"POINT", "GAUSSIAN"})
    if other:
        problems.append(f"components of type {', '.join(other)} are not supported")
    for stokes in "QUV":
        if np.any(_column(table, stokes, 0.0) != 0.0):
            problems.append(f"components with Stokes {stokes} are not supported")
    lost = np.any(components.spectral_index != 0.0, axis=1) & (components.reference_freq_hz <= 0.0)
    if np.any(lost):
        names = ", ".join(components.name[lost][:3])
        problems.append(f"components with a spectral index and no reference frequency: {names}")
    return problems


def write(components: Components, path: Path, patch: str | None = None) -> None:
    """Write a sky model that DP3 accepts; the file appears whole or not at all.

    Parameters
    ----------
    components : Components
    path : Path
        Must end in ``.skymodel`` or ``.txt``, or DP3 refuses to read it.
    patch : str, optional
        One patch for all components, instead of their own ones. Components without a patch
        get one each.
    """
    if path.suffix not in (".skymodel", ".txt"):
        raise ValueError(f"DP3 reads sky models from .skymodel or .txt files, not from '{path}'")
    patches = components.patch if patch is None else np.full(len(components), patch)
    patches = np.where(patches == "", components.name, patches)
    names, labels = np.unique(patches, return_inverse=True)
    ra, dec = weighted_centres(components.ra_deg, components.dec_deg, components.flux_jy, labels.reshape(-1))
    freq = float(components.reference_freq_hz[0]) if len(components) else 0.0
    lines = [f"FORMAT = {_COLUMNS.format(freq=freq)}", ""]
    lines += [f" , , {names[k]}, {_ra(ra[k])}, {_dec(dec[k])}" for k in range(len(names))]
    lines += [_line(components, k, str(patches[k])) for k in range(len(components))]
    with whole(path) as draft:
        draft.write_text("\n".join(lines) + "\n")


def _line(c: Components, k: int, patch: str) -> str:
    terms = ", ".join(repr(float(term)) for term in c.spectral_index[k])
    shape = (c.major_arcsec[k], c.minor_arcsec[k], c.orientation_deg[k])
    parts = [str(c.name[k]), str(c.type[k]), patch, _ra(c.ra_deg[k]), _dec(c.dec_deg[k])]
    parts += [repr(float(c.flux_jy[k])), f"[{terms}]"]
    parts += ["true" if c.logarithmic_si[k] else "false", repr(float(c.reference_freq_hz[k]))]
    return ", ".join(parts + [repr(float(v)) for v in shape])


def _ra(ra_deg: float) -> str:
    return ":".join(ra_texts(ra_deg, 6))


def _dec(dec_deg: float) -> str:
    return ".".join(dec_texts(dec_deg, 5))


def select(components: Components, mask: Bools | Ints) -> Components:
    """The components that a mask or an array of indices names, in that order."""
    return Components(*(getattr(components, field.name)[mask] for field in fields(components)))


def concatenate(components: Sequence[Components]) -> Components:
    """All components of some models, in order; shorter spectra are filled with zeros."""
    if not components:
        return point_components(np.zeros(0), np.zeros(0), np.zeros(0), 0.0)
    terms = max(c.spectral_index.shape[1] for c in components)
    padded = [
        replace(
            c,
            spectral_index=np.pad(c.spectral_index, ((0, 0), (0, terms - c.spectral_index.shape[1]))),
        )
        for c in components
    ]
    names = [field.name for field in fields(Components)]
    return Components(*(np.concatenate([getattr(c, n) for c in padded]) for n in names))


def flux_at(components: Components, freq_hz: float) -> Floats:
    """Flux of each component at a frequency, in Jy, shape (n,).

    With x = freq / reference, the flux is S x^(c1 + c2 log10(x) + ...) for logarithmic
    spectra, and S + c1 (x - 1) + c2 (x - 1)^2 + ... for ordinary ones (the definitions of
    WSClean and DP3). Components without a reference frequency have a flat spectrum.
    """
    reference = np.where(components.reference_freq_hz > 0.0, components.reference_freq_hz, freq_hz)
    x = freq_hz / reference
    orders = np.arange(components.spectral_index.shape[1])
    exponent = (components.spectral_index * np.log10(x)[:, None] ** orders).sum(axis=1)
    ordinary = (components.spectral_index * (x - 1.0)[:, None] ** (orders + 1)).sum(axis=1)
    logarithmic = components.flux_jy * x**exponent
    return np.asarray(np.where(components.logarithmic_si, logarithmic, components.flux_jy + ordinary))
