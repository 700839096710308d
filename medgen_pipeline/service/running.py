"""`/api/v1/streaming`: how many streams run, and what they have done."""

from dataclasses import asdict
from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from medgen_pipeline.service.deployment import deployment_of
from medgen_pipeline.service.faults import responses

router: Final = APIRouter(prefix="/api/v1/streaming", tags=["streaming"])


class StreamCounts(BaseModel):
    """What the streams of this process have done since it started."""

    active: int = Field(description="Streams that run now.")
    limit: int = Field(description="Streams that may run at the same time.")
    started: int
    completed: int
    abandoned: int = Field(description="By a client that left, or one that was too slow.")
    failed: int
    patients: int = Field(description="Patients of streams that have ended.")
    bytes: int


@router.get("", summary="Streams that run", responses=responses(401, 429))
async def streams(request: Request) -> StreamCounts:
    """Count the streams of this process."""
    deployment = deployment_of(request)
    figures = asdict(deployment.streams.counts())
    return StreamCounts(limit=deployment.limits.streams, **figures)
