"""Configuration of the documentation."""

import re
from pathlib import Path

_INIT = Path(__file__).parents[1] / "factor" / "__init__.py"

project = "Factor"
author = "the Factor developers"
copyright = author
release = re.search(r'__version__ = "(.+)"', _INIT.read_text())[1]
version = release

extensions: list[str] = []
exclude_patterns = ["_build"]
root_doc = "index"
html_theme = "alabaster"
html_theme_options = {
    "description": "Facet calibration and imaging of LOFAR HBA data",
    "page_width": "1000px",
}
html_static_path: list[str] = []
nitpicky = True
