"""Named settings of a fit, every one of which a flag overrides."""

from pushforward.experiments.fit.config import FitConfig

PRESETS = {
    "standard": FitConfig(),
    "quick": FitConfig(length=8, restarts=4, steps=3_000),
    "paper": FitConfig(length=32, steps=20_000),
    "accurate": FitConfig(length=32, restarts=16, steps=50_000, batch_size=1024),
}

SUMMARIES = {
    "standard": "fit: K = 16, 8 restarts, 10,000 steps of 256 draws",
    "quick": "fit: K = 8, 4 restarts, 3,000 steps: a first look in seconds",
    "paper": "fit: K = 32, 8 restarts, 20,000 steps: the longest flows of Rezende & Mohamed, Figure 3",
    "accurate": "fit: K = 32, 16 restarts, 50,000 steps of 1,024 draws: the lowest KL, in minutes",
}
