"""Whether this process is alive; what else health is made of has routes of its own."""

from typing import Final, Literal

from fastapi import APIRouter
from pydantic import BaseModel

router: Final = APIRouter(prefix="/api/v1/health", tags=["health"])


class Alive(BaseModel):
    """The answer of a process that answers."""

    status: Literal["alive"] = "alive"


@router.get("/live", summary="Is the process alive")
async def live() -> Alive:
    """Answer, which is all there is to tell; nothing else is asked."""
    return Alive()
