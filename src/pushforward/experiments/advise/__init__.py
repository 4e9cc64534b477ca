"""Densities of states of what a user names, and whether a volume-preserving flow will do for a table."""
