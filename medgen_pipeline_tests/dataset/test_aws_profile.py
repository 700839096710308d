"""A profile in `~/.aws` says what the environment leaves open, and nothing else."""

from pathlib import Path

import pytest

from medgen_pipeline.dataset.aws_profile import profile_config
from medgen_pipeline.errors import DatasetError

CREDENTIALS = """
[default]
aws_access_key_id = one
aws_secret_access_key = first%20
[work]
aws_access_key_id = two
aws_secret_access_key = second
aws_session_token = third
"""
CONFIG = """
[default]
region = eu-north-1
[profile work]
region = eu-west-1
endpoint_url = https://s3.example.org
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text(CREDENTIALS)
    (tmp_path / ".aws/config").write_text(CONFIG)
    return tmp_path


def test_the_default_profile_is_found(home: Path) -> None:
    assert profile_config({}, home) == {
        "region": "eu-north-1",
        "access_key_id": "one",
        "secret_access_key": "first%20",
    }


def test_a_named_profile_is_found(home: Path) -> None:
    assert profile_config({"AWS_PROFILE": "work"}, home) == {
        "region": "eu-west-1",
        "endpoint": "https://s3.example.org",
        "access_key_id": "two",
        "secret_access_key": "second",
        "session_token": "third",
    }


@pytest.mark.parametrize(
    ("environ", "left"),
    [
        ({"AWS_ACCESS_KEY_ID": "x"}, {"region": "eu-north-1"}),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "x"}, {"region": "eu-north-1"}),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "x", "AWS_REGION": "y"}, {}),
    ],
)
def test_the_environment_comes_first(
    environ: dict[str, str], left: dict[str, str], home: Path
) -> None:
    assert profile_config(environ, home) == left


def test_without_files_nothing_is_said(tmp_path: Path) -> None:
    assert profile_config({}, tmp_path) == {}


def test_a_profile_that_is_not_there_is_an_error(home: Path) -> None:
    with pytest.raises(DatasetError, match=r"AWS_PROFILE is .play.; .* has no keys"):
        profile_config({"AWS_PROFILE": "play"}, home)


def test_a_file_that_is_none_of_aws_is_an_error(home: Path) -> None:
    (home / ".aws/credentials").write_text("one\n")
    with pytest.raises(DatasetError, match="credentials cannot be read"):
        profile_config({}, home)
