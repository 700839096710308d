"""One deployment for all tests here: it takes a minute to start."""

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from medgen_pipeline_tests.cluster.deployed import Deployed

# Ray is no part of a checkout's set-up: `make test-cluster` adds it.
if importlib.util.find_spec("ray") is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Deployed"]:
    from medgen_pipeline_tests.cluster.deployed import deployed  # noqa: PLC0415  where Ray is

    with pytest.MonkeyPatch.context() as patch, deployed(tmp_path_factory.mktemp("c")) as found:
        for name, value in found.environ.items():
            patch.setenv(name, value)
        found.add_node()
        yield found
