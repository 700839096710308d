"""Materialising in this process, as `medgen materialize` does."""

import logging
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.monitoring.run_monitoring import check_run_timeout

from medgen_pipeline.defs.config import GenerationConfig
from medgen_pipeline.defs.in_process import materialize
from medgen_pipeline.defs.partitions import partition_key
from medgen_pipeline.defs.tags import WORKLOAD
from medgen_pipeline.errors import (
    MedgenError,
    ScenarioError,
    SettingError,
    UnknownScenarioError,
)
from medgen_pipeline.runtime import home as homes
from medgen_pipeline.runtime.drain import drain, sweep
from medgen_pipeline.runtime.instance_yaml import instance_yaml
from medgen_pipeline.scenario.catalogue import to_yaml
from medgen_pipeline.settings import Settings
from medgen_pipeline_tests.defs.conftest import TINY, tiny


@pytest.fixture
def at_home(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, dagster_home=tmp_path / "home")


def materialised(settings: Settings, asset: str) -> set[str]:
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        return set(instance.get_materialized_partitions(dg.AssetKey(asset)))


def test_plan_tables_and_aggregates_are_made_and_recorded(at_home: Settings) -> None:
    """Batches with a gap between them become one plan and a run for each stretch."""
    heard = set[int]()
    done = materialize(
        TINY,
        [3, 0, 1],
        GenerationConfig(seed=5),
        at_home,
        progress=lambda batch, _: heard.add(batch),
    )
    assert [manifest.batch for manifest in done.manifests] == [0, 1, 3]
    assert {manifest.seed for manifest in done.manifests} == {5}
    assert not done.failed_checks
    assert len(done.run_ids) == 3
    assert heard == {0, 1, 3}
    keys = {str(partition_key(TINY, batch)) for batch in (0, 1, 3)}
    assert materialised(at_home, "patients") == keys
    assert materialised(at_home, "daily_requirements") == keys
    assert materialised(at_home, "casualty_plan") == {TINY}


def test_runs_are_those_of_the_job_in_the_ui(at_home: Settings) -> None:
    """The run can be found under its job, with the tags a queued one would have."""
    done = materialize(TINY, [0], GenerationConfig(), at_home)
    with dg.DagsterInstance.from_config(str(at_home.dagster_home)) as instance:
        run = instance.get_run_by_id(done.run_ids[-1])
    assert run is not None
    assert run.job_name == "generation"
    assert run.tags[WORKLOAD] == "generation"
    assert run.status is dg.DagsterRunStatus.SUCCESS


def test_a_deployment_that_stops_in_the_same_home_ends_nothing(at_home: Settings) -> None:
    """Nor does its daemon, however long a run takes; the batch is committed."""
    home, said, staged = at_home.dagster_home, list[str](), set[Path]()
    assert home is not None

    def stop(_batch: int, _progress: object) -> None:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            (going_on,) = instance.get_run_records(
                dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
            )
            check_run_timeout(instance, going_on, logging.getLogger(__name__), 1e-9)
        drain(home, lambda: False, said.append)
        sweep(home, at_home.data_url)
        staged.update(Path(at_home.data_url, "_staging").iterdir())

    done = materialize(TINY, [0], GenerationConfig(), at_home, progress=stop)
    assert staged, "it was stopped while something was staged"
    assert said == []
    assert [manifest.batch for manifest in done.manifests] == [0]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}


def test_a_file_outside_the_catalogue_will_do(at_home: Settings, tmp_path: Path) -> None:
    """A scenario can be tried before it is added anywhere."""
    file = tmp_path / "elsewhere.yaml"
    file.write_text(to_yaml(tiny(id="elsewhere")), encoding="utf-8")
    done = materialize(str(file), [0], GenerationConfig(), at_home)
    assert done.manifests[0].scenario == "elsewhere"


def test_the_default_home_is_made_in_the_current_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without DAGSTER_HOME the instance is in .dagster, configured as `medgen up` would."""
    monkeypatch.chdir(tmp_path)
    materialize(TINY, [0], GenerationConfig(), settings)
    assert (tmp_path / ".dagster" / "dagster.yaml").is_file()
    assert (tmp_path / ".dagster" / "history").is_dir()


@pytest.mark.parametrize("dagster_home", [Path(".dagster"), None])
def test_a_dagster_yaml_of_ones_own_stands(
    dagster_home: Path | None, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the operator put into a home is not replaced, wherever that is."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".dagster"
    home.mkdir()
    own = home / "dagster.yaml"
    own.write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    materialize(TINY, [0], GenerationConfig(), replace(settings, dagster_home=dagster_home))
    assert own.read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


def test_the_default_home_is_as_the_environment_says_unless_it_is_in_use(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `medgen up` has written is not changed below it, nor left half-written."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".dagster"
    with homes.held(home):
        homes.write_instance(home, replace(settings, max_concurrent_jobs=5))
        served = (home / "dagster.yaml").read_text(encoding="utf-8")
        materialize(TINY, [0], GenerationConfig(), settings)
        assert (home / "dagster.yaml").read_text(encoding="utf-8") == served
    materialize(TINY, [0], GenerationConfig(), settings)
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == instance_yaml(settings)
    assert list(home.glob("*.new")) == []


def test_a_default_home_on_postgres_does_not_become_one_on_sqlite(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has not said where the server is would get an empty instance, and `medgen up` as well."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / ".dagster"
    home.mkdir()
    homes.write_instance(home, replace(settings, database_url="postgresql://u:p@h:5432/d"))
    before = (home / "dagster.yaml").read_text(encoding="utf-8")
    with pytest.raises(SettingError, match="MEDGEN_DATABASE_URL is not set"):
        materialize(TINY, [0], GenerationConfig(), settings)
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    ("name", "error"), [("tinny", UnknownScenarioError), ("nowhere.yaml", UnknownScenarioError)]
)
def test_an_unknown_scenario_is_refused_before_anything_is_made(
    name: str, error: type[MedgenError], at_home: Settings
) -> None:
    """Neither an instance nor a dataset is there afterwards."""
    with pytest.raises(error):
        materialize(name, [0], GenerationConfig(), at_home)
    assert at_home.dagster_home is not None
    assert not at_home.dagster_home.exists()
    assert not Path(at_home.data_url).exists()


def test_a_broken_scenario_is_refused_with_its_faults(at_home: Settings, tmp_path: Path) -> None:
    """The error is the scenario's own."""
    file = tmp_path / "broken.yaml"
    file.write_text("id: broken\ndays: -1\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match="days"):
        materialize(str(file), [0], GenerationConfig(), at_home)


def test_a_dataset_that_cannot_be_written_is_an_error_in_one_line(
    at_home: Settings, tmp_path: Path
) -> None:
    """What stops the run comes back as the error it was, not as Dagster's."""
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(MedgenError, match="file") as refused:
        materialize(
            TINY, [0], GenerationConfig(), replace(at_home, data_url=str(tmp_path / "file"))
        )
    assert "\n" not in str(refused.value)
