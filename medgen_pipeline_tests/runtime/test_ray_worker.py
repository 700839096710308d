"""A node that cannot execute a run says so in one line, before it looks at the run."""

import re
import sys
import time

import pytest

from medgen_pipeline.errors import MedgenError, SettingError
from medgen_pipeline.runtime import ray_worker
from medgen_pipeline.runtime.fingerprint import fingerprint
from medgen_pipeline.runtime.ray_worker import NodeError, check_database, check_versions, told
from medgen_pipeline.settings import Settings


def test_equal_versions_pass() -> None:
    check_versions(fingerprint())


def test_other_versions_are_named() -> None:
    with pytest.raises(NodeError, match=re.escape("numpy: ") + r"\S+ here, 1\.0 there\. Install"):
        check_versions({**fingerprint(), "numpy": "1.0"})


def test_a_database_must_be_named() -> None:
    with pytest.raises(SettingError, match="MEDGEN_DATABASE_URL is not set; set it in the env"):
        check_database(Settings(), time.time)


def test_a_database_must_answer() -> None:
    url = "postgresql://u:hunter2@127.0.0.1:9/d"
    with pytest.raises(NodeError, match=r"MEDGEN_DATABASE_URL: .* has nobody who listens") as said:
        check_database(Settings(database_url=url), time.time)
    assert "hunter2" not in str(said.value)


@pytest.mark.parametrize(
    ("ahead", "words"), [(312, "312 s ahead of the database's"), (-90, "90 s behind the database")]
)
def test_clocks_must_agree(ahead: float, words: str, database_url: str) -> None:
    """Those of a node and of the database, to a minute."""
    settings = Settings(database_url=database_url)
    check_database(settings, time.time)
    with pytest.raises(NodeError, match=words):
        check_database(settings, lambda: time.time() + ahead)


def test_what_is_for_the_user_is_found_in_a_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker ends with one line, and nothing else of its log is taken for one."""

    def refuse(_: object) -> None:
        raise MedgenError("not here")

    monkeypatch.setattr(sys, "argv", ["worker", "{}", "{}"])
    monkeypatch.setattr(ray_worker, "check_versions", refuse)
    with pytest.raises(SystemExit) as ended:
        ray_worker.main()
    assert ended.value.code == ray_worker.REFUSED
    log = f"Running entrypoint\n{capsys.readouterr().out}bye\n"
    (said,) = told(log)
    assert said.endswith(": not here")
