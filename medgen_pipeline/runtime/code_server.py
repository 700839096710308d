"""Whether the code server answers, and whether what it serves could be loaded."""

from pathlib import Path

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import ListRepositoriesResponse
from dagster._serdes import deserialize_value
from dagster_shared.error import SerializableErrorInfo

from medgen_pipeline.errors import MedgenError


class CodeServerError(MedgenError):
    """The code server does not answer, or could not load its code."""


def repositories(socket: Path) -> list[str]:
    """Return the repositories that a code server has loaded; raises CodeServerError."""
    client = DagsterGrpcClient(socket=str(socket))
    try:
        answer = client.list_repositories()
    except DagsterUserCodeUnreachableError as error:
        raise CodeServerError("the code server does not answer") from error
    found = deserialize_value(answer, (ListRepositoriesResponse, SerializableErrorInfo))
    if isinstance(found, SerializableErrorInfo):
        raise CodeServerError(f"the code cannot be loaded: {found.message.splitlines()[0]}")
    return [symbol.repository_name for symbol in found.repository_symbols]
