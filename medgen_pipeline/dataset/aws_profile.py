"""What AWS's own tools find in `~/.aws`, which obstore does not read: keys, region, endpoint."""

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from medgen_pipeline.errors import DatasetError

if TYPE_CHECKING:
    from obstore.store import S3Config

# Any of these says where credentials come from, and the files are left alone.
SAID_OTHERWISE: Final = (
    *("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
)
KEYS: Final = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
DEFAULT: Final = "default"


def profile_config(environ: Mapping[str, str], home: Path) -> "S3Config":
    """Return what the files of AWS's tools add to the environment; nothing where there are none.

    AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE mean what they mean to those.
    """
    profile = environ.get("AWS_PROFILE") or DEFAULT
    config = _section(
        Path(environ.get("AWS_CONFIG_FILE") or home / ".aws/config"),
        profile if profile == DEFAULT else f"profile {profile}",
    )
    found: S3Config = {}
    if "region" in config and not {"AWS_REGION", "AWS_DEFAULT_REGION"} & environ.keys():
        found["region"] = config["region"]
    if "endpoint_url" in config and "AWS_ENDPOINT_URL" not in environ:
        found["endpoint"] = config["endpoint_url"]
    if any(environ.get(name) for name in SAID_OTHERWISE):
        return found
    path = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws/credentials")
    keys = {**config, **_section(path, profile)}
    if environ.get("AWS_PROFILE") and KEYS[0] not in keys:
        raise DatasetError(f"AWS_PROFILE is {profile!r}; {path} has no keys of that name")
    if KEYS[0] in keys:
        found["access_key_id"] = keys[KEYS[0]]
        found["secret_access_key"] = keys.get(KEYS[1], "")
        if KEYS[2] in keys:
            found["session_token"] = keys[KEYS[2]]
    return found


def _section(path: Path, name: str) -> Mapping[str, str]:
    """Return a section of a file of AWS's; empty when there is no such file or section."""
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    return parser[name] if parser.has_section(name) else {}
