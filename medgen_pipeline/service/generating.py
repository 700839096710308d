"""`/api/v1/streaming/generate`: patients made while they are sent, a replicate in memory.

The stream is the scenario's replicates one after another, until so many patients were sent.
"""

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Executor
from threading import Lock
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from medgen_pipeline.generation.finished import Finished, finished_patients
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.scaling import fingerprint, with_seed
from medgen_pipeline.scenario.totals import expected_patients
from medgen_pipeline.service import negotiation
from medgen_pipeline.service.bodies import SCENARIO_BODY, scenario_in
from medgen_pipeline.service.courses import batch_of
from medgen_pipeline.service.deployment import Deployment, deployment_of
from medgen_pipeline.service.faults import ServiceError, responses
from medgen_pipeline.service.formats import MEDIA_TYPES, Format, writer
from medgen_pipeline.service.limits import Limits
from medgen_pipeline.service.sending import Pieces, StreamedAnswer, ahead, in_order
from medgen_pipeline.simulation.engine import Engine, Replicate, engine

router: Final = APIRouter(prefix="/api/v1/streaming", tags=["streaming"])

ENGINES_KEPT: Final = 4  # some MB each; a stream of a scenario that was streamed starts at once
MOST_BATCH: Final = 100_000
SCENARIO_ID: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
LAST_REPLICATE: Final = 9_999_999  # as many as 1,000 batches of 10,000 hold


class Wanted(BaseModel):
    """What a stream is to hold, and how."""

    model_config = ConfigDict(extra="forbid")

    count: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="Patients to send; by default as many as one replicate has.",
        examples=[200],
    )
    replicate: int = Field(
        default=0, ge=0, le=LAST_REPLICATE, description="Replicate to begin with."
    )
    seed: int | None = Field(
        default=None, ge=0, le=2**63 - 1, description="Another seed than the scenario's."
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=MOST_BATCH,
        description="Most patients in one chunk or record batch; by default JOB_BATCH_SIZE. "
        "Chunks are smaller where fewer patients are ready.",
    )
    format: Format | None = Field(
        default=None, description="By default what `Accept` asks for, else JSON."
    )
    course: bool = Field(
        default=True,
        description="With injuries, timeline, treatments and observations. NDJSON and Arrow can do "
        "without; JSON always has them, CSV never.",
    )


class WantedOfOne(Wanted):
    """What a stream of a scenario of the catalogue is to hold."""

    scenario: str = Field(
        default="demo",
        pattern=SCENARIO_ID,
        description="Id of a scenario, as `/api/v1/scenarios` lists them.",
        examples=["demo"],
    )


STREAM: Final[dict[str, Any]] = {
    "response_model": None,
    "responses": {
        200: {
            "description": "Patients, each with the whole course of care.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "patients": {"type": "array", "items": {"type": "object"}},
                            "total_patients": {"type": "integer"},
                            "error": {"type": "string"},
                            "patients_generated": {"type": "integer"},
                        },
                        "required": ["patients"],
                    }
                },
                "application/x-ndjson": {"schema": {"type": "string"}},
                "application/vnd.apache.arrow.stream": {
                    "schema": {"type": "string", "format": "binary"}
                },
                "text/csv": {"schema": {"type": "string"}},
            },
        },
        **responses(400, 401, 403, 404, 406, 422, 429),
    },
}


class Patients(Pieces):
    """The patients of a stream, as bytes."""

    def __init__(
        self,
        prepared: Engine,
        wanted: "Wanted",
        count: int,
        batch_size: int,
        kind: Format,
        pool: Executor,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.prepared = prepared
        self.replicates = itertools.count(wanted.replicate)
        self.count = count
        self.batch_size = batch_size
        self.with_course = kind is Format.JSON or (wanted.course and kind is not Format.CSV)
        self.writer = writer(kind, with_course=self.with_course)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the stream from its first byte to its last."""
        yield self.writer.start()
        for rows in in_order(self.pool, self._rows, ahead(self._wanted())):
            end = self.patients + len(rows)
            for piece in self.writer.patients(rows, self.batch_size):
                yield piece
                self.patients = min(self.patients + self.batch_size, end)
        yield self.writer.end(self.patients)

    def _wanted(self) -> Iterator[tuple[Finished, int]]:
        """Yield patients, and how many of them are to be sent, until there are enough."""
        missing = self.count
        for finished in finished_patients(self.prepared, self.replicates):
            yield finished, min(missing, len(finished))
            missing -= len(finished)
            if missing <= 0:
                return

    def _rows(self, wanted: tuple[Finished, int]) -> Any:  # noqa: ANN401  the writer's own
        finished, number = wanted
        batch = batch_of(finished, with_course=self.with_course)
        return self.writer.rows(batch.slice(0, number))

    def failure(self, detail: str, request_id: str) -> bytes:
        """Return the trailer of a stream that broke."""
        return self.writer.failure(self.patients, detail, request_id)


class Engines:
    """Prepared scenarios, the last few that were asked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, Engine] = OrderedDict()

    def of(self, scenario: Scenario) -> Engine:
        """Return the engine of a scenario; preparing one takes some tens of milliseconds."""
        key = fingerprint(scenario)
        with self._lock:
            found = self._kept.pop(key, None) or engine(scenario)
            self._kept[key] = found
            while len(self._kept) > ENGINES_KEPT:
                self._kept.popitem(last=False)
            return found


@router.get("/generate", summary="Stream patients of a scenario", **STREAM)
async def stream_scenario(
    request: Request, wanted: Annotated[WantedOfOne, Query()]
) -> StreamedAnswer:
    """Generate patients and send each as soon as the simulation is done with them."""
    catalogue = deployment_of(request).catalogue
    return await _stream(request, await run_in_threadpool(catalogue.get, wanted.scenario), wanted)


@router.post(
    "/generate",
    summary="Stream patients of a scenario in the body",
    openapi_extra={"requestBody": SCENARIO_BODY},
    **{**STREAM, "responses": {**STREAM["responses"], **responses(408, 413, 415)}},
)
async def stream_given(request: Request, wanted: Annotated[Wanted, Query()]) -> StreamedAnswer:
    """Generate patients of a scenario sent along; a bad one is refused with every fault."""
    return await _stream(request, await scenario_in(request), wanted)


async def _stream(request: Request, scenario: Scenario, wanted: Wanted) -> StreamedAnswer:
    deployment = deployment_of(request)
    kind = wanted.format or negotiation.format_of(request.headers.get("accept"))
    scenario = scenario if wanted.seed is None else with_seed(scenario, wanted.seed)
    _expect_bounded(scenario, deployment.limits)
    deployment.streams.take_place()
    try:
        count, prepared = await run_in_threadpool(_prepared, deployment, scenario, wanted)
        _expect_count(count, deployment.limits)
        caller = request.scope["caller"]
        day = caller.take_patients(count)
        size = wanted.batch_size or deployment.settings.job_batch_size
        return StreamedAnswer(
            deployment.streams,
            Patients(prepared, wanted, count, size, kind, deployment.streams.serialisers),
            _headers(kind, count, size),
            gzip=negotiation.takes_gzip(request.headers.get("accept-encoding")),
            ended=lambda made: caller.give_back(count - made, day),
        )
    except BaseException:
        deployment.streams.count(active=-1)
        raise


def _prepared(deployment: Deployment, scenario: Scenario, wanted: Wanted) -> tuple[int, Engine]:
    """Return how many patients to send, and what to make them with."""
    prepared = deployment.engines.of(scenario)
    count = wanted.count or scenario.patients
    return count or Replicate(prepared, wanted.replicate).casualties, prepared


def _expect_bounded(scenario: Scenario, limits: Limits) -> None:
    """Refuse a scenario whose replicate does not fit the memory that a stream may take."""
    most, expected = limits.patients_per_replicate, expected_patients(scenario)
    if expected > most:
        raise ServiceError(
            422, f"a replicate has some {expected:.0f} patients; a stream may hold {most}"
        )


def _expect_count(count: int, limits: Limits) -> None:
    most = limits.patients_per_stream
    if count > most:
        raise ServiceError(422, f"count is {count}; must be from 1 to {most}")
    if count == 0:
        raise ServiceError(422, "this replicate has no patients")


def _headers(kind: Format, total: int, batch_size: int) -> dict[str, str]:
    return {
        "Content-Type": MEDIA_TYPES[kind],
        "Cache-Control": "no-cache",
        "Vary": "Accept, Accept-Encoding",
        "X-Patient-Count": str(total),
        "X-Batch-Size": str(batch_size),
    }
