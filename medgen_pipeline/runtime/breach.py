"""What a run has taken, and which limit it has passed: values only."""

import math
from dataclasses import dataclass

from medgen_pipeline.runtime.limits import CPU, KINDS, MEMORY, RUNTIME, Limit, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the processes of a run have taken since it began."""

    peak_memory_mb: float = 0.0
    cpu_seconds: float = 0.0
    runtime_seconds: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the figures by name, rounded to what they are worth."""
        return {
            "peak_memory_mb": round(self.peak_memory_mb, 1),
            "cpu_seconds": round(self.cpu_seconds, 2),
            "runtime_seconds": round(self.runtime_seconds, 2),
        }

    def of(self, kind: Limit) -> float:
        """Return the figure that a limit bounds."""
        return {
            MEMORY: self.peak_memory_mb,
            CPU: self.cpu_seconds,
            RUNTIME: self.runtime_seconds,
        }[kind]

    def __str__(self) -> str:
        return (
            f"peak memory {self.peak_memory_mb:,.0f} MB, {self.cpu_seconds:,.1f} CPU s, "
            f"{self.runtime_seconds:,.1f} s"
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that a run has passed."""

    kind: Limit
    allowed: float
    taken: Taken

    @property
    def observed(self) -> float:
        """What was taken of the limited thing, to two decimals, rounded up: above `allowed`."""
        return math.ceil(self.taken.of(self.kind) * 100) / 100

    @property
    def message(self) -> str:
        """What happened, and what can be set."""
        kind = self.kind
        return (
            f"{kind.name} exceeded: {self.observed:.2f} {kind.unit} > {self.allowed:g} "
            f"{kind.unit}. {kind.setting} sets what any run may take, tag {kind.tag} less for one."
        )

    def as_dict(self) -> dict[str, str | float]:
        """Return the breach as metadata."""
        return {
            "limit": self.kind.name,
            "allowed": self.allowed,
            "observed": self.observed,
            **self.taken.as_dict(),
        }


def breach_of(limits: Limits, taken: Taken) -> Breach | None:
    """Return the first limit that is passed, None when all are kept."""
    for kind in KINDS:
        allowed = getattr(limits, kind.name)
        if taken.of(kind) > allowed:
            return Breach(kind, allowed, taken)
    return None
