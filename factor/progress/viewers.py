"""Programs of the user's that show images: what they are told, and telling them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from factor.parset.settings import CheckfactorSettings
from factor.tools import runner

#: The programs behind the choices of ``facet_viewer``.
PROGRAMS = {"casa": "casaviewer", "ds9": "ds9"}

#: Time within which ds9 answers once it is up, and in which it must have come up, seconds.
ANSWER_S = 10.0
START_S = 40.0

#: XPA over a socket of this machine: neither a name server nor a network is needed.
XPA = (("XPA_METHOD", "local"),)

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Ds9:
    """What ds9 is told.

    Attributes
    ----------
    title : str
        Of its window: the name under which XPA finds it.
    limits : tuple of float, optional
        Lowest and highest value, Jy/beam.
    new_frame : bool
        Whether an image goes into a new frame instead of the current one.
    regions : Path, optional
        Loaded over every image.
    """

    title: str
    limits: tuple[float, float] | None = None
    new_frame: bool = False
    regions: Path | None = None

    def messages(self, images: Sequence[Path]) -> tuple[Argv, ...]:
        """XPA commands that show images; several of them in frames side by side."""
        # The zoom comes last: what fits depends on the frame's size.
        several = len(images) > 1
        said: list[Argv] = [] if several or self.new_frame else [("tile", "no")]
        for number, image in enumerate(images, 1):
            if self.new_frame:
                said.append(("frame", "new"))
            elif several:
                said.append(("frame", str(number)))
            said.append(("file", str(image)))
            if self.limits is not None:
                said.append(("scale", "limits", *(f"{limit:g}" for limit in self.limits)))
            if self.regions is not None:
                said.append(("regions", "load", str(self.regions)))
        if several:
            said += [("tile", "yes"), ("lock", "frame", "wcs")]
        return (*said, ("zoom", "to", "fit"))

    def start(self, images: Sequence[Path]) -> Argv:
        """A ds9 of its own that begins with these images."""
        said = self.messages(images)
        if self.new_frame:  # it comes up with an empty one
            said = said[1:]
        options = [part for words in said for part in _option(words)]
        return ("ds9", "-title", self.title, *options)

    def send(self, message: Argv) -> Argv:
        """A message to the ds9 that runs."""
        return ("xpaset", "-p", self.title, *message)

    def ask(self) -> Argv:
        """A question that only a ds9 that is up can answer."""
        return ("xpaget", self.title, "version")


def _option(message: Argv) -> Argv:
    """A message as an option of ds9's command line."""
    if message[0] == "file":
        return message[1:]
    return (f"-{message[0]}", *message[1:])


class Viewers:
    """Shows images in the programs that the parset names, where they are installed.

    Parameters
    ----------
    settings : CheckfactorSettings
        Section ``[checkfactor]``.
    regions : Path
        The facets as a file for ds9.
    find : callable, optional
        Path of a program, or None; `shutil.which` when it is left out.

    Attributes
    ----------
    news : queue.SimpleQueue of str
        What went wrong after `show` had returned, in one sentence each.
    """

    def __init__(
        self,
        settings: CheckfactorSettings,
        regions: Path,
        find: Callable[[str], str | None] = shutil.which,
    ) -> None:
        self._settings = settings
        self.news: SimpleQueue[str] = SimpleQueue()
        self._find = find
        self._lock = threading.Lock()
        self._ds9 = Ds9(
            title=f"checkfactor-{os.getpid()}",
            limits=settings.ds9_limits,
            new_frame=settings.ds9_frames == "new",
            regions=regions if settings.ds9_load_regions and regions.exists() else None,
        )

    def missing(self, path: Path) -> str:
        """The program that the parset names for a file but is not installed; empty otherwise."""
        program = self._program(path)
        return program if program and self._find(program) is None else ""

    def show(self, paths: Sequence[Path]) -> str:
        """Show FITS images or PNGs.

        Returns
        -------
        str
            The program; empty when none is named or it is not installed.
        """
        program = self._program(paths[0])
        if not program or self._find(program) is None:
            return ""
        if program == "ds9":
            threading.Thread(target=self._show_in_ds9, args=(tuple(paths),), daemon=True).start()
        elif program == PROGRAMS["casa"]:
            for path in paths:
                runner.start_viewer((program, str(path)))
        else:
            runner.start_viewer((program, *map(str, paths)))
        return program

    def _program(self, path: Path) -> str:
        if path.suffix == ".png":
            return self._settings.image_display or ""
        return PROGRAMS[self._settings.facet_viewer]

    def _show_in_ds9(self, images: tuple[Path, ...]) -> None:
        with self._lock:  # one at a time: a second image must not start a second ds9
            if not all(self._find(program) for program in ("xpaset", "xpaget")):
                runner.start_viewer(self._ds9.start(images), XPA)
                return
            if not runner.answers(self._ds9.ask(), XPA, ANSWER_S):
                runner.start_viewer(self._ds9.start(images), XPA)
                if not runner.answers(self._ds9.ask(), XPA, START_S, patient=True):
                    self.news.put(f"ds9 did not come up within {START_S:.0f} s")
                return
            for message in self._ds9.messages(images):
                if not runner.answers(self._ds9.send(message), XPA, ANSWER_S):
                    self.news.put(f"ds9 refused: {' '.join(message)}")
                    return
