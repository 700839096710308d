"""`python -m medgen_pipeline.service`: the API as a process of a deployment (`medgen serve`)."""

import argparse
import os
import sys

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.service.app import DAGSTER_URL
from medgen_pipeline.service.server import serve
from medgen_pipeline.settings import Settings


def main() -> int:
    """Serve until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m medgen_pipeline.service")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dagster-url", default=DAGSTER_URL, help="Dagster's web server")
    wanted = parser.parse_args()
    try:
        serve(
            Settings.from_env(os.environ),
            host=wanted.host,
            port=wanted.port,
            dagster_url=wanted.dagster_url,
        )
    except MedgenError as error:
        sys.stderr.write(f"medgen: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
