"""Runs of the deployment's Dagster, through its web server as the UI does it.

The one module of the service that knows Dagster: nothing of it is imported, its GraphQL is spoken.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from medgen_pipeline.errors import SettingError
from medgen_pipeline.service.faults import ServiceError

LOCATION: Final = "medgen_pipeline"
REPOSITORY: Final = "__repository__"
JOB: Final = "generation"
TABLES_OP: Final = "casualty_tables"  # which takes the config of a run
SCENARIO_DIMENSION: Final = "scenario"
TENANT_TAG: Final = "medgen/tenant"
PRIORITY_TAG: Final = "dagster/priority"
WORKLOAD_TAG: Final = "medgen/workload"
RANGE_TAGS: Final = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
SECONDS_TO_ANSWER: Final = 30.0

ADD_PARTITION: Final = """
    mutation($selector: RepositorySelector!, $name: String!, $key: String!) {
    addDynamicPartition(repositorySelector: $selector, partitionsDefName: $name, partitionKey: $key)
    { __typename ... on PythonError { message } ... on UnauthorizedError { message } } }
    """
LAUNCH: Final = """
    mutation($params: ExecutionParams!) { launchRun(executionParams: $params) { __typename
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }
    """
RUN: Final = "runId jobName status creationTime startTime endTime tags { key value }"
STATE: Final = f"""
    query($id: ID!) {{ runOrError(runId: $id) {{ __typename ... on Run {{ {RUN} }} }} }}
    """
TAGGED: Final = f"""
    query($filter: RunsFilter!) {{ runsOrError(filter: $filter, limit: 10000) {{ __typename
    ... on Runs {{ results {{ {RUN} }} }} ... on PythonError {{ message }} }} }}
    """
FAILURES: Final = """
    query($id: ID!, $cursor: String) { logsForRun(runId: $id, afterCursor: $cursor) { __typename
    ... on EventConnection { cursor hasMore events { __typename
    ... on RunFailureEvent { error { message } }
    ... on ExecutionStepFailureEvent { failureMetadata { description } error { message } } } } } }
    """
TERMINATE: Final = """
    mutation($id: String!) { terminateRun(runId: $id) { __typename
    ... on TerminateRunFailure { message } ... on PythonError { message } } }
    """

LOADED: Final = """
    { workspaceOrError { __typename ... on Workspace { locationEntries { name
    locationOrLoadError { __typename ... on RepositoryLocation { repositories { name } } } } } } }
    """
VERSION: Final = "{ version }"


def partition(scenario: str, batch: int) -> str:
    """Return the key of a batch of a scenario, its dimensions in alphabetical order."""
    return f"{batch:04d}|{scenario}"


@dataclass(frozen=True, slots=True)
class Run:
    """One run as Dagster knows it."""

    run_id: str
    status: str  # Dagster's word: QUEUED, STARTED, SUCCESS, ...
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    tags: Mapping[str, str]

    @property
    def partitions(self) -> tuple[str, int, int] | None:
        """The scenario, its first batch and its last; None for a run of another kind."""
        single = (self.tags.get("dagster/partition"),) * 2
        first, last = (self.tags.get(tag) for tag in RANGE_TAGS)
        ends = (first, last) if first and last else single
        if not ends[0] or not ends[1] or "|" not in ends[0]:
            return None
        (batch, _, scenario), (other, _, _) = ends[0].partition("|"), ends[1].partition("|")
        return scenario, int(batch), int(other)


class DagsterRuns:
    """Launches, watches and cancels runs through a web server of Dagster."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._kind, self._host, self._port = _address(url)

    def queue(
        self,
        scenario: str,
        first_batch: int,
        last_batch: int,
        config: Mapping[str, object],
        tags: Mapping[str, str],
    ) -> str:
        """Queue a run for some batches of a scenario; return its id."""
        self._add_partition(scenario)
        keys = [partition(scenario, batch) for batch in (first_batch, last_batch)]
        is_one = first_batch == last_batch
        where = (
            {"dagster/partition": keys[0]} if is_one else dict(zip(RANGE_TAGS, keys, strict=True))
        )
        if is_one:
            where |= {
                "dagster/partition/batch": f"{first_batch:04d}",
                "dagster/partition/scenario": scenario,
            }
        params = {
            "selector": {
                "repositoryLocationName": LOCATION,
                "repositoryName": REPOSITORY,
                "jobName": JOB,
            },
            "mode": "default",
            "runConfigData": {"ops": {TABLES_OP: {"config": dict(config)}}},
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in {**where, **tags}.items()]
            },
        }
        answer = self._ask(LAUNCH, params=params)["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise ServiceError(503, f"the queue refuses the run: {answer['__typename']}")
        run_id: str = answer["run"]["runId"]
        return run_id

    def run(self, run_id: str) -> Run | None:
        """Return a run, None when there is none of that id."""
        found = self._ask(STATE, id=run_id)["runOrError"]
        return _run(found) if found["__typename"] == "Run" else None

    def tagged(self, key: str, value: str) -> list[Run]:
        """Return the runs that bear a tag."""
        wanted = {"tags": [{"key": key, "value": value}]}
        found = self._ask(TAGGED, filter=wanted)["runsOrError"]
        if found["__typename"] != "Runs":
            raise ServiceError(503, f"the queue does not list its runs: {found['__typename']}")
        return [_run(each) for each in found["results"]]

    def failure(self, run_id: str) -> str | None:
        """Return the first line of why a run failed, None when it does not say."""
        for event in self._events(run_id):
            said = (event.get("failureMetadata") or {}).get("description")
            said = said or (event.get("error") or {}).get("message")
            if said:
                return str(said).strip().splitlines()[0]
        return None

    def _events(self, run_id: str) -> Iterator[Mapping[str, Any]]:
        """Yield the events of a run in order; Dagster hands out a thousand at a time."""
        cursor, has_more = None, True
        while has_more:
            page = self._ask(FAILURES, id=run_id, cursor=cursor)["logsForRun"]
            if page["__typename"] != "EventConnection":
                return
            yield from page["events"]
            cursor, has_more = page["cursor"], page["hasMore"]

    def cancel(self, run_id: str) -> bool:
        """Ask a run to stop; return whether it was still to be stopped."""
        answer = self._ask(TERMINATE, id=run_id)["terminateRun"]
        return bool(answer["__typename"] == "TerminateRunSuccess")

    def version(self) -> str:
        """Return the version of Dagster that answers."""
        return str(self._ask(VERSION)["version"])

    def repositories(self) -> list[str]:
        """Return what is loaded, as the web server last knew."""
        found = self._ask(LOADED)["workspaceOrError"].get("locationEntries", [])
        loaded = [entry["locationOrLoadError"] or {} for entry in found]
        return [each["name"] for one in loaded for each in one.get("repositories", [])]

    def _add_partition(self, scenario: str) -> None:
        """Make sure that the scenario is a partition; one that is there already is no error."""
        selector = {"repositoryName": REPOSITORY, "repositoryLocationName": LOCATION}
        self._ask(ADD_PARTITION, selector=selector, name=SCENARIO_DIMENSION, key=scenario)

    def _ask(self, query: str, **variables: object) -> Any:  # noqa: ANN401  JSON
        connection = self._kind(self._host, self._port, timeout=SECONDS_TO_ANSWER)
        body = json.dumps({"query": query, "variables": variables})
        try:
            connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError):
            raise ServiceError(
                503, "the run queue does not answer; is `medgen up` running?"
            ) from None
        finally:
            connection.close()
        if "errors" in answer:
            raise RuntimeError(answer["errors"])
        return answer["data"]


def _address(url: str) -> tuple[type[http.client.HTTPConnection], str, int | None]:
    """Return how to speak to a web server, and where; without a port, the scheme's own."""
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    try:
        parts = urlsplit(url)
        kind, host, port = kinds[parts.scheme], parts.hostname, parts.port
    except (KeyError, ValueError):
        host = None
    if not host:
        raise SettingError(
            f"the URL of Dagster's web server is {url!r}; "
            "must be like http://127.0.0.1:3000 or https://dagster.example.org"
        )
    return kind, host, port


def _run(found: Mapping[str, Any]) -> Run:
    return Run(
        run_id=found["runId"],
        status=found["status"],
        created_at=_time(found["creationTime"]) or datetime.now(UTC),
        started_at=_time(found["startTime"]),
        ended_at=_time(found["endTime"]),
        tags={tag["key"]: tag["value"] for tag in found["tags"]},
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
