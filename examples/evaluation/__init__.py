"""A finished run held against the truth of its simulated field."""
