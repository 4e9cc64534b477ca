"""The settings of a deep latent Gaussian model. Light to import: `--help` needs nothing else."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from pushforward.errors import UserError
from pushforward.experiments.config import (
    FlowConfig,
    FlowLength,
    FlowName,
    TrainingConfig,
    changed_flags,
    check_decay,
    check_least,
    check_positive,
)
from pushforward.experiments.families import flag


@dataclass(frozen=True, kw_only=True)
class DlgmConfig(FlowConfig, TrainingConfig):
    """A deep latent Gaussian model of images, whose posterior is a flow of the encoder."""

    KIND: ClassVar[str] = "dlgm"
    COMMAND: ClassVar[str] = "train"
    SUBJECT: ClassVar[str] = "preset"

    preset: tyro.conf.Positional[str] = "dlgm-mnist"
    """where the defaults come from, one of those that `pushforward list` shows"""

    data: str = "binarized-mnist"
    """a set of images that `pushforward list` shows, or an .npy file of unsigned bytes, (n, H, W) or (n, H, W, C)"""

    binarisation: Literal["static", "dynamic", "thresholded"] | None = None
    """how pixels become 0 or 1, for a Bernoulli likelihood: they are already; drawn anew every time; or cut at half"""

    likelihood: Literal["bernoulli", "normal", "logit-normal", "categorical", "logistic"] = "bernoulli"
    """of a pixel"""

    flow: FlowName = "planar"
    """family of the layers, of those that `pushforward list` shows"""

    length: FlowLength = 0
    """layers, K; 0 is the plain model, whose posterior is Normal"""

    amortised: Literal["parameters", "context", "none"] | None = None
    """what of the flow depends on the image: every parameter, emitted by the encoder; the first layers of its networks;
    nothing, the static comparison. Unless given, the first, or of families with networks the second"""

    emission_rank: int | None = None
    """of the weights by which the encoder emits the parameters of the flow: a product of two matrices, which takes less
    time; full unless given"""

    covariance: Literal["diagonal", "full"] = "diagonal"
    """of the Normal before the flow"""

    latents: tuple[int, ...] = (40,)
    """numbers in each stochastic layer, from the data to the top"""

    network: Literal["dense", "convolutional"] = "dense"
    """layers of the encoder and the decoder"""

    hidden: tuple[int, ...] = (400, 400)
    """units of the encoder's hidden layers, in reverse order those of each network of the decoder; of convolutions the
    channels, each of which halves the image"""

    activation: Literal["maxout", "relu", "elu", "silu", "softplus", "tanh"] = "maxout"
    """of the hidden layers"""

    pieces: int = 4
    """linear pieces of a maxout unit"""

    objective: Literal["free-energy", "iwae"] = "free-energy"
    """what is minimised: the free energy, or the importance-weighted bound"""

    draws: int = 1
    """latent vectors per image in each step"""

    gradient: Literal["reparameterised", "stick-the-landing", "doubly-reparameterised"] = "reparameterised"
    """estimator of the gradient; the second is for the free energy, the third for iwae"""

    annealed: Literal["joint", "kl"] = "joint"
    """what the annealing multiplies: log p(x, z), as Rezende & Mohamed, or the divergence from the prior"""

    annealing_steps: int = 10_000
    """steps over which the factor min(1, 0.01 + step / annealing-steps) rises to 1; 0 for none"""

    free_bits: float = 0.0
    """nats of the divergence from the prior that cost nothing"""

    steps: int = 60_000
    """updates at most"""

    batch_size: int = 100
    """images per update"""

    optimizer: Literal["adam", "rmsprop"] = "adam"
    """rmsprop with momentum 0.9 is that of Rezende & Mohamed"""

    learning_rate: float = 5e-4
    """at the start of the schedule"""

    gradient_clip: float = 200.0
    """largest global norm of a gradient; 0 for none"""

    weight_decay: float = 0.1
    """of Adam, not of RMSprop: times the learning rate, the share of each weight that a step takes away"""

    average_decay: float = 0.0
    """of an exponential moving average of the weights, which is then what is judged; 0 for none"""

    validation: float = 0.1
    """fraction of the training images that choose the step, where there is no official validation set"""

    test: float = 0.1
    """fraction of the images that judge the result, where there is no official test set"""

    validate_every: int = 1_000
    """steps between two validations"""

    patience: int = 20_000
    """steps without a better validation after which training stops; 0 for never"""

    test_draws: int = 100
    """latent vectors for each test image by which the free energy is measured"""

    def check(self) -> None:
        super().check()
        self.check_flow()
        check_least(self, draws=1, annealing_steps=0, free_bits=0, validate_every=1, patience=0, pieces=1)
        check_least(self, test_draws=1, weight_decay=0, emission_rank=1)
        check_positive(self, "learning_rate")
        for name in ("latents", "hidden"):
            if not all(n >= 1 for n in getattr(self, name)):
                raise UserError(f"{flag(name)} must be 1 or more, each of them")
        if not self.latents:
            raise UserError("--latents needs at least one stochastic layer")
        if self.network == "convolutional" and (len(self.latents) > 1 or not self.hidden):
            raise UserError("--network convolutional takes one stochastic layer and channels in --hidden")
        check_decay(self.average_decay)
        wrong = {"free-energy": "doubly-reparameterised", "iwae": "stick-the-landing"}[self.objective]
        if self.gradient == wrong:
            other = next(name for name in ("stick-the-landing", "doubly-reparameterised") if name != wrong)
            raise UserError(f"--gradient {wrong} does not suit --objective {self.objective}; {other} does")
        if self.objective == "iwae" and self.free_bits:
            raise UserError("--free-bits are for --objective free-energy")

    @property
    def title(self) -> str:
        """What the run is called while it is trained."""
        return f"{self.preset} · {f'{self.flow} · ' if self.length else ''}K = {self.length}"

    @property
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""
        return f"{self.preset}-{self.flow}-{self.length}"


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How `log p(x)` of a trained deep latent Gaussian model is estimated."""

    run: tyro.conf.Positional[Path]
    """folder of the run"""

    estimator: Literal["iwae", "ais", "bdmc"] = "iwae"
    """importance sampling from the posterior; annealed importance sampling; that forwards and in reverse on data that
    the model simulates, whose gap bounds its error"""

    points: int | None = None
    """test images, from the first on, at most; all for iwae and 1,000 for the others unless given"""

    error: float | None = None
    """nats: no more images than give the mean this standard error, of the gap for bdmc"""

    draws: int = 500
    """iwae: latent vectors for each image"""

    chains: int = 16
    """ais, bdmc: chains for each image"""

    temperatures: int = 1_000
    """ais, bdmc: steps of the path from the start to the joint density"""

    leapfrog_steps: int = 10
    """ais, bdmc: of each Hamiltonian trajectory"""

    schedule: Literal["sigmoidal", "linear"] = "sigmoidal"
    """ais, bdmc: spacing of the temperatures"""

    start: Literal["posterior", "prior"] = "posterior"
    """ais, bdmc: where the path begins"""

    memory: int = 1_000
    """megabytes that a batch may take"""

    seed: int = 0
    """of every random number"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        check_least(self, points=1, draws=1, chains=1, leapfrog_steps=1, memory=1, temperatures=2, seed=0)
        if self.error is not None and not self.error > 0:
            raise UserError(f"--error must be positive, got {self.error}")

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        words = changed_flags(self, EvaluateConfig(run=self.run), {"run"})
        return shlex.join(["pushforward", "evaluate", str(self.run), *words])
