"""Words of a user's file in messages."""


def brief(text: str, length: int = 40) -> str:
    """`text` in quotes, on one line, cut to `length` characters."""
    shown = repr(text[: length + 1])
    return shown if len(shown) <= length + 2 else f"{shown[: length - 2]}...{shown[0]}"
