"""The type checker of the suite: beartype, which takes an int for a float as mypy does (PEP 484)."""

from beartype import BeartypeConf, beartype

typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
