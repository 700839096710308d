"""What a deployment sets through its environment: names, defaults, what is allowed.

Nothing else in the package reads the environment; whoever starts a process hands
`Settings.from_env(os.environ)` down.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from medgen_pipeline.errors import SettingError

TRUE_WORDS: Final = ("true", "1", "yes", "on")
FALSE_WORDS: Final = ("false", "0", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one deployment; a field's variable is its name in capitals.

    Fields from `data_url` to `batches_per_run` carry the prefix `MEDGEN_` there.
    """

    data_url: str = "data"  # a local folder or s3://bucket/prefix
    # Postgres for Dagster's instance, as libpq reads it: TLS, hosts; SQLite when unset
    database_url: str | None = None
    scenario_dir: Path | None = None  # scenario files beside the shipped ones
    api_keys: Path | None = None  # file of hashed keys; the API is open on loopback when unset
    run_retention_days: int = 90  # of Dagster's record of a run of which nothing is there
    ray_address: str | None = None  # of Ray's dashboard: runs go to its nodes; here when unset
    batches_per_run: int | None = None  # of a backfill from the UI; one run for all when unset
    dagster_home: Path | None = None

    # Of each service (docs/database.md); a run has at most 3 connections of its own.
    db_pool_size: int = 10  # connections kept
    db_max_overflow: int = 5  # connections beyond them
    db_pool_timeout: int = 30  # s to wait for one that is free
    db_pool_recycle: int = 3600  # s after which one is replaced

    job_max_memory_mb: int = 512  # of a run's whole process tree
    job_max_cpu_seconds: int = 300
    job_max_runtime_seconds: int = 600
    max_concurrent_jobs: int = 2
    job_batch_size: int = 100  # patients in a streamed chunk

    prometheus_enabled: bool = True
    metrics_port: int = 9090

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings `environ` asks for; an empty variable counts as unset.

        Raises SettingError that names every variable whose value cannot be used.
        """
        values: dict[str, Any] = {}
        faults: list[str] = []
        for setting in fields(cls):
            variable = variable_of(setting.name)
            text = environ.get(variable, "").strip()
            if not text:
                continue
            rule = RULES[setting.name]
            try:
                values[setting.name] = rule.parse(text)
            except (ValueError, OSError, RuntimeError):  # the last two: a path nobody can have
                faults.append(f"{variable} is {rule.shown(text)!r}; must be {rule.allowed}")
        if faults:
            raise SettingError("\n".join(faults))
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Rule:
    """How the text of a variable becomes a value, and what is allowed, in words."""

    parse: Callable[[str], Any]  # raises ValueError
    allowed: str
    is_secret: bool = False

    def shown(self, text: str) -> str:
        """Return the text as an error may print it."""
        return "(hidden)" if self.is_secret else text


def variable_of(name: str) -> str:
    """Return the environment variable of a field of Settings."""
    return f"MEDGEN_{name.upper()}" if name in PREFIXED else name.upper()


def integer(low: int, high: int) -> Rule:
    """Return the rule of a whole number between two bounds, both included."""

    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return Rule(parse, f"a whole number from {low} to {high}")


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(text)
    return word in TRUE_WORDS


def _data_url(text: str) -> str:
    parts = urlsplit(text)
    if "://" in text and (parts.scheme != "s3" or not parts.netloc):
        raise ValueError(text)
    return text if "://" in text else str(Path(text).expanduser())


def _database_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("postgresql", "postgresql+psycopg2") or not parts.path.strip("/"):
        raise ValueError(text)
    return text


def _ray_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.port or parts.path.strip("/"):
        raise ValueError(text)
    return text.rstrip("/")


def _existing_folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise ValueError(text)
    return path


def _path(text: str) -> Path:
    return Path(text).expanduser()


PREFIXED: Final = (
    *("data_url", "database_url", "scenario_dir", "api_keys", "run_retention_days"),
    *("ray_address", "batches_per_run"),
)
RULES: Final[Mapping[str, Rule]] = {
    "data_url": Rule(_data_url, "a local folder or s3://bucket/prefix"),
    "database_url": Rule(
        _database_url, "postgresql://user:password@host:port/database", is_secret=True
    ),
    "scenario_dir": Rule(_existing_folder, "an existing folder"),
    "api_keys": Rule(_path, "the path of a file"),
    "run_retention_days": integer(1, 36_500),
    "ray_address": Rule(_ray_address, "http://host:port, where Ray's dashboard listens"),
    "batches_per_run": integer(1, 1_000),
    "dagster_home": Rule(_path, "the path of a folder"),
    "db_pool_size": integer(1, 1_000),
    "db_max_overflow": integer(0, 1_000),
    "db_pool_timeout": integer(1, 3_600),
    "db_pool_recycle": integer(1, 86_400),
    "job_max_memory_mb": integer(64, 1_048_576),
    "job_max_cpu_seconds": integer(1, 31_536_000),
    "job_max_runtime_seconds": integer(1, 31_536_000),
    "max_concurrent_jobs": integer(1, 1_000),
    "job_batch_size": integer(1, 100_000),
    "prometheus_enabled": Rule(_boolean, f"one of {', '.join(TRUE_WORDS + FALSE_WORDS)}"),
    "metrics_port": integer(1, 65_535),
}
