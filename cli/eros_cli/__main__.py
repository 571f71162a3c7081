"""`python -m eros_cli`: what `./eros` runs once everything is prepared."""

from eros_cli.main import main

main()
