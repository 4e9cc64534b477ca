"""Whole numbers as words of a command line."""

from dataclasses import dataclass

import pytest
import tyro

from pushforward.experiments.parsing import REGISTRY


@dataclass(frozen=True)
class Settings:
    """Of every form that a whole number takes."""

    steps: int = 1
    seeds: int | None = None
    budgets: tuple[int, ...] = ()
    rate: float = 0.1


def parsed(words):
    return tyro.cli(Settings, args=words.split(), registry=REGISTRY)


def test_whole_numbers_may_be_written_as_powers_of_ten():
    assert parsed("--steps 1e4 --seeds 2.5e1 --budgets 1e3 60_000 7 --rate 1e-3") == Settings(
        10_000, 25, (1000, 60_000, 7), 1e-3
    )
    assert parsed("--steps -3").steps == -3
    assert parsed(f"--steps {2**60 + 1}").steps == 2**60 + 1


@pytest.mark.parametrize("word", ["ten", "1.5", "1e-1", "inf", "nan", "1e400", "true"])
def test_other_words_are_refused(word, capsys):
    with pytest.raises(SystemExit) as ended:
        parsed(f"--steps {word}")
    assert ended.value.code == 2
    assert f"'{word}' is no whole number" in capsys.readouterr().err
