"""How a step fails for a reason that a person can mend: with its message, not to be retried."""

import contextlib
from collections.abc import Iterator

import dagster as dg

from medgen_pipeline.errors import MedgenError


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error the user can mend into a failure with its message."""
    try:
        yield
    except MedgenError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
