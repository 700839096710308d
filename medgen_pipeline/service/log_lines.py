"""What the API writes to its log: one JSON object a line, through the standard library's logging.

An answered request is a line of the logger ACCESS; what a probe or a scraper asks every few seconds
is written only when it went wrong.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any, Final

from medgen_pipeline.service.layers import OPEN_PATHS
from medgen_pipeline.service.tracking import MS, Request, Watcher

ACCESS: Final = "medgen_pipeline.access"
FIELDS: Final = "fields"  # of a record: what stands in its line beside the message
LOGGING: Final[dict[str, Any]] = {  # for uvicorn, and for all of this process
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": f"{__name__}.JsonLines"}},
    "handlers": {
        "out": {
            "class": "logging.StreamHandler",
            "formatter": "lines",
            "stream": "ext://sys.stdout",
        }
    },
    "root": {"handlers": ["out"], "level": "WARNING"},
    "loggers": {"uvicorn": {"level": "INFO"}, "medgen_pipeline": {"level": "INFO"}},
}
_access: Final = logging.getLogger(ACCESS)


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class AccessLog(Watcher):
    """Writes a line for each request when it has ended, so that a stream's tells its bytes."""

    def ended(self, request: Request) -> None:
        """Write the line; without the query, which may hold anything."""
        is_probe = OPEN_PATHS.fullmatch(request.path) and request.status < 400  # noqa: PLR2004
        level = logging.DEBUG if is_probe else logging.INFO
        if not _access.isEnabledFor(level):
            return
        _access.log(level, "answered", extra={FIELDS: fields(request)})


def fields(request: Request) -> dict[str, Any]:
    """Return what the line of a request tells."""
    first = request.first_byte_seconds
    return {
        "request_id": request.request_id,
        "client": request.client,
        "key": request.key_id,
        "method": request.method,
        "path": request.path,
        "route": request.route,
        "status": request.status,
        "bytes": request.bytes,
        "whole": request.is_whole,
        "first_byte_ms": None if first is None else round(first * MS, 2),
        "ms": round(request.seconds * MS, 2),
    }
