"""`medgen`, which says when it has begun to write a batch and goes on once it is told to."""

import sys
from typing import Any

from medgen_pipeline.cli import generate, main
from medgen_pipeline.generation import pool


class Held:
    """Progress that is reported on, after the first word was answered."""

    def __init__(self, report: pool.Report) -> None:
        self.report = report
        self.is_told = False

    def __call__(self, batch: int, progress: Any) -> None:  # noqa: ANN401  passed on
        """Report, or wait first."""
        if not self.is_told:
            self.is_told = True
            sys.stdout.write("begun\n")
            sys.stdout.flush()
            sys.stdin.readline()
        self.report(batch, progress)


def generate_batches(*what: Any, progress: pool.Report, **how: Any) -> Any:  # noqa: ANN401
    """Generate as `medgen generate` does."""
    return pool.generate_batches(*what, progress=Held(progress), **how)


if __name__ == "__main__":
    vars(generate)["generate_batches"] = generate_batches
    sys.exit(main(sys.argv[1:]))
