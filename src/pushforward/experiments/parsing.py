"""How words of a command line become settings, where tyro's own way is not enough."""

from contextlib import suppress

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

REGISTRY = ConstructorRegistry()
"""What commands and sweeps parse by."""


@REGISTRY.primitive_rule
def _whole_numbers(asked: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
    """Whole numbers may be written as 1e4, 2.5e5 and 60_000 too."""
    if asked.type is not int:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda words: _whole(words[0]),
        is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
        str_from_instance=lambda value: [str(value)],
    )


def _whole(word: str) -> int:
    """The whole number that a word says.

    Raises:
        ValueError: it says none.
    """
    for read in (int, float):
        with suppress(ValueError):
            number = read(word)
            if float(number).is_integer():
                return int(number)
    raise ValueError(f"{word!r} is no whole number")
