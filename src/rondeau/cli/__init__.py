"""The command ``rondeau``: one command a file. Heavy imports wait until a command runs."""

from rondeau.cli.main import app, main

__all__ = ["app", "main"]
