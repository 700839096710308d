"""What goes wrong, in one shape: error, detail, request id; a scenario's faults beside them."""

import http
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from medgen_pipeline.errors import (
    DatasetError,
    Fault,
    MedgenError,
    ScenarioError,
    UnknownScenarioError,
)
from medgen_pipeline.scenario import wording

_log: Final = logging.getLogger(__name__)

# Nothing was got, JSON ends somewhere, or our own rule has said what was got.
_WITHOUT_VALUE: Final = ("missing", "json_invalid", "value_error")


class FaultBody(BaseModel):
    """One thing wrong with a scenario."""

    path: str = Field(examples=["fronts[1].share"])
    got: str = Field(examples=["1.4"])
    allowed: str = Field(examples=["must be a number, at least 0 and at most 1"])


class Problem(BaseModel):
    """The answer to a request that could not be served."""

    error: str = Field(description="The HTTP status in words.", examples=["Not Found"])
    detail: str = Field(description="What was wrong, and what is allowed.")
    request_id: str = Field(description="The X-Request-ID of the answer; log lines carry it.")
    faults: list[FaultBody] | None = Field(
        default=None, description="All that is wrong with a scenario, when it is one that is wrong."
    )


class ServiceError(Exception):
    """A request that cannot be served, with the status that says so."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(detail)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI describes the problems a route may answer with."""
    return {
        status: {"model": Problem, "description": http.HTTPStatus(status).phrase}
        for status in statuses
    }


def problem(
    status: int,
    detail: str,
    request_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    faults: Sequence[Fault] = (),
) -> JSONResponse:
    """Return the answer for a problem."""
    body: dict[str, Any] = {
        "error": http.HTTPStatus(status).phrase,
        "detail": detail,
        "request_id": request_id,
    }
    if faults:
        body["faults"] = [
            {"path": fault.path, "got": fault.got, "allowed": fault.allowed} for fault in faults
        ]
    return JSONResponse(body, status, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    """Answer every error of an app in the one shape; a bug is for `tracking`."""
    app.add_exception_handler(ServiceError, _of_service)
    app.add_exception_handler(MedgenError, _of_package)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(HTTPException, _of_framework)


def request_id(request: Request) -> str:
    """Return the id of a request, which the outermost layer has given it."""
    return str(request.scope.get("request_id", ""))


async def _of_service(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ServiceError):
        raise error
    return problem(error.status, error.detail, request_id(request), headers=error.headers)


async def _of_package(request: Request, error: Exception) -> JSONResponse:
    """Answer an error that a user can mend; what a dataset says may name paths, so it is logged."""
    given = request_id(request)
    if isinstance(error, ScenarioError):
        return problem(422, f"scenario {error.name} has faults", given, faults=error.faults)
    if isinstance(error, UnknownScenarioError):
        return problem(404, "there is no such scenario", given)
    if isinstance(error, DatasetError):
        _log.error("request %s: %s", given, error)
        return problem(503, "the dataset cannot be read at the moment", given)
    _log.error("request %s: %s", given, error)
    return problem(400, "the request cannot be served", given)


async def _of_parameters(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return problem(422, "; ".join(map(_told, error.errors())), request_id(request))


def _told(fault: Mapping[str, Any]) -> str:
    """Return one fault of a parameter: where, what was got, and what is allowed."""
    where = ".".join(str(step) for step in fault["loc"])
    if fault["type"] in _WITHOUT_VALUE:
        return f"{where}: {fault['msg']}"
    return f"{where} is {wording.value(fault['input'])}: {fault['msg']}"


async def _of_framework(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return problem(error.status_code, str(error.detail), request_id(request), headers=error.headers)
