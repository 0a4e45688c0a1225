"""WSClean calls as text, and the files they are expected to leave."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from factor.tools.command import Command
from factor.tools.environment import Tools
from factor.tools.wsclean import WSClean, wsclean_command

PLAIN = WSClean(name=Path("/w/im"), size=512, scale_arcsec=1.5, minuv_lambda=80.0)
CLEAN = replace(
    PLAIN, niter=1000, auto_mask=5.0, auto_threshold=1.0, channels_out=2, spectral_terms=2,
    fits_mask=Path("/w/mask.fits"), save_source_list=True,
)


def command(tools: Tools, options: WSClean) -> Command:
    return wsclean_command(tools, options, [Path("a.ms"), Path("b.ms")], threads=2, memory_gb=3.14159)


def test_golden_image(tools: Tools) -> None:
    """The whole call of a self-calibration image."""
    assert list(command(tools, CLEAN).full_argv) == [
        "/opt/bin/wsclean", "-j", "2", "-abs-mem", "3.1", "-temp-dir", "/w", "-no-dirty",
        "-no-update-model-required", "-use-wgridder", "-size", "512", "512", "-scale", "1.5asec",
        "-weight", "briggs", "-0.5", "-padding", "1.6", "-pol", "I", "-minuv-l", "80",
        "-channels-out", "2", "-join-channels",
        "-niter", "1000", "-mgain", "0.8", "-auto-mask", "5", "-auto-threshold", "1",
        "-fit-spectral-pol", "2", "-fits-mask", "/w/mask.fits", "-save-source-list",
        "-data-column", "DATA", "-name", "/w/im", "a.ms", "b.ms",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("multiscale", "local_rms", "psf_only", "niter"),
    [*itertools.product([True, False], [True, False], [True, False], [0, 100])],
)
def test_every_call_is_safe(
    tools: Tools, multiscale: bool, local_rms: bool, psf_only: bool, niter: int
) -> None:
    """No MODEL_DATA in the user's data, no share of a foreign node's memory, no known crash."""
    options = replace(PLAIN, multiscale=multiscale, local_rms=local_rms, psf_only=psf_only, niter=niter)
    argv = command(tools, options).full_argv
    assert "-no-update-model-required" in argv
    assert "-abs-mem" in argv
    assert "-mem" not in argv
    assert "-temp-dir" in argv
    assert not {"-multiscale", "-local-rms"} <= set(argv)
    assert not {"-apply-primary-beam", "-apply-facet-beam", "-grid-with-beam", "-use-idg"} & set(argv)


def test_one_of_the_two_stays(tools: Tools) -> None:
    """Where both would crash, multiscale is what was asked for; alone each is kept."""
    both = command(tools, replace(PLAIN, niter=10, multiscale=True, local_rms=True)).argv
    alone = command(tools, replace(PLAIN, niter=10, local_rms=True)).argv
    assert "-multiscale" in both
    assert "-local-rms" in alone


def test_golden_idg(tools: Tools) -> None:
    """IDG takes the place of the w-gridder; WSClean refuses it with rectangles and averaged baselines."""
    argv = command(tools, replace(PLAIN, idg_mode="hybrid")).argv
    assert argv[2:9] == ("-use-idg", "-idg-mode", "hybrid", "-size", "512", "512", "-scale")
    assert "-use-wgridder" not in argv
    with pytest.raises(ValueError, match="square"):
        replace(PLAIN, idg_mode="cpu", height=256)
    with pytest.raises(ValueError, match="baseline"):
        replace(PLAIN, idg_mode="cpu", baseline_averaging=10.0)


def test_given_scales(tools: Tools) -> None:
    """Scales reach WSClean as they were given; without any it chooses them itself."""
    given = command(tools, replace(CLEAN, multiscale=True, multiscale_scales=(0.0, 3.0, 7.5))).argv
    assert given[given.index("-multiscale-scales") + 1] == "0,3,7.5"
    assert "-multiscale-scales" not in command(tools, replace(CLEAN, multiscale=True)).argv


def test_outputs_of_one_channel(tools: Tools) -> None:
    """Without output channels there is no MFS in the names."""
    options = replace(PLAIN, niter=10, save_source_list=True)
    assert command(tools, options).outputs == (Path("/w/im-image.fits"), Path("/w/im-sources.txt"))


def test_outputs_of_several_channels(tools: Tools) -> None:
    """The image of all channels together is what counts."""
    assert command(tools, CLEAN).outputs == (Path("/w/im-MFS-image.fits"), Path("/w/im-sources.txt"))


def test_outputs_of_a_psf(tools: Tools) -> None:
    """A point spread function alone leaves no image to wait for."""
    psf = command(tools, replace(PLAIN, psf_only=True))
    assert psf.outputs == (Path("/w/im-psf.fits"),)
    assert "-make-psf-only" in psf.argv


def test_spectra_are_fitted_where_there_are_channels(tools: Tools) -> None:
    """Rule 8: output channels without a fit give every component a wild spectrum."""
    argv = command(tools, CLEAN).argv
    assert argv[argv.index("-channels-out") + 1] == "2"
    assert "-fit-spectral-pol" in argv
    assert "-join-channels" in argv
    assert "-fit-spectral-pol" not in command(tools, replace(CLEAN, channels_out=1)).argv


def test_given_beam(tools: Tools) -> None:
    """Rule 10: the field's restoring beam reaches WSClean with its angle."""
    argv = command(tools, replace(CLEAN, beam=(6.0, 4.5, -33.25))).argv
    at = argv.index("-beam-shape")
    assert argv[at + 1 : at + 4] == ("6.000000asec", "4.500000asec", "-33.2500deg")


def test_threads_do_not_decide(tools: Tools) -> None:
    """On another machine the same image is the same step."""
    one = wsclean_command(tools, PLAIN, [Path("a.ms")], threads=1, memory_gb=1.0)
    other = wsclean_command(tools, PLAIN, [Path("a.ms")], threads=8, memory_gb=64.0)
    assert one.argv == other.argv
    assert one.resources != other.resources
