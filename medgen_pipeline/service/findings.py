"""What a look at each part of a deployment tells, as the health routes answer it."""

import enum
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field


class Status(enum.StrEnum):
    """How a part is."""

    HEALTHY = "healthy"
    WARNING = "warning"  # it works; someone should look
    UNHEALTHY = "unhealthy"  # it does not do its work
    ERROR = "error"  # it could not be told, or not in time


def overall(statuses: Iterable[Status]) -> Status:
    """Return the status of a whole: unhealthy before error before warning before healthy."""
    found = set(statuses)
    worst = (Status.UNHEALTHY, Status.ERROR, Status.WARNING)
    return next((status for status in worst if status in found), Status.HEALTHY)


class Finding(BaseModel):
    """One part."""

    status: Status
    detail: str | None = Field(default=None, description="Why it is not healthy, in words.")
    seconds: float = Field(default=0.0, description="How long the look took.")


class Api(Finding):
    """The process that answers."""

    version: str
    python_version: str
    uptime_seconds: float


class Database(Finding):
    """What Dagster keeps its runs in."""

    kind: str = Field(examples=["sqlite", "postgresql"])
    version: str


class Pools(Finding):
    """The pools of connections to the database, by the part of the deployment that has each."""

    pool: dict[str, dict[str, int]]
    metrics: dict[str, dict[str, Any]]


class DataRoot(Finding):
    """Where the dataset is."""

    kind: str = Field(examples=["folder", "bucket"])
    scenarios: int | None = Field(default=None, description="Scenarios there is data of.")


class Disk(Finding):
    """The file system, of those of the home and of the data root, that is fuller."""

    of: str = Field(examples=["data root", "home"])
    total_gb: float
    used_gb: float
    free_gb: float
    percent_used: float


class Memory(Finding):
    """The memory of the host, or of the container."""

    total_gb: float
    available_gb: float
    used_gb: float
    percent_used: float


class Beat(BaseModel):
    """The last heartbeat of one daemon."""

    age_seconds: float | None = Field(description="None of one that never beat.")
    errors: int = Field(description="Errors it told with it.")


class Daemon(Finding):
    """The threads of Dagster's daemon."""

    threshold_seconds: float = Field(description="An older heartbeat is that of a dead daemon.")
    heartbeats: dict[str, Beat]


class WebServer(Finding):
    """Dagster's web server."""

    dagster_version: str


class CodeLocation(Finding):
    """What the code server serves."""

    repositories: int


class QueueState(Finding):
    """The run queue."""

    queued: int
    running: int
    slots: int = Field(description="MAX_CONCURRENT_JOBS.")
    open_slots: int = Field(description="As many of them as there is memory for.")
    oldest_queued_seconds: float
    startable: int = Field(description="Runs that the queue would launch at this moment.")
    idle_seconds: float = Field(
        description="For how long something could have been launched, and nothing moved."
    )
    threshold_seconds: float


class Use(BaseModel):
    """What a run uses, and may use."""

    job: str
    runtime_seconds: float
    max_runtime_seconds: float | None = None
    memory_mb: float | None = Field(default=None, description="None on another host.")
    max_memory_mb: float | None = None
    cpu_seconds: float | None = None
    max_cpu_seconds: float | None = None


class Resources(BaseModel):
    """All runs together, and what one may take."""

    total_memory_mb: float
    total_cpu_seconds: float
    max_memory_mb: float
    max_cpu_seconds: float
    max_runtime_seconds: float


class JobWorker(Finding):
    """The runs that go on."""

    active_jobs: int
    max_concurrent_jobs: int
    can_accept_jobs: bool = Field(description="Whether one more would start at once.")
    resources: Resources
    jobs: dict[str, Use] = Field(description="By run id.")


class Report(BaseModel):
    """A whole deployment."""

    status: Status
    timestamp: str = Field(examples=["2026-01-01T00:00:00Z"])
    checks: dict[
        str,
        Api
        | Database
        | DataRoot
        | Disk
        | Memory
        | Daemon
        | WebServer
        | CodeLocation
        | QueueState
        | JobWorker
        | Finding,
    ]


class DatabaseReport(BaseModel):
    """The database, and the pools of connections to it."""

    status: Status
    timestamp: str
    database: Database | Finding
    pool: dict[str, Any] = Field(
        description="Connections now, by the part of the deployment that holds them; "
        "empty with SQLite, which has no pool."
    )
    metrics: dict[str, Any] = Field(description="What the pools have done, by part.")
    config: dict[str, int] = Field(description="The settings of each pool.")


class Ready(BaseModel):
    """Whether requests can be served."""

    ready: bool
    checks: dict[str, Finding]
