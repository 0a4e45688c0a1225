"""Bundled sky models of bright sources that often have to be peeled, each with its publication."""
