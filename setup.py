"""Packaging of Factor: metadata and what it depends on."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "factor" / "__init__.py").read_text())[1]

setup(
    name="factor",
    version=VERSION,
    description="Direction-dependent (facet) calibration and imaging of LOFAR HBA data",
    long_description=(HERE / "README.rst").read_text(),
    long_description_content_type="text/x-rst",
    license="GPL-3.0-or-later",
    classifiers=[
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: GNU General Public License v3 or later (GPLv3+)",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Astronomy",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["factor", "factor.*"]),
    package_data={"factor": ["py.typed", "skymodels/*", "progress/report/*.css", "progress/report/*.js"]},
    scripts=["bin/runfactor", "bin/checkfactor", "bin/archivefactor", "bin/unarchivefactor"],
    # Lower bounds are the versions with which Factor was tried.
    install_requires=[
        "astropy>=8.0",
        "bdsf>=1.14",
        "dp3>=6.6",
        "everybeam>=0.9",
        "losoto>=2.7",
        "lsmtool>=1.9",
        "matplotlib>=3.11",
        "numpy>=2.4",
        "pillow>=12.0",
        "python-casacore>=3.8",
        "regions>=0.12",
        "reproject>=0.21",
        "rich>=15.0",
        "scipy>=1.17",
        "shapely>=2.2",
        "tables>=3.11",
    ],
    extras_require={
        "examples": ["lofarantpos>=0.8"],
        "tests": [
            "lofarantpos>=0.8",
            "mypy>=2.4",
            "pytest>=9.2",
            "pytest-xdist>=3.8",
            "ruff>=0.17",
            "sphinx>=9.0",
        ],
        # The window of checkfactor, where Python has no Tk.
        "window": ["PySide6-Essentials>=6.12"],
    },
)
