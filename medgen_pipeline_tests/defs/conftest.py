"""A small deployment: one scenario of 60 patients, a dataset and an instance of its own."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.defs.partitions import SCENARIO
from medgen_pipeline.scenario.catalogue import Catalogue, to_yaml
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline.settings import Settings

TINY = "tiny"


def tiny(**changes: object) -> Scenario:
    """Return the demo scenario with 60 patients, and what else is changed in it."""
    demo = with_patients(Catalogue().get("demo"), 60)
    return demo.model_copy(update={"id": TINY, "title": "Tiny", **changes})


def add_scenario(folder: Path, scenario: Scenario) -> None:
    (folder / f"{scenario.id}.yaml").write_text(to_yaml(scenario), encoding="utf-8")


def settings_in(folder: Path) -> Settings:
    """Return settings with a data folder, and a scenario folder that holds the tiny scenario."""
    scenarios = folder / "scenarios"
    scenarios.mkdir()
    add_scenario(scenarios, tiny())
    return Settings(data_url=str(folder / "data"), scenario_dir=scenarios)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


@pytest.fixture
def engine(settings: Settings) -> Engine:
    return Engine(settings)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Return an instance on SQLite that knows the tiny scenario."""
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(SCENARIO, [TINY])
        yield instance
