"""Named settings, every one of which a flag overrides."""

from pushforward.experiments.config import FitConfig, TrainConfig

FIT_PRESETS = {
    "standard": FitConfig(),
    "quick": FitConfig(length=8, restarts=4, steps=3_000),
    "paper": FitConfig(length=32, steps=20_000),
    "accurate": FitConfig(length=32, restarts=16, steps=50_000, batch_size=1024),
}

TRAIN_PRESETS = {
    "density-moons": TrainConfig(data="moons", size=50_000),
    "density-checkerboard": TrainConfig(data="checkerboard", size=50_000, steps=20_000, bins=16),
    "density-rings": TrainConfig(data="rings", size=50_000, steps=20_000),
    "density-wine": TrainConfig(data="wine", flow="maf", width=32, batch_size=64, steps=3_000, base="trained-normal"),
    "density-breast-cancer": TrainConfig(data="breast-cancer", flow="maf", width=64, batch_size=128, steps=3_000),
    "density-digits": TrainConfig(data="digits", flow="glow", length=8, steps=4_000, batch_size=128, patience=1_000),
    "density-mnist": TrainConfig(
        data="mnist", flow="glow", length=8, steps=10_000, batch_size=64, validate_every=500, patience=3_000
    ),
    "density-fashion-mnist": TrainConfig(
        data="fashion-mnist", flow="glow", length=8, steps=10_000, batch_size=64, validate_every=500, patience=3_000
    ),
}

SUMMARIES = {
    "standard": "fit: K = 16, 8 restarts, 10,000 steps of 256 draws",
    "quick": "fit: K = 8, 4 restarts, 3,000 steps: a first look in seconds",
    "paper": "fit: K = 32, 8 restarts, 20,000 steps: the longest flows of Rezende & Mohamed, Figure 3",
    "accurate": "fit: K = 32, 16 restarts, 50,000 steps of 1,024 draws: the lowest KL, in minutes",
    "density-moons": "train: autoregressive splines on 50,000 draws of two half rings, whose density is known",
    "density-checkerboard": "train: autoregressive splines of 16 bins on 50,000 draws of a checkerboard",
    "density-rings": "train: autoregressive splines on 50,000 draws of three rings",
    "density-wine": "train: a masked autoregressive flow on 13 measurements of 178 wines",
    "density-breast-cancer": "train: a masked autoregressive flow on 30 measurements of 569 tumours",
    "density-digits": "train: Glow on scikit-learn's 8 x 8 digits, in minutes and without a download",
    "density-mnist": "train: Glow on MNIST; hours on two cores, minutes on a GPU",
    "density-fashion-mnist": "train: Glow on Fashion-MNIST; hours on two cores, minutes on a GPU",
}
