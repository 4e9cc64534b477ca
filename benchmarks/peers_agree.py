"""The same parameters in pushforward and in its peers: how far apart the log-densities are, in float32.

The cases are those of `tests/peers`, which holds them to the same tolerance wherever the peers are installed.
"""

import sys
from pathlib import Path

import tyro

from common import Row, at_most, installed, report

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.peers.agreement import CASES, DIM, LAYERS, ROWS, TOLERANCE


def main() -> None:
    """Compare log-densities of the same flows."""
    rows: list[Row] = []
    for case in CASES:
        if not installed(case.peer):
            print(f"skipped {case.name}: {case.peer} is not installed")
            continue
        agreement = case.run()
        rows.append(
            {
                "flow": case.name,
                "peer": case.peer,
                "parameters": case.matched,
                "lowest log-density": float(agreement.theirs.min()),
                "highest": float(agreement.theirs.max()),
                "largest difference": agreement.difference,
            }
        )
        print(rows[-1])
    report(
        "peers-agree",
        f"Log-densities at {ROWS} points of {DIM} dimensions, {LAYERS} layers, the same parameters in both, float32",
        rows,
        [
            at_most(
                f"largest difference, relative to the size of the log-density, at most {TOLERANCE:g}",
                max((float(row["largest difference"]) for row in rows), default=None),
                TOLERANCE,
            )
        ],
        "Planar flows have 8 layers, splines one. In the coupling and autoregressive flows the weights of the peer's "
        "networks are copied before the peer masks them, so that the masks are compared too. FlowJAX's planar flow is "
        "compared after the constraint: it uses `log(1 + softplus(x)) - 1` for the `m(x) = log(1 + exp(x)) - 1` of "
        "Rezende & Mohamed, which normflows and pushforward use. What is left of the differences is rounding.",
    )


if __name__ == "__main__":
    tyro.cli(main)
