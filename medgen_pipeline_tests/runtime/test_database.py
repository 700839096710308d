"""What is wrong with a database is told on one line, with what to change, without a password."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from medgen_pipeline.cli import main
from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.database import Address, hindrances, in_words, needed_by_all
from medgen_pipeline.runtime.instance_yaml import render_instance_yaml
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.defs.live import free_port
from medgen_pipeline_tests.postgres_server import PASSWORD, PostgresServer, running

PORT = 5432


def faults(url: str, connections: int = 1) -> list[str]:
    found = list(hindrances(Settings(database_url=url), connections))
    for line in found:
        assert "\n" not in line
        assert PASSWORD not in line
        assert "MEDGEN_DATABASE_URL" in line
    return found


def only(found: list[str]) -> str:
    (line,) = found
    return line


@pytest.fixture
def narrow() -> Iterator[PostgresServer]:
    """Return a server that has few connections."""
    with running(max_connections=20) as started:
        yield started


def test_a_database_that_can_be_used(database_url: str) -> None:
    """Either name of the driver will do, and so will the whole of a deployment."""
    assert faults(database_url, needed_by_all(Settings())) == []
    assert faults(database_url.replace("postgresql:", "postgresql+psycopg2:")) == []


def test_a_wrong_password(postgres: PostgresServer, database_url: str) -> None:
    wrong = postgres.url(database_url.rsplit("/", 1)[-1], password="hunter2")  # noqa: S106
    line = only(faults(wrong))
    assert "refuses the user or the password" in line
    assert "hunter2" not in line


def test_a_user_who_is_not_there(postgres: PostgresServer, database_url: str) -> None:
    del database_url
    line = only(faults(postgres.url("postgres", user="nobody_at_all")))
    assert "nobody_at_all@127.0.0.1" in line
    assert "refuses the user or the password" in line


def test_a_database_that_does_not_exist(postgres: PostgresServer, database_url: str) -> None:
    del database_url
    assert "createdb" in only(faults(postgres.url("not_there")))


def test_nobody_listens() -> None:
    line = only(faults(f"postgresql://u:{'x' * 9}@127.0.0.1:{free_port()}/d"))
    assert "nobody who listens; start the server" in line
    assert "x" * 9 not in line


def test_a_host_that_does_not_answer() -> None:
    """It accepts, and says nothing: as long as the URL allows is waited for."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        line = only(faults(f"postgresql://u:p@127.0.0.1:{port}/d?connect_timeout=2"))
    assert "cannot be reached" in line


def test_a_host_that_nobody_knows() -> None:
    assert "a host that nobody knows" in only(faults("postgresql://u:p@no-such-host.invalid/d"))


def test_a_server_without_tls(database_url: str) -> None:
    """What the URL says of TLS reaches the server."""
    assert "sslmode" in only(faults(f"{database_url}?sslmode=require"))
    assert faults(f"{database_url}?sslmode=prefer") == []


def test_a_user_who_may_create_no_tables(postgres: PostgresServer, database_url: str) -> None:
    """As the users of a new Postgres 15 and later."""
    name = database_url.rsplit("/", 1)[-1]
    postgres.execute("drop role if exists planner; create role planner login password 'p'")
    assert "grant create on schema public to planner" in only(
        faults(postgres.url(name, user="planner", password="p"))  # noqa: S106
    )


def test_a_server_with_too_few_connections(narrow: PostgresServer) -> None:
    """It says how many there are, how many may be wanted, and the settings with their values."""
    url = narrow.new_database()
    line = only(faults(url, needed_by_all(Settings())))
    assert "has room for 17 connections" in line
    assert "may open 69" in line
    assert "DB_POOL_SIZE (10) or DB_MAX_OVERFLOW (5)" in line
    small = Settings(db_pool_size=2, db_max_overflow=0)
    assert faults(url, needed_by_all(small)) == []
    with closing(psycopg2.connect(narrow.url("postgres"))):  # somebody else's
        assert "has room for 16" in only(faults(url, 17))
    with closing(Address(url).connect("daemon")):  # left of this deployment's last life
        assert faults(url, 17) == []


def test_a_server_without_a_connection_left(narrow: PostgresServer) -> None:
    narrow.execute("create role planner login password 'its own'")
    url = narrow.url("postgres", user="planner", password="its own")  # noqa: S106
    taken = [psycopg2.connect(url) for _ in range(17)]
    try:
        assert "has no connection left" in only(faults(url))
    finally:
        for each in taken:
            each.close()


def test_a_user_who_may_have_few_connections(postgres: PostgresServer, database_url: str) -> None:
    name = database_url.rsplit("/", 1)[-1]
    postgres.execute(f"alter database {name} connection limit 5")
    assert "has room for 5" in only(faults(database_url, 6))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:se/cr@t@host/d?nonsense=1",
        "postgresql://u:secr@t@host:5432/d",
        "postgresql://u:%zzsecret@host/d",
        "postgresql://u:secret@[::1/d",
        "mysql://u:secret@host/d",
    ],
)
def test_what_is_no_url(url: str) -> None:
    """It is not shown, not even in part: which part is the password is not known."""
    line = only(faults(url))
    assert "must be postgresql://user:password@host:port/database" in line
    assert "secr" not in line
    assert "cr@t" not in line


def test_a_setting_that_libpq_does_not_know_is_named() -> None:
    assert '"sslmod"' in only(faults("postgresql://u:secret@host/d?sslmod=require"))


def test_an_address_is_shown_without_its_password() -> None:
    address = Address("postgresql://u:secret@host:5433/d?sslmode=require")
    assert str(address) == "u@host:5433/d"
    assert "secret" not in repr(address)
    assert str(Address("postgresql:///d")) == "local socket/d"


def test_words_of_a_server_hold_no_password() -> None:
    """Whatever a message quotes."""
    address = Address("postgresql://u:secret@host/d")
    assert "secret" not in in_words('something odd: "secret"', address)


def test_a_session_says_whose_it_is_and_ends_long_statements(
    postgres: PostgresServer, database_url: str
) -> None:
    """A name that the URL gives comes first; a time limit that it gives stands."""
    del postgres
    assert settings_of(f"{database_url}?application_name=ours") == ("ours daemon", "30s")
    options = "options=-c%20statement_timeout%3D7s"
    assert settings_of(f"{database_url}?{options}") == ("medgen daemon", "7s")


def settings_of(url: str) -> tuple[str, ...]:
    """Return the name and the time limit of a session of the daemon."""
    with closing(Address(url).connect("daemon")) as opened, opened.cursor() as cursor:
        cursor.execute(
            "select current_setting('application_name'), current_setting('statement_timeout')"
        )
        found: tuple[str, ...] = cursor.fetchone()
        return found


@pytest.mark.parametrize(
    "command", [["up", "--check"], ["up"], ["materialize", "demo", "--quiet"], ["janitor"]]
)
def test_commands_refuse_a_database_that_does_not_answer(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line, exit code 2, and nothing is started."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MEDGEN_DATA_URL", str(tmp_path / "data"))
    monkeypatch.setenv("METRICS_PORT", str(free_port()))
    monkeypatch.setenv("MEDGEN_DATABASE_URL", f"postgresql://u:hunter2@127.0.0.1:{free_port()}/d")
    ports = ["--port", str(free_port())] if command[0] == "up" else []
    assert main([*command, *ports]) == 2
    told = "".join(capsys.readouterr())
    assert told.count("has nobody who listens") == 1
    assert "hunter2" not in told
    assert "Traceback" not in told
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", [["materialize", "demo", "--quiet"], ["janitor", "--dry-run"]])
def test_a_home_on_postgres_needs_its_url(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The file in the home names a variable; who has not set it is told which."""
    text = render_instance_yaml({"MEDGEN_DATABASE_URL": "postgresql://u:p@h/d"})
    (tmp_path / "dagster.yaml").write_text(text)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("MEDGEN_DATA_URL", str(tmp_path / "data"))
    monkeypatch.delenv("MEDGEN_DATABASE_URL", raising=False)
    assert main(command) == 2
    assert "medgen: MEDGEN_DATABASE_URL is not set" in capsys.readouterr().err


def test_a_url_that_cannot_be_read_is_refused_when_it_is_used() -> None:
    with pytest.raises(SettingError, match="MEDGEN_DATABASE_URL"):
        Address("postgresql://u:p@x@h/d").connect("daemon")
