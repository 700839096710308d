"""The description of the interface is complete, and no request it allows or forbids breaks it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode, checks

from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.service.limits import Limits
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.service.test_jobs import WebServer

EXAMPLES = 12  # of each operation
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def app(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """Return an app that serves small streams, its queue a web server that takes anything."""
    own = tmp_path_factory.mktemp("own")
    keys = KeyFile(own / "keys.json")
    _, text = keys.create("ann", may_write=True, requests_per_minute=1_000_000)
    deployed = Settings(
        data_url=str(folder / "data"),
        scenario_dir=own,
        api_keys=keys.path,
        dagster_home=own / "home",  # not the one that `make run` has left in this folder
    )
    limits = Limits(patients_per_stream=50, patients_per_replicate=2_000)
    with WebServer().serving() as dagster:
        found = create_app(deployed, limits=limits, dagster_url=dagster.url)
        found.state.key = text
        yield found


@pytest.fixture(scope="module")
def api(app: FastAPI) -> Any:  # noqa: ANN401  a schema
    return schemathesis.openapi.from_asgi(
        "/openapi.json", app, headers={"X-API-Key": app.state.key}
    )


def operations() -> list[tuple[str, str, GenerationMode]]:
    """Return all there are, to be asked as they allow and, where they take anything, otherwise."""
    paths = create_app(Settings()).openapi()["paths"]
    return [
        (path, method, mode)
        for path, methods in paths.items()
        for method in methods
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or not path.startswith("/api/v1/health")
    ]


@pytest.mark.parametrize(("path", "method", "mode"), operations())
def test_no_request_breaks_it(
    api: Any,  # noqa: ANN401  a schema
    app: FastAPI,
    path: str,
    method: str,
    mode: GenerationMode,
) -> None:
    """No server error, no answer that the description does not have, in the shape it states."""

    @given(case=api[path][method].as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def holds(case: Any) -> None:  # noqa: ANN401  schemathesis's
        answer = case.call(headers={"X-API-Key": app.state.key})
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert {"error", "detail", "request_id"} <= answer.json().keys()

    holds()


def test_every_operation_is_described(app: FastAPI) -> None:
    """Each has a summary, a sentence, its problems in the one shape, and asks for the key."""
    paths = app.openapi()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            name = f"{method} {path}"
            assert operation["summary"], name
            assert operation["description"].endswith("."), name
            if path.startswith("/api/v1/health"):
                continue
            assert operation["security"] == [{"APIKeyHeader": []}], name
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    shape = answer["content"]["application/json"]["schema"]
                    assert shape == {"$ref": "#/components/schemas/Problem"}, (name, status)
