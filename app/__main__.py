"""`python -m app` is `larder`."""

from app.cli import main

main()
