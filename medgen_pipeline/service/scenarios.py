"""`/api/v1/scenarios`: what can be generated; a scenario is checked, and added by who may write."""

import logging
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from medgen_pipeline.errors import MedgenError, ScenarioError, ScenarioExistsError
from medgen_pipeline.scenario.catalogue import to_yaml
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.service.bodies import SCENARIO_BODY, checked_in, scenario_in, suffix_of
from medgen_pipeline.service.deployment import Deployment, deployment_of
from medgen_pipeline.service.faults import FaultBody, ServiceError, request_id, responses
from medgen_pipeline.service.generating import SCENARIO_ID
from medgen_pipeline.service.negotiation import weights

router: Final = APIRouter(prefix="/api/v1/scenarios", tags=["scenarios"])

YAML: Final = "application/yaml"
_log: Final = logging.getLogger(__name__)
ScenarioId = Annotated[str, PathParameter(pattern=SCENARIO_ID, examples=["demo"])]


class Listed(BaseModel):
    """A scenario as the catalogue lists it."""

    id: str
    title: str
    is_usable: bool
    replaces_shipped: bool


class Check(BaseModel):
    """What a check of a scenario found."""

    valid: bool
    faults: list[FaultBody]
    warnings: list[str]


class Added(BaseModel):
    """A scenario that was added."""

    id: str


@router.get("", summary="List scenarios", responses=responses(401, 429))
def list_scenarios(request: Request) -> list[Listed]:
    """List what ships with the package and what this deployment has added."""
    return [
        Listed(
            id=entry.id,
            title=entry.title,
            is_usable=entry.problem is None,
            replaces_shipped=entry.replaces_shipped,
        )
        for entry in deployment_of(request).catalogue.entries()
    ]


@router.get(
    "/{scenario_id}",
    summary="Show a scenario",
    response_model=None,
    responses={
        200: {
            "description": "The scenario, every default written out.",
            "content": {
                "application/json": {"schema": {"type": "object"}},
                YAML: {"schema": {"type": "string"}},
            },
        },
        **responses(401, 404, 422, 429),
    },
)
def show(request: Request, scenario_id: ScenarioId) -> Any:  # noqa: ANN401  JSON or a response
    """Show a scenario in full, as JSON or, when `Accept` asks for it, as YAML."""
    scenario = deployment_of(request).catalogue.get(scenario_id)
    if weights(request.headers.get("accept", "")).get(YAML, 0.0) > 0:
        return Response(to_yaml(scenario), media_type=YAML)
    return scenario.model_dump(mode="json", exclude_none=True)


@router.post(
    "/check",
    summary="Check a scenario",
    openapi_extra={"requestBody": SCENARIO_BODY},
    responses=responses(400, 401, 408, 413, 415, 429),
)
async def check(request: Request) -> Check:
    """Return every fault of a scenario at once, and what is surely not meant."""
    checked = await checked_in(request)
    return Check(
        valid=checked.scenario is not None,
        faults=[FaultBody(path=f.path, got=f.got, allowed=f.allowed) for f in checked.faults],
        warnings=[str(warning) for warning in checked.warnings],
    )


@router.post(
    "",
    status_code=201,
    summary="Add a scenario",
    openapi_extra={"requestBody": SCENARIO_BODY},
    responses=responses(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def add(
    request: Request,
    replace: Annotated[bool, Query(description="Take the place of one with this id.")] = False,  # noqa: FBT002  FastAPI names it
) -> Added:
    """Add a scenario without fault to the deployment's own; it can be generated at once."""
    request.scope["caller"].expect_writer()
    scenario = await scenario_in(request)
    body, suffix = await request.body(), suffix_of(request)
    try:
        await run_in_threadpool(_add, deployment_of(request), scenario, body, suffix, replace)
    except ScenarioError:
        raise
    except ScenarioExistsError:
        raise ServiceError(409, f"scenario {scenario.id} is there already") from None
    except (MedgenError, OSError) as error:  # a full disk, a folder that may not be written
        _log.error("request %s: %s was not added: %s", request_id(request), scenario.id, error)
        raise ServiceError(503, "the scenario cannot be stored at the moment") from None
    return Added(id=scenario.id)


def _add(
    deployment: Deployment,
    scenario: Scenario,
    body: bytes,
    suffix: str,
    replace: bool,  # noqa: FBT001  positional through the thread pool
) -> None:
    if deployment.settings.scenario_dir is None:
        raise ServiceError(409, "this deployment keeps no scenarios of its own")
    with tempfile.TemporaryDirectory(prefix="medgen-") as folder:
        file = Path(folder, f"{scenario.id}{suffix}")
        file.write_bytes(body)
        deployment.catalogue.add(file, replace=replace)
