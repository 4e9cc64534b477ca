"""The settings of every kind of experiment. Light to import: `--help` needs nothing else."""

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import tyro
import yaml

from pushforward.errors import UserError


@dataclass(frozen=True)
class FitConfig:
    """A flow fitted to a density by minimising the free energy."""

    target: tyro.conf.Positional[str] = ""
    """a name that `pushforward list` shows, or module:function for an unnormalised log density of your own"""

    flow: str = "planar"
    """family of the layers: planar, radial or nice"""

    length: int = 16
    """layers, K; 0 fits the base alone"""

    dim: int | None = None
    """dimensions; 2 unless given, and required for module:function"""

    base: Literal["trained", "standard"] = "trained"
    """N(mu, diag(sigma)^2) with mu and sigma trained, or N(0, I)"""

    initialisation: Literal["xavier", "plain"] = "xavier"
    """planar flows: how the layers start"""

    mixing: Literal["permutation", "rotation", "none"] = "permutation"
    """NICE: what follows each coupling layer"""

    width: int = 16
    """NICE: hidden units of each network"""

    depth: int = 1
    """NICE: hidden layers of each network"""

    restarts: int = 8
    """independent starts, trained side by side; the best is kept"""

    steps: int = 10_000
    """updates"""

    batch_size: int = 256
    """draws per update"""

    learning_rate: float = 1e-2
    """of Adam, at the start of the schedule"""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """how the learning rate falls to 0"""

    gradient_clip: float = 10.0
    """largest global norm of a gradient; 0 for none"""

    gradient: Literal["reparameterised", "stick-the-landing"] = "reparameterised"
    """estimator of the gradient"""

    annealing_steps: int = 0
    """steps over which the target's inverse temperature rises from 0.01 to 1; 0 for none"""

    log_z: float | None = None
    """module:function only: its log normaliser, where you know it"""

    seed: int = 0
    """of every random number"""

    samples: int = 2**17
    """draws that the fit is judged by"""

    frames: int = 40
    """pictures in the animation of training; 0 for none"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        least = {
            "length": 0,
            "dim": 1,
            "restarts": 1,
            "steps": 1,
            "batch_size": 1,
            "annealing_steps": 0,
            "width": 1,
            "depth": 0,
        }
        least |= {"samples": 1000, "frames": 0, "gradient_clip": 0, "seed": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and not value >= bound:
                raise UserError(f"{flag(name)} must be {bound} or more, got {value}")
        if not 0 < self.learning_rate < float("inf"):
            raise UserError(f"--learning-rate must be positive and finite, got {self.learning_rate}")
        if not self.target:
            raise UserError("give a target: a name that `pushforward list` shows, or module:function")

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        return shlex.join(["pushforward", "fit", self.target, *_flags(self, {"target"})])


@dataclass(frozen=True)
class StudyConfig:
    """A study: a table and a figure made of many fits."""

    study: tyro.conf.Positional[str]
    """a name that `pushforward list` shows"""

    out: Path | None = None
    """folder of the study; runs/STUDY unless given"""

    results: Path | None = None
    """another folder for its table and figure"""

    targets: tuple[str, ...] = ("u1", "u2", "u3", "u4")
    """rows of the figure"""

    flows: tuple[str, ...] = ("planar", "radial", "nice")
    """families beside each other"""

    lengths: tuple[int, ...] = (2, 8, 32)
    """layers, K"""

    restarts: int = 8
    """independent starts of each cell; the best is kept"""

    steps: int = 20_000
    """updates of each cell"""

    seed: int = 0
    """of every random number"""

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        return shlex.join(["pushforward", "reproduce", self.study, *_flags(self, {"study", "out", "results"})])


def flag(name: str) -> str:
    """The command-line flag of a field."""
    return "--" + name.replace("_", "-")


def _flags(config: FitConfig | StudyConfig, leave_out: set[str]) -> list[str]:
    words = []
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name not in leave_out and value != f.default:
            words += [flag(f.name), *map(str, value if isinstance(value, tuple) else (value,))]
    return words


def to_yaml(config: FitConfig) -> str:
    """The configuration as the text of a `config.yaml`."""
    return yaml.safe_dump(asdict(config), sort_keys=False)


def from_yaml(text: str, where: str) -> FitConfig:
    """The configuration in the text of a `config.yaml`.

    Raises:
        UserError: it is not one.
    """
    try:
        values = yaml.safe_load(text)
        return FitConfig(**values)
    except (yaml.YAMLError, TypeError) as error:
        raise UserError(f"{where} is not the configuration of a fit: {str(error).splitlines()[0]}") from error
