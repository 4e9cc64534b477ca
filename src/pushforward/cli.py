"""The command line: thin, no logic. What takes long to import is imported by the command that needs it."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pushforward.devices import refuse_wrong_sums, use_all_cores
from pushforward.errors import UserError, nearest
from pushforward.experiments.config import (
    CheckConfig,
    DlgmConfig,
    EvaluateConfig,
    FitConfig,
    RunConfig,
    TrainConfig,
    is_file,
)
from pushforward.experiments.presets import DLGM_PRESETS, FIT_PRESETS, TRAIN_PRESETS
from pushforward.experiments.study_config import STUDY_CONFIGS, StudyConfig

DESCRIPTION = "Normalizing flows: fitted to densities, trained on data, and judged."
USER_ERROR = 2
INTERRUPTED = 130


@dataclass(frozen=True)
class Defaults:
    """The settings that the first words of a command line choose: those of a preset, or of a study."""

    fit: FitConfig
    train: TrainConfig | DlgmConfig
    study: StudyConfig


def build_app(defaults: Defaults) -> tyro.extras.SubcommandApp:
    """The commands, whose settings start from these."""
    app = tyro.extras.SubcommandApp()
    fit_defaults, train_defaults = defaults.fit, defaults.train
    TrainKind: Any = type(train_defaults)
    StudyKind: Any = type(defaults.study)

    @app.command
    def fit(
        config: tyro.conf.OmitArgPrefixes[FitConfig] = fit_defaults,
        preset: Literal["standard", "quick", "paper", "accurate"] = "standard",
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
    ) -> None:
        """Fit a flow to a density that can only be evaluated, judge it, and write a report.

        Args:
            preset: where the defaults come from; `pushforward list` says what is in each.
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the interrupted run in this folder, by its own settings.
            force: overwrite the run that --out holds.
        """
        from pushforward.experiments.fit import run_fit
        from pushforward.reports import write_report
        from pushforward.reports.terminal import print_fit

        run = _started_or_resumed(config, fit_defaults, out, resume, force)
        with _resumable(run):
            if not run.finished:
                run_fit(run)
        print_fit(run, write_report(run))

    @app.command
    def train(
        config: tyro.conf.OmitArgPrefixes[TrainKind] = train_defaults,
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
    ) -> None:
        """Train a model on data, judge it on held-out data, and write a report.

        A flow, by maximum likelihood; or, with a preset dlgm-..., whose settings `train PRESET --help` shows, a deep
        latent Gaussian model.

        Args:
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the interrupted run in this folder, by its own settings.
            force: overwrite the run that --out holds.
        """
        from pushforward.experiments.dlgm import run_dlgm
        from pushforward.experiments.runs import TrainRun
        from pushforward.experiments.train import run_train
        from pushforward.reports import write_report
        from pushforward.reports.terminal import print_dlgm, print_train

        if isinstance(config, TrainConfig) and config.data in TRAIN_PRESETS:
            config = replace(config, data=train_defaults.data)
        if isinstance(config, TrainConfig) and config.data.startswith("dlgm-") and not is_file(config.data):
            raise UserError(f"unknown preset {config.data!r}{nearest(config.data, DLGM_PRESETS)}")
        run = _started_or_resumed(config, train_defaults, out, resume, force)
        run_it, print_it = (run_train, print_train) if isinstance(run, TrainRun) else (run_dlgm, print_dlgm)
        with _resumable(run):
            if not run.finished:
                run_it(run)
        print_it(run, write_report(run))

    @app.command
    def check(config: tyro.conf.OmitArgPrefixes[CheckConfig]) -> None:
        """Say what `train` would read in a file, what it would warn of, and what it would refuse."""
        from pushforward.reports.terminal import print_check

        if not print_check(config):
            sys.exit(USER_ERROR)

    @app.command
    def evaluate(config: tyro.conf.OmitArgPrefixes[EvaluateConfig]) -> None:
        """Estimate log p(x) of a trained deep latent Gaussian model, and add it to the result and the report."""
        from pushforward.experiments.evaluate import run_evaluation
        from pushforward.experiments.runs import DlgmRun, open_run
        from pushforward.reports import write_report
        from pushforward.reports.terminal import print_dlgm

        config.check()
        run = open_run(config.run)
        if not isinstance(run, DlgmRun):
            raise UserError(f"{config.run} is not a run of a deep latent Gaussian model; its result has its likelihood")
        run_evaluation(run, config)
        evaluated = DlgmRun(run.folder, run.config)
        print_dlgm(evaluated, write_report(evaluated))

    @app.command
    def reproduce(config: tyro.conf.OmitArgPrefixes[StudyKind] = defaults.study) -> None:
        """Reproduce a figure or table of a paper; a study that was interrupted goes on where it was.

        `pushforward list` names the studies; `reproduce STUDY --help` shows the settings of one.
        """
        from pushforward.experiments.studies import run_study
        from pushforward.reports.study import write_study

        write_study(run_study(config))

    @app.command
    def states(
        action: tyro.conf.Positional[Literal["show", "compare", "advise"]],
        of: tyro.conf.Positional[tuple[str, ...]],
        dim: int | None = None,
        samples: int = 2**17,
        tolerance: float = 0.05,
        steps: int = 5_000,
        seed: int = 0,
        out: Path = Path("density-of-states.png"),
        run: Path | None = None,
        force: bool = False,
    ) -> None:
        """Show a density of states, compare two, or advise whether a volume-preserving flow will do for some data.

        `show` and `compare` take runs, .npy files of log-densities, and distributions or targets by name; `advise`
        takes one table, fits a flow of varying volume to it, and says in nats what a volume-preserving one must lose.

        Args:
            of: one for show and advise, two for compare.
            dim: dimensions D behind a file of log-densities, or of a distribution.
            samples: to draw where there is no closed form.
            tolerance: advise: nats that may be lost.
            steps: advise: of training.
            seed: of every random number.
            out: the picture.
            run: advise: folder of the fitted flow; a fresh one under runs/ unless given.
            force: advise: overwrite the run that --run holds.
        """
        from pushforward.experiments.states import advise, named_states
        from pushforward.reports.states import print_advice, print_comparison, print_states

        expected = 2 if action == "compare" else 1
        if len(of) != expected:
            raise UserError(f"states {action} takes {expected}, got {len(of)}")
        if action == "advise":
            print_advice(advise(of[0], tolerance, steps, seed, run, force), out)
            return
        named = [named_states(name, dim, samples, seed) for name in of]
        if action == "show":
            print_states(named[0], out)
            return
        first, second = named
        if first.dim is None or second.dim is None:
            raise UserError("give --dim, the dimensions D of both")
        if first.dim != second.dim:
            raise UserError(f"D differs: {first.dim} and {second.dim}")
        print_comparison(first, second, first.dim, seed, out)

    @app.command
    def sample(
        run: tyro.conf.Positional[Path],
        n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1000,
        out: Path | None = None,
        seed: int = 0,
    ) -> None:
        """Draw samples from a fitted flow, with their log-densities.

        Args:
            run: folder of the run.
            n: how many.
            out: a file that ends in .npz or .csv; RUN/samples.npz unless given.
            seed: of the draws.
        """
        from pushforward.experiments.runs import open_run
        from pushforward.experiments.sample import write_samples

        print(write_samples(open_run(run), n, out, seed))

    @app.command
    def report(run: tyro.conf.Positional[Path]) -> None:
        """Write the report of a finished run again.

        Args:
            run: folder of the run.
        """
        from pushforward.experiments.runs import open_run
        from pushforward.reports import write_report

        print(write_report(open_run(run)))

    @app.command
    def export(run: tyro.conf.Positional[Path], out: Path | None = None, n: int = 1000, seed: int = 0) -> None:
        """Write a trained flow for NumPy: every parameter, and samples with their log-densities and base samples.

        Args:
            run: folder of the run.
            out: a file that ends in .npz; RUN/flow.npz unless given.
            n: samples.
            seed: of the samples.
        """
        from pushforward.experiments.export import write_export
        from pushforward.experiments.runs import open_run

        print(write_export(open_run(run), n, out, seed))

    @app.command(name="list")
    def list_() -> None:
        """Name the flows, targets, presets and studies, a line each."""
        from pushforward.reports.terminal import print_catalogue

        print_catalogue()

    return app


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit code 0 only on success, 2 for what the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    use_all_cores()
    try:
        refuse_wrong_sums()
        app = build_app(_defaults(arguments))
        app.cli(prog="pushforward", description=DESCRIPTION, args=arguments)
    except UserError as error:
        sys.exit(_complain(str(error)))
    except OSError as error:
        sys.exit(_complain(f"{error.filename or 'a file'}: {error.strerror or error}"))


def _defaults(arguments: list[str]) -> Defaults:
    """The settings that are chosen by `fit --preset NAME`, `train NAME` or `reproduce NAME`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="standard")
    preset = parser.parse_known_args(arguments)[0].preset
    command, name = [*arguments[:2], "", ""][:2]
    train: dict[str, TrainConfig | DlgmConfig] = {**TRAIN_PRESETS, **DLGM_PRESETS} if command == "train" else {}
    studies = STUDY_CONFIGS if command == "reproduce" else {}
    return Defaults(
        FIT_PRESETS.get(preset, FIT_PRESETS["standard"]),
        train.get(name, TrainConfig()),
        studies.get(name, StudyConfig()),
    )


def _started_or_resumed(
    config: RunConfig, defaults: RunConfig, out: Path | None, resume: Path | None, force: bool
) -> Any:
    from pushforward.experiments.runs import open_run, start_run

    if resume is None:
        run = start_run(config, out, force)
    elif out is not None or force or config != defaults:
        raise UserError("--resume takes every setting from the run; give nothing else with it")
    else:
        run = open_run(resume)
    if run.config.COMMAND != config.COMMAND:
        raise UserError(f"{run.folder} is a run of pushforward {run.config.COMMAND}; resume it with that")
    return run


@contextmanager
def _resumable(run: Any) -> Iterator[None]:
    """Within it, a signal that has stopped the training ends the program with the command that goes on."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        message = str(interruption) or "stopped"
        again = f"pushforward {run.config.COMMAND} --resume {run.folder}"
        print(f"{message}; go on with: {again}", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _complain(message: str) -> int:
    print(f"pushforward: {message}", file=sys.stderr)
    return USER_ERROR


if __name__ == "__main__":
    main()
