"""`/api/v1/health`: how the deployment is, part by part, told within seconds whatever hangs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from medgen_pipeline.service.checks import Checks, Look
from medgen_pipeline.service.deployment import deployment_of
from medgen_pipeline.service.findings import (
    DatabaseReport,
    Finding,
    Pools,
    Ready,
    Report,
    Status,
    overall,
)
from medgen_pipeline.service.probes import Probe, ask_all
from medgen_pipeline.settings import Settings

WORKS: Final = (Status.HEALTHY, Status.WARNING)
UNAVAILABLE: Final = 503
POOL_SETTINGS: Final = ("db_pool_size", "db_max_overflow", "db_pool_timeout", "db_pool_recycle")

router: Final = APIRouter(prefix="/api/v1/health", tags=["health"])


@dataclass(frozen=True, slots=True)
class Health:
    """The probes of a deployment."""

    parts: Mapping[str, Probe]
    pools: Probe

    @classmethod
    def of(cls, checks: Checks) -> Self:
        """Return the probes of these looks."""
        looks: dict[str, Look] = checks.looks()
        parts = {name: Probe(name, look) for name, look in looks.items()}
        return cls(parts, Probe("pools", checks.pools))

    async def ask(self, *names: str) -> dict[str, Finding]:
        """Return what is found of some parts, of all when none is named."""
        return await ask_all([self.parts[name] for name in names or self.parts])


class Alive(BaseModel):
    """The answer of a process that answers."""

    status: Literal["alive"] = "alive"


@router.get("/live", summary="Is the process alive")
async def live() -> Alive:
    """Answer, which is all there is to tell; nothing else is asked."""
    return Alive()


@router.get(
    "/ready",
    summary="Can requests be served",
    responses={UNAVAILABLE: {"model": Ready, "description": "Database or data root fail."}},
)
async def ready(request: Request, response: Response) -> Ready:
    """Ask the database and the data root, which requests read from."""
    found = await deployment_of(request).health.ask("database", "data_root")
    is_ready = all(each.status in WORKS for each in found.values())
    response.status_code = 200 if is_ready else UNAVAILABLE
    return Ready(ready=is_ready, checks=found)


@router.get(
    "/database",
    summary="The database and its pools",
    responses={UNAVAILABLE: {"model": DatabaseReport, "description": "It does not answer."}},
)
async def database(request: Request, response: Response) -> DatabaseReport:
    """Read from the database, and tell of the connections to it."""
    deployment = deployment_of(request)
    health = deployment.health
    found = await ask_all([health.parts["database"], health.pools])
    answered, pools = found["database"], found["pools"]
    response.status_code = 200 if answered.status in WORKS else UNAVAILABLE
    return DatabaseReport(
        status=answered.status,
        timestamp=_now(),
        database=answered,
        pool=pools.pool if isinstance(pools, Pools) else {},
        metrics=pools.metrics if isinstance(pools, Pools) else {},
        config=_pool_settings(deployment.settings),
    )


@router.get(
    "",
    summary="How the deployment is",
    responses={UNAVAILABLE: {"model": Report, "description": "It does not do all its work."}},
)
async def health(request: Request, response: Response) -> Report:
    """Look at every part; 503 when one is unhealthy, or could not be told."""
    found = await deployment_of(request).health.ask()
    status = overall(each.status for each in found.values())
    response.status_code = 200 if status in WORKS else UNAVAILABLE
    return Report(status=status, timestamp=_now(), checks=found)


def _pool_settings(settings: Settings) -> dict[str, int]:
    return {name: getattr(settings, name) for name in POOL_SETTINGS}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
