"""The command line. `main` is the console script."""

from app.cli.root import main

__all__ = ["main"]
