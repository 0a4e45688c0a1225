"""A window toolkit, and whether there is a display for it."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

from factor.errors import InputError
from factor.tools import runner

#: Backends of matplotlib, and the modules that each needs one of.
BACKENDS = (
    ("TkAgg", ("_tkinter",)),
    ("QtAgg", ("PySide6", "PyQt6", "PyQt5")),
    ("GTK3Agg", ("gi",)),
    ("WXAgg", ("wx",)),
)

_INSTALL = (
    "install Tk (apt install python3-tk) or Qt (pip install 'factor[window]'); "
    "without a window: checkfactor --text, --watch or --html"
)


#: Where Qt lacks a library it ends the whole process: it is tried in another one.
_START_QT = "from matplotlib.backends.qt_compat import QtWidgets; QtWidgets.QApplication([])"
_START_S = 60.0
_QT_FAILS = (
    "Qt is there but does not start: it may miss libraries of the system (apt install "
    "libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxkbcommon-x11-0 libegl1)"
)


def has_display() -> bool:
    """Whether this session names a display."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def open_toolkit() -> Any:
    """Choose a backend of matplotlib that can open windows.

    Returns
    -------
    module or None
        ``matplotlib.pyplot``; None when the display cannot be opened.

    Raises
    ------
    InputError
        When no toolkit is installed, or none works.
    """
    import matplotlib as mpl
    from matplotlib import pyplot

    wanted = os.environ.get("MPLBACKEND", "")
    there = [name for name, modules in BACKENDS if any(map(_is_there, modules))]
    there.sort(key=lambda name: name.lower() != wanted.lower())
    if not there:
        raise InputError("no window can be opened: this Python has neither Tk nor Qt", _INSTALL)
    reasons = []
    for name in there:
        try:
            pyplot.switch_backend(name)
        except ImportError as error:
            reasons.append(f"{name}: {error}")
            continue
        if name == "QtAgg" and not runner.answers((sys.executable, "-c", _START_QT), (), _START_S):
            reasons.append(_QT_FAILS)
            continue
        mpl.rcParams["toolbar"] = "toolbar2"
        return pyplot
    if all("headless" in reason for reason in reasons):
        return None
    raise InputError(f"no window can be opened: {'; '.join(reasons)}", _INSTALL)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
