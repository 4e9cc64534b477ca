"""What is said of work in pieces where there is no terminal."""

import re

from pushforward.errors import UserError
from pushforward.experiments.work import Piece, carry_out


def fails():
    raise UserError("it cannot be done")


def test_every_piece_has_a_line(capsys):
    pieces = [
        Piece("first", "builtins:len", ("abc",)),
        Piece("second", f"{__name__}:fails", ()),
        Piece("third", "builtins:len", ("abc",)),
    ]
    assert carry_out("study", pieces) == {"second": "it cannot be done"}
    lines = [re.sub(r"\d+:\d\d:\d\d", "TIME", line) for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "study: first done (1/3, TIME)",
        "study: second failed (2/3, TIME)",
        "study: third done (3/3, TIME)",
    ]
