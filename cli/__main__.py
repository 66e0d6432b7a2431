"""`python -m cli` is `zapwright`."""

from cli.main import main

main()
