"""The settings of a fit. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import tyro

from pushforward.errors import UserError
from pushforward.experiments.config import FlowConfig, FlowLength, FlowName, TrainingConfig, check_least, check_positive


@dataclass(frozen=True, kw_only=True)
class FitConfig(FlowConfig, TrainingConfig):
    """A flow fitted to a density by minimising the free energy."""

    KIND: ClassVar[str] = "fit"
    COMMAND: ClassVar[str] = "fit"
    SUBJECT: ClassVar[str] = "target"

    target: tyro.conf.Positional[str] = ""
    """a name that `pushforward list` shows, or file.py:name or module:name of a model, a target or an unnormalised log
    density of your own"""

    data: str | None = None
    """.json, .npz or .csv file with the arguments of a model by name"""

    flow: FlowName = "planar"
    """family of the layers, of those that `pushforward list` shows"""

    length: FlowLength = 16
    """layers, K; 0 fits the base alone"""

    dim: int | None = None
    """dimensions; 2 unless given, and required for a function of one point"""

    objective: Literal["reverse-kl", "alpha", "forward-kl"] = "reverse-kl"
    """KL(q || p) from draws of the flow, which may lose modes; or the alpha = 2 divergence or KL(p || q), which find
    them, from draws that are annealed from the flow to the target (FAB)"""

    spread: float = 1.0
    """standard deviation of the untrained flow in each coordinate: as wide as the modes are apart, for the annealed
    objectives"""

    base: Literal["trained", "standard", "mixture"] = "trained"
    """N(mu, diag(sigma)^2) with mu and sigma trained, N(0, I), or a trained mixture of Normals"""

    components: int = 10
    """of a mixture"""

    learning_rate: float = 1e-2
    """of Adam, at the start of the schedule"""

    restarts: int = 8
    """independent starts, trained side by side; the best is kept"""

    gradient: Literal["reparameterised", "stick-the-landing"] = "reparameterised"
    """estimator of the gradient"""

    annealing_steps: int = 0
    """steps over which the target's inverse temperature rises from 0.01 to 1; 0 for none"""

    log_z: float | None = None
    """of a function of one point only: its log normaliser, where you know it"""

    samples: int = 2**17
    """draws that the fit is judged by"""

    frames: int = 40
    """pictures in the animation of training; 0 for none"""

    def check(self) -> None:
        super().check()
        self.check_flow()
        check_least(self, dim=1, restarts=1, annealing_steps=0, samples=1000, frames=0, components=1)
        check_positive(self, "learning_rate", "spread")
        if self.objective != "reverse-kl" and (self.annealing_steps or self.gradient != "reparameterised"):
            raise UserError(
                f"--annealing-steps and --gradient are for --objective reverse-kl, not for {self.objective}"
            )
        if self.base == "mixture" and self.gradient != "reparameterised":
            raise UserError(f"--gradient {self.gradient} takes a base that is no mixture")
        if not self.target:
            raise UserError("give a target: a name that `pushforward list` shows, or module:function")
        if self.data is not None and ":" not in self.target:
            raise UserError(f"--data is for models, given as file.py:name; {self.target} takes none")

    @property
    def title(self) -> str:
        """What the run is called while it is trained."""
        return f"{self.target} · {self.flow} · K = {self.length}"

    @property
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""
        source, _, name = self.target.rpartition(":")
        return "-".join([*filter(None, [Path(source).stem, name]), self.flow, str(self.length)])
