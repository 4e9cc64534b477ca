"""`python -m pushforward.cli`."""

from pushforward.cli.main import main

main()
