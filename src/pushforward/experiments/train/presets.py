"""Named settings of flows trained on data, every one of which a flag overrides."""

from dataclasses import replace

from pushforward.experiments.families import Splines
from pushforward.experiments.train.config import TrainConfig

# As many layers, units and bins as the code of Durkan et al. (2019) has by default.
_LARGE = TrainConfig(
    flow="nsf_autoregressive",
    length=10,
    settings=Splines(width=256, depth=3, mixing="lu"),
    base="normal",
    batch_size=512,
    steps=400_000,
    learning_rate=5e-4,
    gradient_clip=5.0,
    validate_every=2_000,
    patience=60_000,
)

PRESETS = {
    "density-moons": TrainConfig(data="moons", size=50_000),
    "density-checkerboard": TrainConfig(data="checkerboard", size=50_000, steps=20_000, settings=Splines(bins=16)),
    "density-rings": TrainConfig(data="rings", size=50_000, steps=20_000),
    "density-wine": TrainConfig(data="wine"),
    "density-breast-cancer": TrainConfig(data="breast-cancer"),
    **{f"density-{name}": replace(_LARGE, data=name) for name in ("power", "gas", "hepmass", "bsds300")},
    "density-miniboone": replace(
        _LARGE,
        data="miniboone",
        settings=Splines(width=64, depth=3, bins=4, mixing="lu"),
        batch_size=128,
        smoothing=0.1,
    ),
    "density-digits": TrainConfig(data="digits", flow="glow", length=8, steps=4_000, batch_size=128, patience=1_000),
    "density-mnist": TrainConfig(
        data="mnist", flow="glow", length=8, steps=10_000, batch_size=64, validate_every=500, patience=3_000
    ),
    "density-fashion-mnist": TrainConfig(
        data="fashion-mnist", flow="glow", length=8, steps=10_000, batch_size=64, validate_every=500, patience=3_000
    ),
}

SUMMARIES = {
    "density-moons": "train: autoregressive splines on 50,000 draws of two half rings, whose density is known",
    "density-checkerboard": "train: autoregressive splines of 16 bins on 50,000 draws of a checkerboard",
    "density-rings": "train: autoregressive splines on 50,000 draws of three rings",
    "density-wine": "train: a flow of 13 measurements of 178 wines, with the settings that suit so few",
    "density-breast-cancer": "train: a flow of 30 measurements of 569 tumours, with heavy tails",
    "density-power": "train: autoregressive splines on POWER, a household's electricity; for a GPU, as the next four",
    "density-gas": "train: the same on GAS, chemical sensors in a mixture of gases",
    "density-hepmass": "train: the same on HEPMASS, simulated collisions of particles",
    "density-bsds300": "train: the same on BSDS300, patches of photographs",
    "density-miniboone": "train: smaller splines on MINIBOONE, events of a neutrino experiment, smoothed",
    "density-digits": "train: Glow on scikit-learn's 8 x 8 digits, in minutes and without a download",
    "density-mnist": "train: Glow on MNIST; hours on two cores, minutes on a GPU",
    "density-fashion-mnist": "train: Glow on Fashion-MNIST; hours on two cores, minutes on a GPU",
}
