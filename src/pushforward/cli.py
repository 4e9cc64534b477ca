"""The command line: thin, no logic. What takes long to import is imported by the command that needs it."""

import argparse
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pushforward.devices import use_all_cores
from pushforward.errors import UserError
from pushforward.experiments.config import FitConfig, StudyConfig
from pushforward.experiments.presets import PRESETS

DESCRIPTION = "Normalizing flows: fitted to a density you can only evaluate, and judged."
USER_ERROR = 2
INTERRUPTED = 130


def build_app(fit_defaults: FitConfig) -> tyro.extras.SubcommandApp:
    """The commands, with the settings of `pushforward fit` that a preset gives."""
    app = tyro.extras.SubcommandApp()

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
        from pushforward.experiments.runs import open_run, start_run
        from pushforward.reports.fit import write_report
        from pushforward.reports.terminal import print_result

        if resume is not None:
            if out is not None or force or config != fit_defaults:
                raise UserError("--resume takes every setting from the run; give nothing else with it")
            run = open_run(resume)
        else:
            run = start_run(config, out, force)
        try:
            if not run.finished:
                run_fit(run)
        except KeyboardInterrupt as interruption:
            message = str(interruption) or "stopped"
            print(f"{message}; go on with: pushforward fit --resume {run.folder}", file=sys.stderr)
            sys.exit(INTERRUPTED)
        print_result(run, write_report(run))

    @app.command
    def reproduce(config: tyro.conf.OmitArgPrefixes[StudyConfig]) -> None:
        """Reproduce a figure or table of a paper; a study that was interrupted goes on where it was."""
        from pushforward.experiments.studies import run_study
        from pushforward.reports.study import write_study

        write_study(run_study(config))

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
        from pushforward.reports.fit import write_report

        print(write_report(open_run(run)))

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
    preset_parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    preset_parser.add_argument("--preset", default="standard")
    preset = preset_parser.parse_known_args(arguments)[0].preset
    try:
        app = build_app(PRESETS.get(preset, PRESETS["standard"]))
        app.cli(prog="pushforward", description=DESCRIPTION, args=arguments)
    except UserError as error:
        sys.exit(_complain(str(error)))
    except OSError as error:
        sys.exit(_complain(f"{error.filename or 'a file'}: {error.strerror or error}"))


def _complain(message: str) -> int:
    print(f"pushforward: {message}", file=sys.stderr)
    return USER_ERROR


if __name__ == "__main__":
    main()
