"""The fake WSClean: noise that depends on the data, and one source inside the clean mask."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from factor.products.images.image import SkyGrid, read_image, write_image
from tests.fakes import dp3

NOISE_JY = 1e-3
BEAM_PIXELS = 4.0

_FORMAT = (
    "Format = Name, Type, Ra, Dec, I, SpectralIndex, LogarithmicSI, "
    "ReferenceFrequency='144000000', MajorAxis, MinorAxis, Orientation\n"
)


def _value(arguments: list[str], flag: str, default: str = "") -> str:
    return arguments[arguments.index(flag) + 1] if flag in arguments else default


def _source(grid: SkyGrid, mask: Path | None) -> tuple[int, int]:
    """The pixel of the source: in the middle, or as near to it as the mask allows."""
    y, x = np.mgrid[0 : grid.ny, 0 : grid.nx]
    distance = np.hypot(x - grid.nx // 2, y - grid.ny // 2)
    if mask is not None:
        allowed = read_image(mask).data > 0
        assert allowed.shape == grid.shape, "the mask does not fit"
        distance = np.where(allowed, distance, np.inf)
    at = np.unravel_index(int(np.argmin(distance)), grid.shape)
    return int(at[0]), int(at[1])


def _beam_at(grid: SkyGrid, y: int, x: int) -> np.ndarray:
    rows, columns = np.mgrid[0 : grid.ny, 0 : grid.nx]
    squared = (rows - y) ** 2 + (columns - x) ** 2
    return np.exp(-4 * np.log(2) * squared / BEAM_PIXELS**2)


def _sexagesimal(ra_deg: float, dec_deg: float) -> tuple[str, str]:
    from astropy.coordinates import Angle

    ra = Angle(ra_deg, "deg").to_string(unit="hourangle", sep=":", precision=4, pad=True)
    return ra, Angle(dec_deg, "deg").to_string(sep=".", precision=3, pad=True, alwayssign=True)


def main(arguments: list[str]) -> None:
    """Do what the arguments say."""
    assert not {"-multiscale", "-local-rms"} <= set(arguments), "free(): double free detected"
    assert {"-no-update-model-required", "-abs-mem"} <= set(arguments)
    sets = [Path(argument) for argument in arguments if argument.endswith(".ms")]
    parts = [dp3.read(ms, _value(arguments, "-data-column")) for ms in sets]
    at = arguments.index("-size")
    nx, ny = int(arguments[at + 1]), int(arguments[at + 2])
    grid = SkyGrid(*parts[0].centre, nx, ny, float(_value(arguments, "-scale").removesuffix("asec")))
    name, mask = Path(_value(arguments, "-name")), _value(arguments, "-fits-mask")
    content = b"".join(np.round(part.values, 3).tobytes() for part in parts)
    random = np.random.default_rng([zlib.crc32(content), nx])
    data = random.normal(0.0, NOISE_JY, grid.shape)
    infix = "-MFS" if "-channels-out" in arguments else ""
    header = grid.header(freq_hz=float(np.mean(parts[0].freqs)))
    beam = _value(arguments, "-beam-shape").removesuffix("asec")
    header["BMAJ"] = float(beam) / 3600 if beam else BEAM_PIXELS * grid.cellsize_deg
    header["BMIN"], header["BPA"] = 0.9 * header["BMAJ"], 10.0
    header["BUNIT"] = "JY/BEAM"
    if "-make-psf-only" in arguments:
        psf = _beam_at(grid, ny // 2, nx // 2)
        write_image(name.with_name(f"{name.name}{infix}-psf.fits"), psf, header)
        return
    if "-niter" in arguments:
        y, x = _source(grid, Path(mask) if mask else None)
        flux = 1.0 + 0.001 * (zlib.crc32(content) % 7)
        data += flux * _beam_at(grid, y, x)
        if "-save-source-list" in arguments:
            ra, dec = _sexagesimal(*(float(v) for v in grid.wcs.pixel_to_world_values(x, y)))
            line = f"s0c0,POINT,{ra},{dec},{flux},[-0.7],false,144000000,,,\n"
            name.with_name(f"{name.name}-sources.txt").write_text(_FORMAT + line)
    else:
        # WSClean fits no beam where it restores nothing.
        del header["BMAJ"], header["BMIN"], header["BPA"]
    write_image(name.with_name(f"{name.name}{infix}-image.fits"), data.astype(np.float32), header)
