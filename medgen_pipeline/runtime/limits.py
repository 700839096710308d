"""What one run may take: memory, CPU time, wall-clock time; stated, checked and lowered here.

The deployment's settings are both the default and the most a run can have. A job's executor config
and then the run's tags may lower them. Whatever cannot be used is refused, never mended.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from medgen_pipeline.errors import MedgenError
from medgen_pipeline.settings import Settings


class LimitError(MedgenError):
    """A run asks for limits that cannot be used; the message names each, and what is allowed."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One kind of limit. `name` is its key in executor config and in metadata."""

    name: str
    unit: str
    setting: str  # the environment variable
    meaning: str

    @property
    def tag(self) -> str:
        """The tag of a run that lowers it."""
        return f"medgen/{self.name}"


MEMORY: Final = Limit(
    "max_memory_mb", "MB", "JOB_MAX_MEMORY_MB", "Resident memory of the run's processes, MiB."
)
CPU: Final = Limit(
    "max_cpu_seconds", "CPU s", "JOB_MAX_CPU_SECONDS", "CPU time of the run's processes, seconds."
)
RUNTIME: Final = Limit(
    "max_runtime_seconds", "s", "JOB_MAX_RUNTIME_SECONDS", "Time from start to end, seconds."
)
KINDS: Final = (MEMORY, CPU, RUNTIME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one run, or of every run of a deployment. Fields are the names of KINDS."""

    max_memory_mb: float
    max_cpu_seconds: float
    max_runtime_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Return the limits of a deployment."""
        return cls(
            max_memory_mb=settings.job_max_memory_mb,
            max_cpu_seconds=settings.job_max_cpu_seconds,
            max_runtime_seconds=settings.job_max_runtime_seconds,
        )

    def __str__(self) -> str:
        return "at most " + ", ".join(f"{getattr(self, k.name):g} {k.unit}" for k in KINDS)

    def as_dict(self) -> dict[str, float]:
        """Return the limits by name."""
        return {kind.name: getattr(self, kind.name) for kind in KINDS}

    def of_run(self, run_config: Mapping[str, Any], tags: Mapping[str, str]) -> "Limits":
        """Return the limits of a run: its tags before its executor's config before these.

        Raises LimitError that names every value that cannot be used.
        """
        faults: list[str] = []
        values = self.as_dict()
        config = (run_config.get("execution") or {}).get("config") or {}
        for kind in KINDS:
            for where, value in _asked(kind, config, tags):
                number = _number(value)
                if number is None or number > getattr(self, kind.name):
                    faults.append(f"{where} is {value!r}; must be {self._allowed(kind)}")
                else:
                    values[kind.name] = number
        if faults:
            raise LimitError("\n".join(faults))
        return Limits(**values)

    def _allowed(self, kind: Limit) -> str:
        most = getattr(self, kind.name)
        return f"a number above 0 and at most {most:g}, which {kind.setting} sets"


def _asked(
    kind: Limit, config: Mapping[str, Any], tags: Mapping[str, str]
) -> Iterator[tuple[str, Any]]:
    """Yield where a run asks for a limit, and what it asks, the strongest last."""
    if config.get(kind.name) is not None:
        yield f"execution.config.{kind.name}", config[kind.name]
    if kind.tag in tags:
        yield f"tag {kind.tag}", tags[kind.tag]


def _number(value: object) -> float | None:
    """Return a positive, finite number, None for anything else."""
    convert: Callable[[Any], float] = float
    try:
        number = convert(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 and value is not True else None
