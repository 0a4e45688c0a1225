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
    package_data={"factor": ["py.typed", "skymodels/*"]},
    scripts=["bin/runfactor", "bin/checkfactor", "bin/archivefactor", "bin/unarchivefactor"],
    # Lower bounds are versions with which Factor was tried.
    install_requires=[
        "astropy>=7.0",
        "bdsf>=1.14",
        "dp3>=6.6",
        "everybeam>=0.9",
        "h5py>=3.0",
        "losoto>=2.7",
        "lsmtool>=1.9",
        "matplotlib>=3.8",
        "numpy>=2.0",
        "python-casacore>=3.8",
        "regions>=0.10",
        "reproject>=0.14",
        "rich>=13.0",
        "scipy>=1.13",
        "shapely>=2.0",
    ],
    extras_require={
        "examples": ["lofarantpos>=0.8"],
        "tests": ["lofarantpos>=0.8", "mypy>=1.10", "pytest>=8.0", "ruff>=0.6", "sphinx>=7.0"],
    },
)
