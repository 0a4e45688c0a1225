"""What checkfactor takes for a field of a hundred facets, of which none was ever calibrated.

    python -m tests.benchmarks.hundred_facets [DIR]

run at the top of the checkout. A working directory as a run would leave it is made in DIR (or a
temporary folder): ten images of each calibrator, residual images, facets, plots of the solutions.
Printed are the time to read it, what a report takes, the first time and again, the size of its
page with the small pictures, and how long the window needs to open and to answer a click and
the key u; that with a display, when there is one.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from factor.parset.settings import CheckfactorSettings
from factor.progress import gui
from factor.progress.model import Progress
from factor.progress.reading import Reader
from factor.progress.report.page import write_report
from factor.progress.text import lines_of
from factor.progress.viewers import Viewers
from factor.progress.window import Window
from factor.workspace import Workspace
from tests.progress.conftest import Site
from tests.progress.hundred import Sizes, hundred

#: As for LOFAR's Dutch stations: images of 1.5" pixels, the field at 20".
SIZES = Sizes(512, 1470, 2000, ("fast_phase", "slow_amplitude", "slow_phase"))


def cpu_s() -> float:
    """CPU time of this process and of those that have ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def timed(what: str, action: Callable[[], Any]) -> Any:
    """Do something, and print what it took."""
    begin, cpu = time.monotonic(), cpu_s()
    result = action()
    print(f"{what}: {time.monotonic() - begin:.2f} s, CPU {cpu_s() - cpu:.2f} s", flush=True)  # noqa: T201
    return result


def report(reader: Reader, progress: Progress, folder: Path) -> None:
    """Write a report, again when nothing is new, and look how large it is."""
    for what in ("report", "report, again"):
        timed(what, lambda: write_report(reader.workspace, progress, reader.records, folder))
    for what, paths in (
        ("page with small pictures", [folder / "index.html", *(folder / "thumbs").iterdir()]),
        ("large pictures", list((folder / "pictures").iterdir())),
    ):
        print(f"{what}: {sum(path.stat().st_size for path in paths) / 1e6:.1f} MB")  # noqa: T201


def window(reader: Reader) -> None:
    """Open the window, click on facets and update it."""
    from matplotlib.backend_bases import KeyEvent, MouseEvent
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pyplot = gui.open_toolkit() if gui.has_display() else None
    figure = pyplot.figure(figsize=(12.4, 7.0)) if pyplot else Figure(figsize=(12.4, 7.0))
    canvas = figure.canvas if pyplot else FigureCanvasAgg(figure)
    settings = CheckfactorSettings("casa", False, None, "current", None)
    viewers = Viewers(settings, reader.workspace.facets_region)

    def draw() -> None:
        canvas.draw()
        if pyplot:
            canvas.flush_events()

    def opened() -> None:
        Window(figure, reader, viewers, lambda *_: figure, full_names=False)
        draw()

    def click(x: float) -> None:
        place = figure.axes[0].transAxes.transform((x, 0.5))
        canvas.callbacks.process("button_press_event", MouseEvent("button_press_event", canvas, *place, 1))
        draw()

    def key(name: str) -> None:
        canvas.callbacks.process("key_press_event", KeyEvent("key_press_event", canvas, name))
        draw()

    timed(f"window, opened with {type(canvas).__name__}", opened)
    for x in (0.3, 0.5, 0.7):
        timed("window, a click", lambda x=x: click(x))
    timed("window, key u", lambda: key("u"))


def main(folder: Path) -> None:
    """Make the working directory, and measure."""
    site = Site(Workspace(folder / "work"), time.time())
    if not site.workspace.root.exists():
        site.workspace.root.mkdir(parents=True)
        site.workspace.log.write_text("")
        hundred(site, cycles=10, sizes=SIZES)
    reader = Reader(site.workspace)
    progress = timed("reading", reader.read)
    timed("reading, again", reader.read)
    timed("text", lambda: lines_of(progress, time.time()))
    window(reader)
    report(reader, progress, folder / "report")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
