"""A scenario in the body of a request: JSON or YAML, through the one door of all scenarios."""

from typing import Any, Final

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from medgen_pipeline.errors import ScenarioError
from medgen_pipeline.scenario import documents
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.validation import Checked, check
from medgen_pipeline.service.faults import ServiceError

SUFFIXES: Final = {"application/json": ".json", "application/yaml": ".yaml"}
NAME: Final = "in the body"

SCENARIO_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "A scenario; `GET /api/v1/scenarios/demo` shows one in full.",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "application/yaml": {"schema": {"type": "string"}},
    },
}


def suffix_of(request: Request) -> str:
    """Return the suffix of a scenario file of the body's type."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in SUFFIXES:
        raise ServiceError(415, f"Content-Type must be one of {', '.join(SUFFIXES)}")
    return SUFFIXES[given]


async def checked_in(request: Request) -> Checked:
    """Return what a check of the body found."""
    suffix = suffix_of(request)
    return await run_in_threadpool(_checked, await request.body(), suffix)


async def scenario_in(request: Request) -> Scenario:
    """Return the scenario in the body; raise ScenarioError with every fault it has."""
    checked = await checked_in(request)
    if checked.scenario is None:
        raise ScenarioError(NAME, checked.faults)
    return checked.scenario


def _checked(body: bytes, suffix: str) -> Checked:
    try:
        return check(documents.read(body.decode("utf-8-sig"), suffix), NAME)
    except documents.BrokenTextError as error:
        return Checked(NAME, None, (error.fault,))
    except UnicodeDecodeError:
        raise ServiceError(400, "the body is not UTF-8") from None
