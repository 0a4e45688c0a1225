"""The parts of the simulated LOFAR field; `simulate.py` beside this folder is its command."""
