"""What holds for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from medgen_pipeline_tests import postgres_server

# The first example of a property may compile a kernel: no property is judged by the clock.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start a deployment, two for one of the others.

    They take long and wait much: at the end, the last would keep everyone waiting; all at once,
    they would take the cores from each other. A file is one worker's, for what its tests share
    takes long to set up.
    """
    files = list(dict.fromkeys(item.path for item in items))
    live = [file for file in files if file.stem.endswith("live")]
    others = [file for file in files if file not in live]
    order = []
    for place in range(0, len(live), 2):
        order += [*live[place : place + 2], *others[place // 2 : place // 2 + 1]]
    rank = {file: place for place, file in enumerate(dict.fromkeys([*order, *files]))}
    items.sort(key=lambda item: rank[item.path])


@pytest.fixture(scope="session")
def postgres() -> Iterator[postgres_server.PostgresServer]:
    """Return a server of this worker's own: its tests come one by one, so each may kill it."""
    with postgres_server.running() as started:
        yield started


@pytest.fixture
def database_url(postgres: postgres_server.PostgresServer) -> str:
    """Return the URL of an empty database; the server answers, whatever the test before did."""
    postgres.start()
    return postgres.new_database()
