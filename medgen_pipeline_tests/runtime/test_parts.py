"""Which part of a deployment a process is follows from its command, and its connections from it."""

import math
import threading
from pathlib import Path

import pytest

from medgen_pipeline.runtime import parts
from medgen_pipeline.runtime.parts import Shape, most_connections, part_of, patience_seconds
from medgen_pipeline.runtime.services import Place, services
from medgen_pipeline.settings import Settings

PYTHON = "/usr/bin/python3"


def test_each_service_of_a_deployment_is_told_from_the_others() -> None:
    """A service is known by the command that starts it."""
    home = Path("/srv/grpc/dagster_webserver")
    place = Place(home, home / "socket", home / "workspace.yaml", "127.0.0.1", 3000, 9090)
    found = {each.name: part_of(each.command, is_child=False) for each in services(place)}
    assert found == {name: name for name in parts.SERVICES}


@pytest.mark.parametrize(
    ("words", "is_child", "part"),
    [
        (
            [PYTHON, "-c", "spawn_main()", "/x/dagster/__main__.py", "api", "grpc"],
            True,
            "run worker",
        ),
        (["/bin/dagster", "api", "execute_run", "{}"], False, "run worker"),
        (["/bin/dagster-webserver", "-p", "3000"], False, "web server"),
        (["/bin/dagster-daemon", "run"], False, "daemon"),
        (["/bin/dagster", "code-server", "start"], False, "code server"),
        (["/bin/medgen", "serve"], False, "api"),
        (["/bin/medgen", "materialize", "demo"], False, "command"),
        (["/bin/dagster", "instance", "migrate"], False, "command"),
        ([PYTHON, "-m", "pytest", "grpcio"], False, "command"),
    ],
)
def test_a_command(words: list[str], part: str, *, is_child: bool) -> None:
    assert part_of(words, is_child=is_child) == part


def test_what_lives_for_a_run_keeps_few_connections() -> None:
    """A service has what is set; a run two and one more, or less where less is set."""
    shape = Shape.of(Settings())
    assert shape.for_part("daemon") == shape
    assert (shape.for_part("run worker").size, shape.for_part("run worker").max_overflow) == (2, 1)
    narrow = Shape(size=1, max_overflow=0, timeout_seconds=1, recycle_seconds=1)
    assert narrow.for_part("command").most == 1


def test_the_most_connections_of_a_deployment() -> None:
    """Four services of 15, two runs and a command of 3: 69 of the 97 a new Postgres has."""
    assert sum(most_connections(Settings()).values()) == 4 * 15 + 2 * 3 + 3
    many = Settings(db_pool_size=2, db_max_overflow=0, max_concurrent_jobs=10)
    assert sum(most_connections(many).values()) == 4 * 2 + 10 * 2 + 2


def test_who_waits_for_a_database_that_is_gone() -> None:
    """Work waits for as long as it takes; whoever is asked answers soon, and so does a guard."""
    assert patience_seconds("daemon") == math.inf
    assert patience_seconds("run worker") == math.inf
    assert patience_seconds("web server") < 10
    assert on_a_thread("medgen-ledger", "run worker") < 2
    assert on_a_thread("grpc-server-cleanup", "code server") == math.inf
    assert on_a_thread("sql-event-watch-run-id-1234", "web server") == math.inf
    assert on_a_thread("worker", "code server") < 10


def on_a_thread(name: str, part: str) -> float:
    found: list[float] = []
    thread = threading.Thread(target=lambda: found.append(patience_seconds(part)), name=name)
    thread.start()
    thread.join()
    return found[0]
