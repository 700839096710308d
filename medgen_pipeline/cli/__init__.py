"""The command line: `medgen`. Each command lives in a module that is imported when it is called."""

from medgen_pipeline.cli.commands import main

__all__ = ["main"]
