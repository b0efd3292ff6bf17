"""`python -m clarin_server` is `clarin`, where the command is not on the path."""

from clarin_server.cli import main

main(prog_name="clarin")
