"""What one caller may take of the service. All our own choices; a deployment may choose others."""

from dataclasses import dataclass
from typing import Final

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of requests and answers."""

    streams: int = 10  # at the same time
    patients_per_stream: int = 10_000_000
    patients_per_replicate: int = 1_000_000  # a replicate is what a stream holds in memory
    seconds_per_stream: float = 7_200.0
    retry_after_seconds: int = 5  # told to whoever finds all streams taken
    body_bytes: int = MEGABYTE  # as a scenario file
    seconds_for_body: float = 20.0
    rows_per_page: int = 1_000
    rows_per_slice: int = 1_000_000
    batches_per_job: int = 1_000
