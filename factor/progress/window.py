"""The window of checkfactor: the field's facets, how they stand, and what there is to look at."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

from factor.errors import FactorError
from factor.parset.settings import CheckfactorSettings
from factor.products.images.plot import label_sky
from factor.progress import gui, panel
from factor.progress.fieldmap import FieldMap, map_wcs
from factor.progress.gallery import TITLES, Kind, products_of, redrawn
from factor.progress.looks import LOOKS, counted
from factor.progress.model import Direction, Progress
from factor.progress.pictures import NewFigure, position_under, show_images, show_plots
from factor.progress.reading import Reader
from factor.progress.viewers import Viewers

#: Time between two looks at the working directory, ms.
REFRESH_MS = 60_000
#: Time between two looks for what viewers have to say, ms.
_LISTEN_MS = 500

KEYS: dict[str, Kind] = {"c": "selfcal", "i": "facet", "v": "verify", "t": "phases", "g": "gains"}

#: Of the window, inches; where the map is in it, and where the panel begins.
_SIZE = (12.4, 7.0)
_MAP = (0.075, 0.1, 0.57, 0.83)
_PANEL = 0.675

_LEFT, _RIGHT = 1, 3


def open_window(reader: Reader, settings: CheckfactorSettings, *, full_names: bool) -> bool:
    """Open the window and stay until the user closes it.

    Parameters
    ----------
    reader : Reader
        Of the working directory.
    settings : CheckfactorSettings
        Programs that show images.
    full_names : bool
        Whether facets have their full names.

    Returns
    -------
    bool
        False when the display cannot be opened.

    Raises
    ------
    InputError
        When there is no run to show, or no toolkit for windows.
    """
    reader.read()
    pyplot = gui.open_toolkit()
    if pyplot is None:
        return False
    viewers = Viewers(settings, reader.workspace.facets_region)
    window = Window(
        _new_figure(pyplot, f"checkfactor {reader.workspace.root}", _SIZE),
        reader, viewers, partial(_show_figure, pyplot), full_names=full_names,
    )  # fmt: skip
    window.start_timers()
    pyplot.show()
    return True


def _new_figure(pyplot: Any, title: str, size: tuple[float, float]) -> Any:
    figure = pyplot.figure(figsize=size)
    figure.canvas.manager.set_window_title(title)
    # matplotlib's own keys mean other things: v is "forward", g a grid.
    figure.canvas.mpl_disconnect(figure.canvas.manager.key_press_handler_id)
    return figure


def _show_figure(pyplot: Any, title: str, size: tuple[float, float]) -> Any:
    figure = _new_figure(pyplot, title, size)
    figure.canvas.mpl_connect(
        "key_press_event", lambda event: close(figure) if event.key in ("q", "escape") else None
    )
    figure.show()
    return figure


def close(figure: Any) -> None:
    """Close the window of a figure."""
    from matplotlib import pyplot

    # Tk complains of drawings that are still to be done when their window goes.
    figure.canvas.flush_events()
    pyplot.close(figure)


class Window:
    """Draws what goes on into a figure, and answers clicks and keys.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        An empty one.
    reader : Reader
        Of the working directory.
    viewers : Viewers
        The user's programs for images.
    new_figure : callable
        Opens a window of Factor's own for images.
    full_names : bool
        Whether facets have their full names.
    """

    def __init__(
        self, figure: Any, reader: Reader, viewers: Viewers, new_figure: NewFigure, *, full_names: bool
    ) -> None:
        self.figure = figure
        self.selected = ""
        self._reader = reader
        self._viewers = viewers
        self._new_figure = new_figure
        self._full_names = full_names
        self._progress = reader.read()
        self._map: FieldMap | None = None
        self._layout: object = None
        self._legend: Any = None
        self._timers: list[Any] = []
        self._helps = False
        self._drawn = TemporaryDirectory(prefix="checkfactor.")
        top = _MAP[1] + _MAP[3]
        self._name = figure.text(_PANEL, top, "", fontsize=12, fontweight="bold", va="top")
        self._panel = figure.text(_PANEL, top - 0.045, "", fontsize=9, va="top", linespacing=1.3)
        self._message = figure.text(0.012, 0.015, "", fontsize=9)
        self._draw()
        figure.canvas.mpl_connect("button_press_event", self._on_click)
        figure.canvas.mpl_connect("key_press_event", self._on_key)

    @property
    def text(self) -> str:
        """What the panel says."""
        return f"{self._name.get_text()}\n{self._panel.get_text()}"

    @property
    def message(self) -> str:
        """What the line at the bottom says."""
        return str(self._message.get_text())

    def start_timers(self) -> None:
        """Look again each minute, and listen to viewers."""
        for interval_ms, action in ((REFRESH_MS, self.update), (_LISTEN_MS, self._listen)):
            timer = self.figure.canvas.new_timer(interval=interval_ms)
            timer.add_callback(action)
            timer.start()
            self._timers.append(timer)

    def update(self) -> None:
        """Read the working directory, and draw how it stands; keep what is shown where that fails."""
        try:
            self._progress = self._reader.read()
        except (FactorError, OSError) as error:
            self._say(f"not updated: {_first_line(error)}")
        else:
            self._draw()

    # -- drawing -----------------------------------------------------------------------

    def _draw(self) -> None:
        progress = self._progress
        layout = (progress.centre_deg, progress.radius_deg, tuple(d.planned for d in progress.directions))
        if layout != self._layout:
            self._layout = layout
            self._draw_map(progress)
        elif self._map is not None:
            self._map.colour(progress)
        if self._find(self.selected) is None:
            self.selected = ""
        if self._legend is not None:
            self._legend.remove()
        self._legend = self._draw_legend(progress) if self._map is not None else None
        self._write_panel()
        self._say(f"updated {time.strftime('%H:%M:%S')}")

    def _draw_map(self, progress: Progress) -> None:
        for axes in list(self.figure.axes):
            axes.remove()
        self._map = None
        if progress.centre_deg is None or not any(d.planned.vertices for d in progress.directions):
            axes = self.figure.add_axes(_MAP)
            axes.set_axis_off()
            axes.text(0.5, 0.5, _no_facets(progress), ha="center", va="center")
            return
        axes = self.figure.add_axes(_MAP, projection=map_wcs(progress.centre_deg))
        label_sky(axes, 9)
        axes.coords.grid(color="black", alpha=0.12, linestyle="-", linewidth=0.5)
        axes.format_coord = partial(position_under, axes.wcs)
        self._map = FieldMap(axes, progress, full_names=self._full_names)
        self._map.select(self.selected)

    def _draw_legend(self, progress: Progress) -> Any:
        from matplotlib.patches import Patch

        handles = [
            Patch(facecolor=LOOKS[state].colour, hatch=LOOKS[state].hatch or None, edgecolor="#4d4d4d",
                  label=f"{state} ({count})")
            for state, count in counted(progress.directions).items()
        ]  # fmt: skip
        return self.figure.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(_PANEL - 0.01, 0.05), ncols=2,
            fontsize=9, frameon=False, handlelength=2.2, handleheight=1.4,
        )  # fmt: skip

    def _write_panel(self) -> None:
        chosen, now = self._find(self.selected), time.time()
        if self._helps:
            title, lines = "Keys", list(panel.HELP)
        elif chosen is None:
            title, lines = Path(self._progress.root).name, panel.about_run(self._progress, now)
        else:
            title, *lines = panel.about_direction(chosen, self._progress, now)
        self._name.set_text(title)
        self._panel.set_text(panel.wrapped(lines))

    def _say(self, message: str) -> None:
        self._message.set_text(message)
        self.figure.canvas.draw_idle()

    def _find(self, name: str) -> Direction | None:
        return next((d for d in self._progress.directions if d.name == name), None)

    # -- what the user does ---------------------------------------------------------------

    def _on_click(self, event: Any) -> None:
        toolbar = self.figure.canvas.toolbar
        if self._map is None or (toolbar is not None and str(toolbar.mode)):
            return
        if event.button == _RIGHT:
            self._select("")
        elif event.button == _LEFT and event.inaxes is not None:
            self._select(self._map.at(event.xdata, event.ydata) or self.selected)

    def _select(self, name: str) -> None:
        self.selected = name
        self._helps = False
        if self._map is not None:
            self._map.select(name)
        self._write_panel()
        self._say("")

    def _on_key(self, event: Any) -> None:
        if event.key == "u":
            self.update()
        elif event.key == "h":
            self._helps = not self._helps
            self._write_panel()
            self._say("")
        elif event.key == "q":
            close(self.figure)
        elif event.key in KEYS:
            try:
                self._say(self._show(KEYS[event.key]))
            except (FactorError, OSError) as error:
                self._say(f"not shown: {_first_line(error)}")

    def _show(self, kind: Kind) -> str:
        """Show images or plots of the selected facet; what there is to say of it."""
        direction = self._find(self.selected)
        if direction is None:
            return "select a facet first: left click"
        paths = products_of(self._reader.workspace, direction, kind) or redrawn(
            self._reader.workspace, direction, kind, Path(self._drawn.name)
        )
        if not paths:
            return f"{direction.name}: no {TITLES[kind]} yet"
        title = f"{direction.name}: {TITLES[kind]}"
        program = self._viewers.show(paths)
        if program:
            return f"{title} are shown by {program}"
        if paths[0].suffix == ".png":
            show_plots(paths, title, self._new_figure)
        else:
            show_images(paths, title, self._new_figure, direction.planned.vertices)
        missing = self._viewers.missing(paths[0])
        return f"{title}" + (f" ({missing}, which the parset names, is not installed)" if missing else "")

    def _listen(self) -> None:
        with suppress(Empty):
            self._say(self._viewers.news.get_nowait())


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _no_facets(progress: Progress) -> str:
    if progress.state == "preparing":
        return "No facets yet: the input is being checked\nand cut into chunks."
    if progress.directions:
        return "An older Factor left no map of this run's facets:\nthe next runfactor notes it."
    return "No facets yet."
