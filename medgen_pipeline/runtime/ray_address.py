"""Whether a deployment can send its runs to Ray, found out before anything starts.

Nothing of Ray is imported: its dashboard is asked over HTTP.
"""

import http.client
import importlib.metadata
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from medgen_pipeline.errors import SettingError
from medgen_pipeline.settings import Settings

SETTING: Final = "MEDGEN_RAY_ADDRESS"
SECONDS_TO_ANSWER: Final = 10.0
EXTRA: Final = "ray"


def ray_hindrances(settings: Settings, address: str) -> Iterator[str]:
    """Yield why runs cannot go to the nodes of Ray, and what to change."""
    if settings.database_url is None:
        yield f"{SETTING} needs MEDGEN_DATABASE_URL: nodes cannot share an SQLite file"
    if "://" not in settings.data_url and not settings.data_url.startswith("/"):
        yield (
            f"{SETTING} needs MEDGEN_DATA_URL that all nodes reach: s3://bucket/prefix, or the "
            f"full path of a shared folder; it is {settings.data_url!r}"
        )
    try:
        here = importlib.metadata.version("ray")
        importlib.metadata.version("dagster-ray")
    except importlib.metadata.PackageNotFoundError as error:
        yield f"{error.name} is not installed; pip install 'medgen_pipeline[{EXTRA}]'"
        return
    try:
        there = ray_version(address)
    except SettingError as error:
        yield str(error)
        return
    if there != here:
        yield f"Ray at {address} is {there}, here is {here}; install the same on both"


def ray_version(address: str) -> str:
    """Return the version of the Ray whose dashboard is at an address; SettingError if none is."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=SECONDS_TO_ANSWER)
    try:
        with closing(connection):
            connection.request("GET", "/api/version")
            return str(json.loads(connection.getresponse().read())["ray_version"])
    except (OSError, http.client.HTTPException) as error:
        raise SettingError(f"no Ray at {address} ({SETTING}): {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(
            f"what answers at {address} ({SETTING}) is no dashboard of Ray"
        ) from error
