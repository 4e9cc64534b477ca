"""The program: its commands, and what a mistake of the user's ends with."""

import logging
import os
import sys
import traceback
from importlib.metadata import version
from platform import python_version

import tyro

from pushforward.cli.check import check
from pushforward.cli.density import density
from pushforward.cli.evaluate import evaluate
from pushforward.cli.exits import UNREAD, USER_ERROR
from pushforward.cli.export import export
from pushforward.cli.fit import fit_command
from pushforward.cli.infer import infer_command
from pushforward.cli.listing import list_
from pushforward.cli.refine import refine
from pushforward.cli.report import report
from pushforward.cli.reproduce import reproduce_command
from pushforward.cli.sample import sample
from pushforward.cli.states import states
from pushforward.cli.sweep import sweep_command
from pushforward.cli.train import train_command
from pushforward.devices import own_cores, refuse_wrong_sums, use_cores
from pushforward.errors import UserError, nearest
from pushforward.experiments.parsing import REGISTRY
from pushforward.programs import check_kept_programs, keep_programs

COMPILE_ANEW, QUIET, VERBOSE, VERSION = "--compile-anew", "--quiet", "--verbose", "--version"
COMPLETION = "--tyro-write-completion", "--tyro-print-completion"
SHELLS = "bash", "zsh", "fish"
DESCRIPTION = (
    "Normalizing flows: fitted to densities, trained on data, and judged.\n\n"
    f"With every command: {QUIET} shows no progress, only what comes out; {VERBOSE} says what is compiled, and where "
    "an error came from. Compiled programs are kept in the user's cache folder; with "
    f"{COMPILE_ANEW} none is read or kept. {VERSION} says which versions these are."
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit code 0 only on success, 2 for what the user can mend."""
    arguments = sys.argv[1:] if arguments is None else arguments
    use_cores(own_cores())
    # What failed in a task of Orbax is told by the error that it ends in.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    asked = {COMPILE_ANEW, QUIET, VERBOSE}.intersection(arguments)
    arguments = [argument for argument in arguments if argument not in asked]
    if arguments[:1] == [VERSION]:
        print(f"pushforward {version('pushforward')}, JAX {version('jax')}, Python {python_version()}")
        return
    if COMPILE_ANEW not in asked:
        keep_programs()
    if QUIET in asked:
        from pushforward.progress import silence

        silence()
    if VERBOSE in asked:
        logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
        os.environ["JAX_LOG_COMPILES"] = "true"
    try:
        refuse_wrong_sums()
        match arguments:
            case [flag, shell, *_] if flag in COMPLETION and shell not in SHELLS:
                raise UserError(f"completion is for {', '.join(SHELLS)}, not {shell!r}{nearest(shell, SHELLS)}")
        app = build_app(arguments)
        app.cli(prog="pushforward", description=DESCRIPTION, args=arguments, registry=REGISTRY)
        if warning := check_kept_programs():
            print(f"pushforward: {warning}", file=sys.stderr)
    except UserError as error:
        sys.exit(_complain(str(error), VERBOSE in asked))
    except BrokenPipeError:
        # Who read the output has what they wanted; Python would complain of the rest of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(UNREAD)
    except OSError as error:
        sys.exit(_complain(f"{error.filename or 'a file'}: {error.strerror or error}", VERBOSE in asked))


def build_app(arguments: list[str]) -> tyro.extras.SubcommandApp:
    """The commands; the settings of some start from what the first words of a command line choose."""
    app = tyro.extras.SubcommandApp()
    for command in (
        fit_command(arguments),
        train_command(arguments),
        infer_command(),
        refine,
        check,
        evaluate,
        reproduce_command(arguments),
        sweep_command(arguments),
        states,
        sample,
        density,
        report,
        export,
    ):
        app.command(command)
    app.command(name="list")(list_)
    return app


def _complain(message: str, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    print(f"pushforward: {message}", file=sys.stderr)
    return USER_ERROR
