"""Many runs of one model: a grid of settings, in this process or on a Ray cluster."""
