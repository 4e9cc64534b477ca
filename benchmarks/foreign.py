"""Calls of a benchmark in a process of another interpreter: `python foreign.py SCRIPT`, spoken to by pickles."""

import importlib
import os
import pickle
import sys
import traceback


def main() -> None:
    """Make calls until the input ends; what they print goes to the standard error."""
    back = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.modules["__main__"] = importlib.import_module(sys.argv[1])
    while True:
        try:
            function, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            said = False, function(*arguments)
        except Exception:
            said = True, traceback.format_exc()
        pickle.dump(said, back)
        back.flush()


if __name__ == "__main__":
    main()
