"""What the user's programs are told."""

from __future__ import annotations

import shlex
import time
from pathlib import Path

import pytest

from factor.parset.settings import CheckfactorSettings
from factor.progress import viewers
from factor.progress.viewers import Ds9, Viewers
from factor.tools import runner

ONE = (Path("/w/a.fits"),)
TWO = (Path("/w/pre.fits"), Path("/w/post.fits"))


def lines(ds9: Ds9, images: tuple[Path, ...]) -> list[str]:
    return [shlex.join(message) for message in ds9.messages(images)]


def test_ds9_messages() -> None:
    """Golden: limits, regions and frames as the parset says."""
    assert lines(Ds9("f"), ONE) == ["tile no", "file /w/a.fits", "zoom to fit"]
    full = Ds9("f", (-0.001, 0.01), new_frame=True, regions=Path("/w/facets.reg"))
    assert lines(full, ONE) == [
        "frame new", "file /w/a.fits", "scale limits -0.001 0.01", "regions load /w/facets.reg", "zoom to fit"
    ]
    assert lines(Ds9("f"), TWO) == [
        "frame 1", "file /w/pre.fits", "frame 2", "file /w/post.fits",
        "tile yes", "lock frame wcs", "zoom to fit",
    ]
    assert Ds9("f").send(("tile", "no")) == ("xpaset", "-p", "f", "tile", "no")


def test_ds9_start() -> None:
    """Golden: a new ds9 has the same on its command line, and an empty frame already."""
    ds9 = Ds9("f", (-0.001, 0.01), new_frame=True)
    assert shlex.join(ds9.start(TWO)) == (
        "ds9 -title f /w/pre.fits -scale limits -0.001 0.01 -frame new /w/post.fits "
        "-scale limits -0.001 0.01 -tile yes -lock frame wcs -zoom to fit"
    )


class Shell:
    """Programs that are there, and what was started and asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *programs: str, up: bool = False) -> None:
        self.programs, self.up, self.said = programs, up, list[str]()
        monkeypatch.setattr(viewers.runner, "start_viewer", self.start)
        monkeypatch.setattr(viewers.runner, "answers", self.answers)

    def find(self, program: str) -> str | None:
        return f"/bin/{program}" if program in self.programs else None

    def start(self, argv: tuple[str, ...], *_: object) -> None:
        self.said.append(shlex.join(argv))
        self.up = True

    def answers(self, argv: tuple[str, ...], *_: object, **__: object) -> bool:
        if argv[0] == "xpaset":
            self.said.append(shlex.join(argv[3:]))
        return self.up

    def show(self, settings: CheckfactorSettings, paths: tuple[Path, ...]) -> str:
        shown = Viewers(settings, Path("/w/none.reg"), find=self.find).show(paths)
        time.sleep(0.05)  # ds9 is told in another thread
        return shown


def settings(viewer: str = "ds9", display: str | None = None) -> CheckfactorSettings:
    return CheckfactorSettings(viewer, False, None, "current", display)


def test_which_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that the parset names, if it is installed; else none."""
    plots = (Path("/w/gains.png"),)
    shell = Shell(monkeypatch, "casaviewer", "display")
    assert shell.show(settings("casa"), TWO) == "casaviewer"
    assert shell.show(settings("casa", "display"), plots) == "display"
    assert shell.show(settings("ds9", "eog"), plots) == ""
    assert shell.show(settings("ds9"), ONE) == ""
    assert shell.show(settings("casa"), plots) == ""
    assert shell.said == ["casaviewer /w/pre.fits", "casaviewer /w/post.fits", "display /w/gains.png"]
    both = Viewers(settings("ds9", None), Path("/w/none.reg"), find=lambda _: None)
    assert (both.missing(ONE[0]), both.missing(plots[0])) == ("ds9", "")


def test_one_ds9_for_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started once and told of further images; without XPA each has its own."""
    shell = Shell(monkeypatch, "ds9", "xpaset", "xpaget")
    shell.show(settings(), ONE)
    assert shell.said.pop().endswith("-tile no /w/a.fits -zoom to fit")
    shell.show(settings(), TWO)
    assert shell.said[0] == "frame 1"
    alone = Shell(monkeypatch, "ds9", up=True)
    alone.show(settings(), ONE)
    assert alone.said[0].startswith("ds9 -title")


def test_viewers_are_started_and_asked(tmp_path: Path) -> None:
    """A viewer is not waited for; an answer is, and XPA's errors are failures whatever the exit status."""
    mark = tmp_path / "mark"
    runner.start_viewer(("sh", "-c", f"echo $X > {mark}.part; mv {mark}.part {mark}"), (("X", "seen"),))
    assert runner.answers(("sh", "-c", f"cat {mark}"), (), 10.0, patient=True)
    assert mark.read_text() == "seen\n"
    assert not runner.answers(("sh", "-c", "echo 'XPA$ERROR no such thing'"), (), 5.0)
    assert not runner.answers(("sleep", "9"), (), 0.1)
    with pytest.raises(runner.FactorError, match="cannot start /no/such"):
        runner.start_viewer(("/no/such",))
