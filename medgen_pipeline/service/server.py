"""The process that serves the app."""

from collections.abc import Sequence
from typing import Final

import uvicorn

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.listening import fault_of
from medgen_pipeline.service.app import DAGSTER_URL, create_app
from medgen_pipeline.service.log_lines import LOGGING
from medgen_pipeline.service.reach import expect_reachable
from medgen_pipeline.settings import Settings

SECONDS_TO_DRAIN: Final = 10  # for requests that run when the server is told to stop
MOST_CONNECTIONS: Final = 500  # our own choice; further ones are told 503


def serve(
    settings: Settings,
    *,
    host: str,
    port: int,
    cors_origins: Sequence[str] = (),
    dagster_url: str = DAGSTER_URL,
) -> None:
    """Serve until told to stop; raises SettingError where it cannot listen, or may not."""
    expect_reachable(settings, host)
    fault = fault_of(host, port, "--port (METRICS_PORT)")
    if fault:  # which the server would tell in its log only
        raise SettingError(fault)
    uvicorn.run(
        create_app(settings, cors_origins=cors_origins, dagster_url=dagster_url),
        host=host,
        port=port,
        access_log=False,  # ours says more
        log_config=LOGGING,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=SECONDS_TO_DRAIN,
    )
