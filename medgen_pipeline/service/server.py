"""The process that serves the app: where it listens, and who may reach it."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

import uvicorn

from medgen_pipeline.errors import SettingError
from medgen_pipeline.service.app import DAGSTER_URL, create_app
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.service.log_lines import LOGGING
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
    """Serve until told to stop."""
    expect_reachable(settings, host)
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


def expect_reachable(settings: Settings, host: str) -> None:
    """Refuse to listen where strangers are, unless keys tell them from users."""
    if settings.api_keys is not None:
        has_key = any(key.revoked_at is None for key in KeyFile(settings.api_keys).keys().values())
        if not has_key:
            raise SettingError(
                f"MEDGEN_API_KEYS names {settings.api_keys}, which holds no key; "
                "make one with `medgen keys create NAME`"
            )
    elif not is_loopback(host):
        raise SettingError(
            f"--host is {host}, which others can reach; must be 127.0.0.1 unless "
            "MEDGEN_API_KEYS names a file of keys (`medgen keys create NAME`)"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host, under each of its addresses."""
    try:
        found = socket.getaddrinfo(host, None)
    except OSError as error:
        raise SettingError(f"--host is {host!r}, which is no address of this machine") from error
    return all(ipaddress.ip_address(entry[4][0]).is_loopback for entry in found)
