"""The parset: its options, how it is read, and what it says."""

from factor.parset.loader import checkfactor_section, load, load_text, working_directory
from factor.parset.settings import Settings

__all__ = ["Settings", "checkfactor_section", "load", "load_text", "working_directory"]
