"""The settings of an inference from simulations. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from pushforward.errors import UserError
from pushforward.experiments.config import RunConfig, check_least, check_positive


@dataclass(frozen=True, kw_only=True)
class InferConfig(RunConfig):
    """The posterior of a simulator's parameters, from simulations."""

    KIND: ClassVar[str] = "infer"
    COMMAND: ClassVar[str] = "infer"
    SUBJECT: ClassVar[str] = "simulator"

    simulator: tyro.conf.Positional[str] = ""
    """file.py:name or module:name of a function of key (jax.numpy) or rng (NumPy), then parameters by name"""

    prior: str = "prior"
    """name in the same file of the prior: distributions by name, or a NumPyro model"""

    observation: str | None = None
    """.json or .npy file with the observation: an array of the shape that the simulator returns"""

    pairs: str | None = None
    """.npz file of simulations that exist already: parameters by name, (n, *shape) each, and the data as x"""

    simulations: int = 10_000
    """in all rounds together"""

    method: Literal["npe", "nle"] = "npe"
    """what the flow is: the posterior of any observation; or the likelihood, with the ladder of `fit` and chains behind
    it for the one that is given"""

    rounds: int = 1
    """of simulation; in those after the first the prior is cut off where the posterior of the observation is not"""

    embedding: Literal["none", "set", "series"] = "none"
    """what the data are: a vector; (members, features), in any order; or (times, features)"""

    members: int = 4
    """flows trained from different starts, and averaged: each alone is too sure where simulations are few"""

    layers: int = 5
    """autoregressive splines, and as the last of them an affine one"""

    width: int | None = None
    """hidden units of each network; unless given 32, of 30,000 pairs and more and of an embedding 64"""

    bins: int = 8
    """of each spline"""

    learning_rate: float = 8e-3
    """of Adam, at the start of a cosine"""

    batch_size: int = 256
    """pairs a step"""

    steps: int | None = None
    """updates; two hundred passes over the pairs, 2,000 to 30,000, unless given"""

    draws: int = 10_000
    """from the posterior of the observation"""

    seed: int = 0
    """of every random number"""

    def check(self) -> None:
        super().check()
        check_least(self, seed=0, simulations=100, rounds=1, members=1, layers=1, width=1, bins=2)
        check_least(self, batch_size=1, steps=1, draws=100)
        check_positive(self, "learning_rate")
        if ":" not in self.simulator:
            raise UserError("give a simulator as file.py:name or module:name")
        if self.rounds > 1 and self.observation is None:
            raise UserError("--rounds are near an observation: give it by --observation")
        if self.rounds > 1 and self.pairs is not None:
            raise UserError("--pairs exist already: there are no rounds of them")
        if self.method == "nle" and self.observation is None:
            raise UserError("--method nle finds the posterior of one observation: give it by --observation")
        if self.method == "nle" and (self.rounds > 1 or self.embedding != "none"):
            raise UserError("--method nle knows neither --rounds nor --embedding")

    @property
    def title(self) -> str:
        """What the run is called while it is trained."""
        return self.simulator

    @property
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""
        source, _, name = self.simulator.rpartition(":")
        return "-".join(filter(None, [Path(source).stem, name]))
