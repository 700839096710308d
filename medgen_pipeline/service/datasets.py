"""`/api/v1/datasets`: what is committed, read through the dataset's reader.

A page of patients is found by its key: the subject after which it begins. Subjects are numbered in
the order of replicate and injury, which is the order of the table, so pages are stable while the
data is.
"""

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.schema import PATIENTS, TABLES
from medgen_pipeline.service import slices, text
from medgen_pipeline.service.committed import Committed
from medgen_pipeline.service.deployment import deployment_of
from medgen_pipeline.service.faults import ServiceError, responses
from medgen_pipeline.service.generating import SCENARIO_ID
from medgen_pipeline.service.negotiation import takes_gzip
from medgen_pipeline.service.sending import StreamedAnswer
from medgen_pipeline.simulation.engine import SUBJECTS_PER_REPLICATE

router: Final = APIRouter(prefix="/api/v1/datasets", tags=["datasets"])

LAST_BATCH: Final = 999
MOST_MANIFESTS: Final = 100
LAST_SUBJECT: Final = 10_000_000 * SUBJECTS_PER_REPLICATE

ScenarioId = Annotated[str, Path(pattern=SCENARIO_ID, examples=["demo"])]
Batch = Annotated[int, Path(ge=0, le=LAST_BATCH, examples=[0])]
SubjectId = Annotated[int, Path(ge=1, le=LAST_SUBJECT, examples=[1])]
TableName = Annotated[str, Path(pattern=f"^({'|'.join(TABLES)})$", examples=["patients"])]
READING: Final = responses(401, 404, 422, 429, 503)
OBJECT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}}
}


class ScenarioData(BaseModel):
    """What there is of a scenario."""

    scenario: str
    batches: int
    first_batch: int
    last_batch: int


class Partition(BaseModel):
    """One committed batch of a scenario."""

    scenario: str
    batch: int
    first_replicate: int
    last_replicate: int
    seed: int
    rows: dict[str, int]
    outcomes: dict[str, int]
    bytes: int
    created_at: str
    run_id: str


class Partitions(BaseModel):
    """Some batches of a scenario, and where the next ones begin."""

    partitions: list[Partition]
    next_batch: int | None = Field(description="`from_batch` of the next page, if there is one.")


def _words(column: str) -> str:
    """Return a pattern that the words of a column match."""
    words = "|".join(PATIENTS.column(column).words or ())
    return f"^({words})$"


class PageWanted(BaseModel):
    """Which patients of a scenario."""

    model_config = ConfigDict(extra="forbid")

    batch: int | None = Field(default=None, ge=0, le=LAST_BATCH, description="Of this batch only.")
    front: str | None = Field(default=None, pattern=SCENARIO_ID)
    nationality: str | None = Field(default=None, pattern="^[A-Z]{3}$", examples=["EST"])
    triage_assigned: str | None = Field(default=None, pattern=_words("triage_assigned"))
    outcome: str | None = Field(default=None, pattern=_words("outcome"), examples=["DOW"])
    casualty_class: str | None = Field(default=None, pattern=_words("casualty_class"))
    day: int | None = Field(default=None, ge=1, le=65_535)
    after: int = Field(
        default=0, ge=0, le=LAST_SUBJECT, description="`next` of the page before this one."
    )
    limit: int = Field(default=100, ge=1, le=1_000)

    def conditions(self) -> dict[str, str | int]:
        """Return what is asked of columns."""
        asked = self.model_dump(exclude_none=True, exclude={"batch", "after", "limit"})
        return dict(asked)


class SliceWanted(BaseModel):
    """Which rows of a table, and how."""

    model_config = ConfigDict(extra="forbid")

    batch: int = Field(default=0, ge=0, le=LAST_BATCH)
    replicate: int | None = Field(default=None, ge=0, le=9_999_999)
    columns: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9_]+(,[a-z0-9_]+){0,60}$",
        description="Names of columns, with commas between; by default all.",
        examples=["subject_id,outcome"],
    )
    limit: int = Field(default=100_000, ge=1, le=1_000_000, description="Most rows to send.")
    format: slices.SliceFormat = slices.SliceFormat.ARROW


@router.get("", summary="List datasets", responses=responses(401, 429, 503))
def datasets(request: Request) -> list[ScenarioData]:
    """List the scenarios there is committed data of."""
    batches: dict[str, list[int]] = {}
    for partition in deployment_of(request).dataset.partitions():
        batches.setdefault(partition.scenario, []).append(partition.batch)
    return [
        ScenarioData(
            scenario=scenario, batches=len(found), first_batch=found[0], last_batch=found[-1]
        )
        for scenario, found in batches.items()
    ]


@router.get("/{scenario_id}/partitions", summary="List partitions", responses=READING)
def partitions(
    request: Request,
    scenario_id: ScenarioId,
    from_batch: Annotated[int, Query(ge=0, le=LAST_BATCH)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_MANIFESTS)] = MOST_MANIFESTS,
) -> Partitions:
    """List the batches of a scenario from one on."""
    committed = _committed(request, scenario_id)
    found = [batch for batch in committed.batches if batch >= from_batch]
    return Partitions(
        partitions=[_partition(committed.manifest(batch)) for batch in found[:limit]],
        next_batch=found[limit] if len(found) > limit else None,
    )


@router.get(
    "/{scenario_id}/partitions/{batch}",
    summary="Show the manifest of a partition",
    response_model=None,
    responses={**OBJECT, **READING},
)
def manifest(request: Request, scenario_id: ScenarioId, batch: Batch) -> dict[str, Any]:
    """Show the commit record of a batch: its files with digests, the resolved scenario, the run."""
    return _committed(request, scenario_id).manifest(batch).model_dump(mode="json")


@router.get(
    "/{scenario_id}/patients",
    summary="Page through patients",
    response_model=None,
    responses={**OBJECT, **READING},
)
def patients(
    request: Request, scenario_id: ScenarioId, wanted: Annotated[PageWanted, Query()]
) -> Response:
    """Return patients that meet every condition, in order, and where the next page begins."""
    committed = _committed(request, scenario_id)
    rows = committed.page(wanted.conditions(), wanted.batch, wanted.after, wanted.limit)
    last = rows.column("subject_id")[len(rows) - 1].as_py() if len(rows) == wanted.limit else None
    lines = text.json_rows(rows, end="},")
    body = text.sliced(lines, 0, len(rows))[:-1]
    answer = b'{"patients":[' + body + b'],"next":' + orjson.dumps(last) + b"}"
    return Response(answer, media_type="application/json")


@router.get(
    "/{scenario_id}/patients/{subject_id}",
    summary="Show a patient with the whole course of care",
    response_model=None,
    responses={**OBJECT, **READING},
)
def patient(request: Request, scenario_id: ScenarioId, subject_id: SubjectId) -> Response:
    """Return a patient with injuries, timeline, treatments and observations, as a stream has it."""
    found = _committed(request, scenario_id).patient(subject_id)
    if found is None:
        raise ServiceError(404, f"there is no patient {subject_id} of {scenario_id}")
    return Response(text.sliced(text.json_rows(found), 0, 1), media_type="application/json")


@router.get(
    "/{scenario_id}/tables/{table}",
    summary="Read a slice of a table",
    response_model=None,
    responses={
        200: {
            "description": "Rows, in the order of the table, at most as many as the limit.",
            "content": {
                media: {"schema": {"type": "string", "format": "binary"}}
                for media in slices.MEDIA_TYPES.values()
            },
        },
        **READING,
    },
)
def table_slice(
    request: Request,
    scenario_id: ScenarioId,
    table: TableName,
    wanted: Annotated[SliceWanted, Query()],
) -> StreamedAnswer:
    """Stream rows of one batch of a table, all of it or one replicate, all columns or some."""
    deployment = deployment_of(request)
    committed = _committed(request, scenario_id)
    committed.manifest(wanted.batch)
    columns = _columns(table, wanted.columns)
    deployment.streams.take_place()
    rows = slices.Slice(
        committed.dataset,
        scenario_id,
        table,
        columns,
        wanted.batch,
        wanted.replicate,
        wanted.limit,
        wanted.format,
    )
    headers = {
        "Content-Type": slices.MEDIA_TYPES[wanted.format],
        "Vary": "Accept-Encoding",
        "X-Row-Limit": str(wanted.limit),
    }
    gzip = takes_gzip(request.headers.get("accept-encoding"))
    return StreamedAnswer(deployment.streams, rows, headers, gzip=gzip)


def _committed(request: Request, scenario: str) -> Committed:
    """Return what there is of a scenario; one there is nothing of is not found."""
    dataset = deployment_of(request).dataset
    batches = [partition.batch for partition in dataset.partitions(scenario)]
    if not batches:
        raise ServiceError(404, f"there is no data of scenario {scenario}")
    return Committed(dataset, scenario, batches)


def _columns(table: str, asked: str | None) -> list[str]:
    known = [column.name for column in TABLES[table].columns]
    wanted = known if asked is None else list(dict.fromkeys(asked.split(",")))
    for name in wanted:
        if name not in known:
            raise ServiceError(422, f"columns: {table} has no column {name}")
    return wanted


def _partition(found: Manifest) -> Partition:
    return Partition(
        scenario=found.scenario,
        batch=found.batch,
        first_replicate=found.first_replicate,
        last_replicate=found.last_replicate,
        seed=found.seed,
        rows=found.rows,
        outcomes=found.outcomes,
        bytes=sum(file.bytes for file in found.files),
        created_at=found.run.created_at.isoformat(),
        run_id=found.run.run_id,
    )
