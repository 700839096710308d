"""What holds for every test."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from medgen_pipeline_tests import postgres_server

# The first example of a property may compile a kernel: no property is judged by the clock.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that wait for a deployment, or the last would wait with nothing to do.

    Each file is one worker's, for what its tests share takes long to set up.
    """
    items.sort(key=lambda item: not item.path.stem.endswith("live"))


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
