"""Studies: what reproduces a figure or a table of a paper."""
