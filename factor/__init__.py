"""Factor: direction-dependent (facet) calibration and imaging of LOFAR HBA data."""

__version__ = "2.0.0.dev0"
