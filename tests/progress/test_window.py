"""The window of checkfactor: clicks and keys on a figure without a display."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.backend_bases import KeyEvent, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from factor.errors import InputError
from factor.parset.settings import CheckfactorSettings
from factor.products.images.image import SkyGrid, write_image
from factor.products.solutions.soltabs import PHASE, Frame, Soltab, write_h5parm
from factor.progress import gui
from factor.progress.reading import Reader
from factor.progress.viewers import Viewers
from factor.progress.window import REFRESH_MS, Window
from factor.state.plan import PlannedDirection, Work
from tests.progress.conftest import BAD, GOOD, Site

SETTINGS = CheckfactorSettings("casa", False, None, "current", None)
#: Four squares around the field's centre.
PLACES = {"facet_patch_0": (217.0, 51.6), "facet_patch_1": (218.0, 51.6),
          "facet_patch_2": (217.0, 52.4), "facet_patch_3": (218.0, 52.4)}


def square(ra: float, dec: float, half: float = 0.35) -> tuple[tuple[float, float], ...]:
    west, east, south, north = ra - half, ra + half, dec - half, dec + half
    return ((west, south), (east, south), (east, north), (west, north))


def plan(site: Site) -> None:
    directions = tuple(PlannedDirection(n, *p, square(*p)) for n, p in PLACES.items())
    names = tuple(PLACES)
    site.plan(names, directions=directions, groups=tuple((n,) for n in names),
              work=(Work("facetselfcal", names, 10), Work("facetsub", names),
                    Work("facetimage", names, 5), Work("facetimage_c5r0t20u80", names, 5)))
    site.pulse(started=3000)
    site.lock()


class Desk:
    """A window with its figure, and the windows of images that it opened."""

    def __init__(self, site: Site, *, full_names: bool = False) -> None:
        self.site = site
        self.figure = Figure(figsize=(12.5, 7.6))
        FigureCanvasAgg(self.figure)
        self.opened: list[tuple[str, Figure]] = []
        viewers = Viewers(SETTINGS, site.workspace.facets_region, find=lambda _: None)
        reader = Reader(site.workspace)
        self.window = Window(self.figure, reader, viewers, self._new_figure, full_names=full_names)
        self.figure.canvas.draw()

    def _new_figure(self, title: str, size: tuple[float, float]) -> Figure:
        figure = Figure(figsize=size)
        FigureCanvasAgg(figure)
        self.opened.append((title, figure))
        return figure

    def click(self, ra: float, dec: float, button: int = 1) -> None:
        axes = self.figure.axes[0]
        x, y = axes.transData.transform(axes.wcs.world_to_pixel_values(ra, dec))
        self.canvas_event(MouseEvent("button_press_event", self.figure.canvas, x, y, button))

    def key(self, key: str) -> None:
        self.canvas_event(KeyEvent("key_press_event", self.figure.canvas, key))

    def canvas_event(self, event: Any) -> None:
        self.figure.canvas.callbacks.process(event.name, event)

    def colours(self) -> dict[str, str]:
        """Colour and hatch of every facet, by the place of its patch."""
        from matplotlib.colors import to_hex
        from matplotlib.patches import Polygon

        patches = [p for p in self.figure.axes[0].patches if isinstance(p, Polygon)]
        looks = [to_hex(p.get_facecolor()) + (p.get_hatch() or "") for p in patches]
        return dict(zip(PLACES, looks, strict=True))


def states(site: Site) -> None:
    """Facet 0 imaged twice, 1 failed, 2 is being calibrated, 3 waits."""
    plan(site)
    site.calibrated("facet_patch_0", (2900, 2500))
    site.record("facetimage", "facet_patch_0", (2400, 2300), results={"solutions": "own"})
    site.record("facetimage_c5r0t20u80", "facet_patch_0", (2200, 2100), results={"solutions": "own"})
    site.calibrated("facet_patch_1", (2000, 1800), BAD)
    site.record("facetselfcal", "facet_patch_2", (600, None), n=4)


def test_colours_follow_the_state(site: Site) -> None:
    """Each facet is coloured as it stands, and the legend counts them."""
    states(site)
    desk = Desk(site)
    assert desk.colours() == {"facet_patch_0": "#004c80", "facet_patch_1": "#e69f00//",
                              "facet_patch_2": "#56b4e9", "facet_patch_3": "#f0f0f0"}
    (legend,) = desk.figure.legends
    entries = {text.get_text() for text in legend.get_texts()}
    assert {"image 2 (1)", "selfcal failed (1)", "processing (1)", "unprocessed (1)", "error (0)"} <= entries


def test_clicks_select_and_deselect(site: Site) -> None:
    """Left tells completed and current operation, its start and step; right goes back to the run."""
    states(site)
    desk = Desk(site)
    assert "running since" in desk.window.text
    desk.click(*PLACES["facet_patch_2"])
    assert desk.window.selected == "facet_patch_2"
    for part in ("nothing yet", "current:\n   facetselfcal", "since ", "(10 min)", "step 4 of about 10"):
        assert part in desk.window.text
    desk.click(*PLACES["facet_patch_0"])
    done = ("facetselfcal", "facetsub", "facetimage", "facetimage_c5r0t20u80")
    assert "\n   ".join(("completed:", *done)) in desk.window.text
    assert "verdict: good" in desk.window.text
    desk.click(*PLACES["facet_patch_1"])
    assert "flagged solutions: 0.8 (limit 0.5)" in desk.window.text
    desk.click(*PLACES["facet_patch_1"], button=3)
    assert desk.window.selected == ""
    assert "running since" in desk.window.text


def test_stale(site: Site) -> None:
    """What would come out differently now is marked on the map; the panel has the reasons."""
    states(site)
    site.record("facetselfcal", "facet_patch_0", (2000, 1500), results={"verdict": GOOD}, stale=("x is new",))
    desk = Desk(site)
    assert "0 ↻" in {text.get_text() for text in desk.figure.axes[0].texts}
    assert "stale because x is new" in desk.window.text
    desk.click(*PLACES["facet_patch_0"])
    assert "facetselfcal (stale)" in desk.window.text
    assert "because\n   x is new" in desk.window.text


def test_patches_lie_above_facets(site: Site) -> None:
    """A small patch on a facet can be selected."""
    place = PLACES["facet_patch_0"]
    directions = (PlannedDirection("patch", *place, square(*place, half=0.05), is_patch=True),
                  PlannedDirection("facet", *place, square(*place)))
    site.plan(("patch", "facet"), directions=directions)
    desk = Desk(site)
    desk.click(*place)
    assert desk.window.selected == "patch"
    desk.click(place[0] + 0.2, place[1])
    assert desk.window.selected == "facet"


def test_far_outlier(site: Site) -> None:
    """A source to be peeled may be anywhere in the sky: the facets stay large, and it can be selected."""
    far = PlannedDirection("CygA", 217.5, 80.0, square(217.5, 80.0, half=0.1), is_patch=True)
    near = PlannedDirection("facet", 217.5, 52.0, square(217.5, 52.0))
    site.plan(("CygA", "facet"), directions=(far, near))
    desk = Desk(site)
    axes = desk.figure.axes[0]
    assert max(abs(limit) for limit in (*axes.get_xlim(), *axes.get_ylim())) < 200
    assert any("28.0° away" in text.get_text() for text in axes.texts)
    desk.click(217.5, 52.0 + 1.25 * 1.6)
    assert desk.window.selected == "CygA"


def test_names(site: Site) -> None:
    """Numbers on the map, full names with -f."""
    plan(site)
    for full, expected in ((False, {"0", "1", "2", "3"}), (True, set(PLACES))):
        desk = Desk(site, full_names=full)
        assert {text.get_text() for text in desk.figure.axes[0].texts} == expected


def test_refreshing_follows_the_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each minute, and with u, the state is read again; half-written state changes nothing."""
    states(site)
    desk = Desk(site)
    started: list[tuple[int, Any]] = []
    monkeypatch.setattr(FigureCanvasAgg, "new_timer", lambda _, interval: SimpleNamespace(
        add_callback=lambda action: started.append((interval, action)), start=lambda: None))
    desk.window.start_timers()
    refresh = dict(started)[60_000]
    assert REFRESH_MS == 60_000
    desk.click(*PLACES["facet_patch_2"])
    path = site.workspace.record("facetselfcal", "facet_patch_2")
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    refresh()
    assert "not updated" in desk.window.message
    assert desk.colours()["facet_patch_2"] == "#56b4e9"
    path.write_text(whole)
    site.calibrated("facet_patch_2", (600, 10))
    desk.key("u")
    assert desk.colours()["facet_patch_2"] == "#009e73"
    assert desk.window.selected == "facet_patch_2"
    assert "verdict: good" in desk.window.text


def test_facets_that_come_later(site: Site) -> None:
    """The window can be opened before there are facets, and draws them when they come."""
    site.pulse(started=10)
    site.lock()
    desk = Desk(site)
    assert "No facets yet" in desk.figure.axes[0].texts[0].get_text()
    desk.canvas_event(MouseEvent("button_press_event", desk.figure.canvas, 300, 300, 1))
    plan(site)
    desk.key("u")
    assert set(desk.colours()) == set(PLACES)


def test_keys_show_images_and_plots(site: Site) -> None:
    """Keys open what is there, say what is not, and help."""
    states(site)
    desk = Desk(site)
    desk.key("c")
    assert desk.window.message == "select a facet first: left click"
    desk.click(*PLACES["facet_patch_0"])
    for key, missing in (("c", "self-calibration images"), ("i", "facet image"),
                         ("v", "residual images before and after"),
                         ("t", "TEC and phase solutions"), ("g", "gains")):
        desk.key(key)
        assert desk.window.message == f"facet_patch_0: no {missing} yet"
    products(site)
    for key, title, panels in (("c", "self-calibration images", 3), ("i", "facet image", 2),
                               ("v", "residual images before and after", 2)):
        desk.key(key)
        shown, figure = desk.opened.pop()
        assert shown == f"facet_patch_0: {title}"
        assert len([a for a in figure.axes if a.get_title()]) == panels
        assert "casaviewer, which the parset names, is not installed" in desk.window.message
        figure.canvas.draw()
    desk.key("g")
    assert desk.opened.pop()[0] == "facet_patch_0: gains"
    desk.key("t")
    assert "make_selfcal_plots_fast_phase.png cannot be read" in desk.window.message
    desk.key("h")
    assert "right click: deselect" in desk.window.text
    desk.key("h")
    assert desk.window.text.startswith("facet_patch_0")


def test_missing_plots_are_drawn_again(site: Site) -> None:
    """Plots that were deleted come from the solutions, and the working directory stays as it is."""
    states(site)
    folder = site.workspace.products("facetselfcal", "facet_patch_0")
    folder.mkdir(parents=True)
    write_solutions(folder / "combined_solutions.h5")
    desk = Desk(site)
    desk.click(*PLACES["facet_patch_0"])
    desk.key("t")
    shown, figure = desk.opened.pop()
    assert shown == "facet_patch_0: TEC and phase solutions"
    assert len(figure.axes) == 1
    assert [path.name for path in folder.iterdir()] == ["combined_solutions.h5"]


def write_solutions(path: Path) -> None:
    """Phases of two stations."""
    times, freqs = 5e9 + 8.0 * np.arange(10), np.array([144e6])
    values = np.zeros((10, 1, 2))
    phases = Soltab(PHASE, times, freqs, ("CS001HBA0", "CS002HBA0"), None, values, np.ones_like(values))
    write_h5parm(path, {"phase000": phases}, Frame("facet_patch_0", 217.5, 52.0, {}))


def products(site: Site) -> None:
    """Images and plots of facet 0: one plot is cut short."""
    from matplotlib.image import imsave

    name = "facet_patch_0"
    folder = site.workspace.products("facetselfcal", name)
    header = SkyGrid(217.0, 51.6, 40, 30, 5.0).header()
    noise = np.random.default_rng(1).normal(0.0, 1e-3, (30, 40)).astype(np.float32)
    endings = ("wsclean_image00", "wsclean_image01", "wsclean_image02", "wsclean_pre-image",
               "wsclean_post-image", "image_full")
    for ending in endings:
        write_image(folder / f"{name}.{ending}.fits", noise, header)
    for operation in ("facetimage", "facetimage_c5r0t20u80"):
        write_image(site.workspace.products(operation, name) / f"{name}.image_full.fits", noise, header)
    imsave(folder / f"{name}.make_selfcal_plots_slow_amplitude.png", np.zeros((30, 60, 3)))
    (folder / f"{name}.make_selfcal_plots_fast_phase.png").write_bytes(b"\x89PNG\r\n")


def test_it_writes_nothing(site: Site) -> None:
    """Whatever is clicked, the working directory stays as it is."""
    states(site)
    products(site)

    def all_files() -> dict[str, tuple[int, int]]:
        paths = [Path(base, name) for base, _, names in os.walk(site.workspace.root) for name in names]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    before = all_files()
    desk = Desk(site)
    desk.click(*PLACES["facet_patch_0"])
    for key in "civtguhh":
        desk.key(key)
    assert all_files() == before


def test_zooming_does_not_select(site: Site) -> None:
    """A click with the lens of the toolbar zooms only."""
    plan(site)
    desk = Desk(site)
    desk.figure.canvas.toolbar = SimpleNamespace(mode="zoom rect")
    desk.click(*PLACES["facet_patch_0"])
    assert desk.window.selected == ""


def test_a_display_that_cannot_be_opened(site: Site, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    """Text is better than nothing: a connection's forwarded display may be gone."""
    from factor.cli import checkfactor

    site.middle()
    parset = site.workspace.root.parent / "my.parset"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}\n")
    monkeypatch.setenv("DISPLAY", "nowhere:7")
    monkeypatch.setattr(gui, "open_toolkit", lambda: None)
    assert checkfactor.main([str(parset)]) == 0
    shown = capsys.readouterr()
    assert "the display cannot be opened" in shown.err
    assert "facetselfcal" in shown.out


def test_a_qt_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Qt would end the process without its system libraries: it is tried elsewhere, and they are named."""
    monkeypatch.setattr(gui, "BACKENDS", (("QtAgg", ("PySide6",)),))
    monkeypatch.setattr(gui, "_is_there", lambda _: True)
    monkeypatch.setattr("matplotlib.pyplot.switch_backend", lambda _: None)
    monkeypatch.setattr(gui.runner, "answers", lambda *_: False)
    with pytest.raises(InputError, match="apt install libxcb-cursor0") as caught:
        gui.open_toolkit()
    assert caught.value.exit_status == 2


def test_no_toolkit(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One error that says what to install."""
    from factor.cli import checkfactor

    site.middle()
    parset = site.workspace.root.parent / "my.parset"
    parset.write_text(f"[global]\ndir_working = {site.workspace.root}\n")
    monkeypatch.setenv("DISPLAY", ":7")
    monkeypatch.setattr(gui, "_is_there", lambda _: False)
    assert checkfactor.main([str(parset)]) == 2
    said = capsys.readouterr().err
    assert "neither Tk nor Qt" in said
    assert "apt install python3-tk" in said
    assert "checkfactor --text" in said
