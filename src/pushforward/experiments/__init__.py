"""Experiments: one typed configuration and one run function for each kind."""
