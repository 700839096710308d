"""The route `GET /metrics`."""

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Request, Response

from medgen_pipeline.service.metrics.exporter import Exporter
from medgen_pipeline.service.metrics.exposition import exposed

NOT_KEPT: Final = {"Cache-Control": "no-cache, no-store, must-revalidate"}


@contextlib.asynccontextmanager
async def begun(exporter: Exporter | None) -> AsyncIterator[None]:
    """Have figures collected as the app starts."""
    if exporter is not None:
        exporter.begin()
    yield


def router(exporter: Exporter) -> APIRouter:
    """Return the route of an exporter; it is not in the API's description, for it is no API."""
    found = APIRouter()

    @found.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        """Tell the figures of the deployment."""
        text, media_type = exposed(exporter.figures(), request.headers.get("accept", ""))
        return Response(text, headers=NOT_KEPT | {"Content-Type": media_type})

    return found
