"""A client of the HTTP interface: `Client("http://127.0.0.1:9090", key)`.

Standard library and, for Arrow, pyarrow; nothing of the service is needed where it is used.
"""

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

from medgen_pipeline.errors import MedgenError

if TYPE_CHECKING:
    import pyarrow as pa

Json = dict[str, Any]
Parameter = str | int | bool | None

OK: Final = 400  # from here on an answer is a problem
API: Final = "/api/v1"


class RefusedError(MedgenError):
    """The service refused a request; the fields are those of its answer."""

    def __init__(self, status: int, problem: Json) -> None:
        self.status = status
        self.detail = str(problem.get("detail", ""))
        self.request_id = str(problem.get("request_id", ""))
        self.faults = [dict(fault) for fault in problem.get("faults") or ()]
        super().__init__(f"{status} {problem.get('error', '')}: {self.detail}")


class BrokenStreamError(MedgenError):
    """A stream ended before its last patient."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run of the queue, and how far it is."""

    job_id: str
    status: Literal["pending", "running", "completed", "failed", "cancelled"]
    progress: float  # percent of its batches
    patients: int
    error: str | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in {"completed", "failed", "cancelled"}


class Client:
    """Speaks to one service; every call opens a connection of its own and closes it."""

    def __init__(self, url: str, key: str | None = None, *, timeout_seconds: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise MedgenError(f"url is {url!r}; must be like http://127.0.0.1:9090")
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        self._kind = kinds[parts.scheme]
        self._host, self._port = parts.hostname, parts.port
        self._timeout = timeout_seconds
        self._headers = {} if key is None else {"X-API-Key": key}

    def scenarios(self) -> list[Json]:
        """Return the scenarios that can be generated."""
        found: list[Json] = self._json("GET", f"{API}/scenarios")
        return found

    def scenario(self, scenario: str) -> Json:
        """Return a scenario, every default written out."""
        found: Json = self._json("GET", f"{API}/scenarios/{quote(scenario, safe='')}")
        return found

    def check(self, scenario: Mapping[str, Any]) -> Json:
        """Return the faults and the warnings of a scenario."""
        found: Json = self._json("POST", f"{API}/scenarios/check", body=scenario)
        return found

    def add(self, scenario: Mapping[str, Any], *, replace: bool = False) -> str:
        """Add a scenario, which needs a key that may write; return its id."""
        found = self._json("POST", f"{API}/scenarios", {"replace": replace}, scenario)
        return str(found["id"])

    def patients(
        self, scenario: str | Mapping[str, Any] = "demo", **wanted: Parameter
    ) -> Iterator[Json]:
        """Yield generated patients, each with the whole course of care, as they arrive.

        `scenario` is an id or a scenario in full; `wanted` are count, replicate, seed and
        batch_size. Raises BrokenStreamError when the stream ends before its last patient.
        """
        with self._generated(scenario, "ndjson", wanted) as answer:
            left = int(answer.headers["X-Patient-Count"])
            for line in _lines(answer):
                found = json.loads(line)
                if "error" in found:
                    raise BrokenStreamError(str(found["error"]))
                left -= 1
                yield found
        if left:
            raise BrokenStreamError(f"the stream ended {left} patients before its last")

    def batches(
        self, scenario: str | Mapping[str, Any] = "demo", **wanted: Parameter
    ) -> Iterator["pa.RecordBatch"]:
        """Yield generated patients as Arrow batches, the course of care as lists in them."""
        import pyarrow as pa  # noqa: PLC0415  for those who ask for Arrow

        with self._generated(scenario, "arrow", wanted) as answer:
            left = int(answer.headers["X-Patient-Count"])
            with _unbroken(), pa.ipc.open_stream(answer) as reader:
                for batch in reader:
                    left -= len(batch)
                    yield batch
        if left:
            raise BrokenStreamError(f"the stream ended {left} patients before its last")

    def datasets(self) -> list[Json]:
        """Return what there is committed data of."""
        found: list[Json] = self._json("GET", f"{API}/datasets")
        return found

    def committed(self, scenario: str, **conditions: Parameter) -> Iterator[Json]:
        """Yield committed patients that meet conditions such as `outcome="DOW"`, page by page."""
        path = f"{API}/datasets/{quote(scenario, safe='')}/patients"
        after: int | None = 0
        while after is not None:
            page = self._json("GET", path, {**conditions, "after": after, "limit": 1_000})
            yield from page["patients"]
            after = page["next"]

    def patient(self, scenario: str, subject_id: int) -> Json:
        """Return a committed patient with the whole course of care."""
        found: Json = self._json(
            "GET", f"{API}/datasets/{quote(scenario, safe='')}/patients/{subject_id}"
        )
        return found

    def table(
        self, scenario: str, table: str, *, batch: int = 0, **wanted: Parameter
    ) -> "pa.Table":
        """Return rows of a committed table; `wanted` are replicate, columns and limit."""
        import pyarrow as pa  # noqa: PLC0415  for those who ask for Arrow

        path = f"{API}/datasets/{quote(scenario, safe='')}/tables/{quote(table, safe='')}"
        with (
            self._answer("GET", path, {"batch": batch, "format": "arrow", **wanted}) as answer,
            _unbroken(),
        ):
            return pa.ipc.open_stream(answer).read_all()

    def generate(self, scenario: str, first_batch: int = 0, **order: Parameter) -> Job:
        """Queue batches; `order` are last_batch, priority, tenant, patients, seed and so on.

        Where there are keys this needs one that may write, as `cancel` does.
        """
        body = {"scenario": scenario, "first_batch": first_batch, **order}
        return self.job(self._json("POST", f"{API}/generation", body=body)["job_id"])

    def job(self, job_id: str) -> Job:
        """Return how far a job is."""
        return _job(self._json("GET", f"{API}/jobs/{quote(job_id, safe='')}"))

    def cancel(self, job_id: str) -> Job:
        """Stop a job."""
        return _job(self._json("POST", f"{API}/jobs/{quote(job_id, safe='')}/cancel"))

    @contextlib.contextmanager
    def _generated(
        self, scenario: str | Mapping[str, Any], kind: str, wanted: Mapping[str, Parameter]
    ) -> Iterator[http.client.HTTPResponse]:
        path, query = f"{API}/streaming/generate", {"format": kind, **wanted}
        if isinstance(scenario, str):
            asked = self._answer("GET", path, {**query, "scenario": scenario})
        else:
            asked = self._answer("POST", path, query, scenario)
        with asked as answer:
            yield answer

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Parameter] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  JSON
        with self._answer(method, path, query or {}, body) as answer:
            return json.loads(answer.read())

    @contextlib.contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, Parameter],
        body: Mapping[str, Any] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        asked = {name: _word(value) for name, value in query.items() if value is not None}
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._kind(self._host, self._port, timeout=self._timeout)
        with contextlib.closing(connection):
            connection.request(
                method,
                f"{path}?{urlencode(asked)}" if asked else path,
                None if body is None else json.dumps(body, default=str),
                headers,
            )
            answer = connection.getresponse()
            if answer.status >= OK:
                raise RefusedError(answer.status, _problem(answer.read()))
            yield answer


def _word(value: Parameter) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(body: bytes) -> Json:
    """Return what an answer says, also when something between here and there has spoken."""
    with contextlib.suppress(ValueError):
        found = json.loads(body)
        if isinstance(found, dict):
            return found
    return {"detail": body[:200].decode(errors="replace")}


def _job(found: Json) -> Job:
    return Job(
        job_id=found["job_id"],
        status=found["status"],
        progress=found["progress"],
        patients=found["patients"],
        error=found.get("error"),
    )


def _lines(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    with _unbroken():
        yield from answer


@contextlib.contextmanager
def _unbroken() -> Iterator[None]:
    """Turn what a transfer that was cut off raises into an error that says so."""
    try:
        yield
    except (http.client.HTTPException, OSError) as error:
        raise BrokenStreamError(
            f"the stream was cut off: {error or type(error).__name__}"
        ) from error
