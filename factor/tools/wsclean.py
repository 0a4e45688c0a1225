"""WSClean calls: a frozen value whose fields are the tool's options, and the files it leaves.

The names and meanings of the options are WSClean's own; see its documentation,
https://wsclean.readthedocs.io.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from factor.tools.command import Command
from factor.tools.environment import Tools


@dataclass(frozen=True)
class WSClean:
    """Options of one image.

    Attributes
    ----------
    name : Path
        Prefix of everything it writes.
    size : int
        Width of the image, pixels.
    height : int
        Its height; 0 for a square one.
    scale_arcsec : float
        Pixel size.
    robust : float
        Briggs robustness.
    taper_arcsec : float
        Size of the Gaussian taper; 0 for none.
    minuv_lambda : float
        Shortest baseline used.
    padding : float
        Factor by which the image is padded while gridding.
    channels_out : int
        Number of output channels, deconvolved together.
    spectral_terms : int
        Terms of the polynomial fitted over the output channels; 0 for none.
    baseline_averaging : float
        Baseline-dependent averaging, in wavelengths; 0 for none.
    beam : (major arcsec, minor arcsec, position angle deg) or None
        Restoring beam; fitted when None.
    pol : str
        Stokes parameter.
    idg_mode : str
        ``cpu``, ``gpu`` or ``hybrid``: grid with IDG, square images only and without
        baseline-dependent averaging; empty for the w-gridder.
    psf_only : bool
        Make the point spread function alone.
    save_source_list : bool
        Write the clean components as a sky model.
    """

    name: Path
    size: int
    scale_arcsec: float
    robust: float = -0.5
    taper_arcsec: float = 0.0
    minuv_lambda: float = 0.0
    maxuv_lambda: float = 0.0
    padding: float = 1.6
    channels_out: int = 1
    spectral_terms: int = 0
    height: int = 0
    niter: int = 0
    mgain: float = 0.8
    auto_mask: float = 0.0
    auto_threshold: float = 0.0
    local_rms: bool = False
    multiscale: bool = False
    multiscale_scales: tuple[float, ...] = ()
    fits_mask: Path | None = None
    baseline_averaging: float = 0.0
    beam: tuple[float, float, float] | None = None
    pol: str = "I"
    idg_mode: str = ""
    psf_only: bool = False
    save_source_list: bool = False
    data_column: str = "DATA"

    def __post_init__(self) -> None:
        # WSClean 3.1 as Debian builds it aborts with both ("double free"), either alone works.
        if self.multiscale and self.local_rms:
            object.__setattr__(self, "local_rms", False)
        if self.idg_mode and self.height not in (0, self.size):
            raise ValueError("IDG makes square images only")
        if self.idg_mode and self.baseline_averaging:
            raise ValueError("IDG cannot average by baseline")

    @property
    def joined(self) -> bool:
        return self.channels_out > 1

    def _suffixed(self, kind: str) -> Path:
        infix = "-MFS" if self.joined else ""
        return self.name.with_name(f"{self.name.name}{infix}-{kind}.fits")

    @property
    def image(self) -> Path:
        """The restored image (of all output channels together)."""
        return self._suffixed("image")

    @property
    def psf(self) -> Path:
        return self._suffixed("psf")

    @property
    def model(self) -> Path:
        return self._suffixed("model")

    @property
    def residual(self) -> Path:
        return self._suffixed("residual")

    @property
    def source_list(self) -> Path:
        return self.name.with_name(f"{self.name.name}-sources.txt")

    @property
    def outputs(self) -> tuple[Path, ...]:
        """What a finished run must have left."""
        if self.psf_only:
            return (self.psf,)
        lists = (self.source_list,) if self.save_source_list else ()
        return (self.image, *lists)


def wsclean_command(
    tools: Tools, options: WSClean, mss: Sequence[Path], *, threads: int, memory_gb: float
) -> Command:
    """The command that makes an image.

    Parameters
    ----------
    tools : Tools
        The programs found.
    options : WSClean
        What to make.
    mss : sequence of Path
        Measurement sets to image together.
    threads : int
        Threads that it may use.
    memory_gb : float
        Memory that it may use: an absolute number, since a fraction would be of the
        whole node and not of what a batch system granted.
    """
    argv = [
        str(tools.wsclean),
        "-no-update-model-required",
        *_gridding(options),
        *_cleaning(options),
        "-data-column",
        options.data_column,
        "-name",
        str(options.name),
        *(str(ms) for ms in mss),
    ]
    resources = (
        "-j", str(threads),
        "-abs-mem", f"{memory_gb:.1f}",
        "-temp-dir", str(options.name.parent),
        "-no-dirty",
    )  # fmt: skip
    # Dozens of times what is wanted: images of each channel, residuals, models, PSFs.
    others = options.name.with_name(f"{glob.escape(options.name.name)}-*.fits")
    return Command("WSClean", tuple(argv), resources, tools.environment, options.outputs, (others,))


def _gridding(o: WSClean) -> list[str]:
    argv = [
        *(["-use-idg", "-idg-mode", o.idg_mode] if o.idg_mode else ["-use-wgridder"]),
        "-size", str(o.size), str(o.height or o.size),
        "-scale", f"{o.scale_arcsec:g}asec",
        "-weight", "briggs", f"{o.robust:g}",
        "-padding", f"{o.padding:g}",
        "-pol", o.pol,
    ]  # fmt: skip
    if o.taper_arcsec > 0:
        argv += ["-taper-gaussian", f"{o.taper_arcsec:g}asec"]
    if o.minuv_lambda > 0:
        argv += ["-minuv-l", f"{o.minuv_lambda:g}"]
    if o.maxuv_lambda > 0:
        argv += ["-maxuv-l", f"{o.maxuv_lambda:g}"]
    if o.baseline_averaging > 0:
        argv += ["-baseline-averaging", f"{o.baseline_averaging:g}"]
    if o.joined:
        argv += ["-channels-out", str(o.channels_out), "-join-channels"]
    if o.psf_only:
        argv += ["-make-psf-only"]
    if o.beam is not None:
        major, minor, angle = o.beam
        argv += ["-beam-shape", f"{major:.6f}asec", f"{minor:.6f}asec", f"{angle:.4f}deg"]
    return argv


def _cleaning(o: WSClean) -> list[str]:
    if o.niter <= 0:
        return []
    argv = ["-niter", str(o.niter), "-mgain", f"{o.mgain:g}"]
    if o.auto_mask > 0:
        argv += ["-auto-mask", f"{o.auto_mask:g}"]
    if o.auto_threshold > 0:
        argv += ["-auto-threshold", f"{o.auto_threshold:g}"]
    if o.local_rms:
        argv += ["-local-rms"]
    if o.multiscale:
        argv += ["-multiscale", "-multiscale-shape", "gaussian"]
        if o.multiscale_scales:
            argv += ["-multiscale-scales", ",".join(f"{s:g}" for s in o.multiscale_scales)]
    if o.joined and o.spectral_terms > 0:
        argv += ["-fit-spectral-pol", str(o.spectral_terms)]
    if o.fits_mask is not None:
        argv += ["-fits-mask", str(o.fits_mask)]
    if o.save_source_list:
        argv += ["-save-source-list"]
    return argv
