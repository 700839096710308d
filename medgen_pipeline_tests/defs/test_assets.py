"""The assets, run on real data: what a batch leaves in the dataset and in Dagster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.derived import derived_path
from medgen_pipeline.dataset.layout import Partition
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.checks import INVARIANTS, SCHEMA, failed_checks
from medgen_pipeline.defs.engine import Engine, generate_batches
from medgen_pipeline.defs.partitions import (
    RANGE_END_TAG,
    RANGE_START_TAG,
    SCENARIO,
    partition_key,
)
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.exports.aggregates import AGGREGATES
from medgen_pipeline.generation.batch import BatchResult
from medgen_pipeline.generation.pool import Report
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline_tests.defs.conftest import TINY, settings_in

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
BATCHES = (0, 1, 2)
KEYS = {str(partition_key(TINY, batch)) for batch in BATCHES}


def generation(
    engine: Engine,
    instance: dg.DagsterInstance,
    batches: Sequence[int],
    *,
    tags: Mapping[str, str] | None = None,
    **config: int | str,
) -> dg.ExecuteInProcessResult:
    """Run the generation job over batches, as a backfill does: all in one run."""
    first, last = (str(partition_key(TINY, batch)) for batch in (batches[0], batches[-1]))
    job = build_defs(engine.settings, engine).resolve_job_def("generation")
    return job.execute_in_process(
        instance=instance,
        run_config={**QUIET, "ops": {"casualty_tables": {"config": config}}},
        tags={RANGE_START_TAG: first, RANGE_END_TAG: last, **(tags or {})},
        raise_on_error=False,
    )


def metadata(
    instance: dg.DagsterInstance, asset: str, batch: int
) -> dict[str, dg.MetadataValue[Any]]:
    """Return the metadata of the latest materialisation of a batch of an asset."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(
            asset_key=dg.AssetKey(asset), asset_partitions=[str(partition_key(TINY, batch))]
        ),
        limit=1,
    ).records
    materialization = records[0].asset_materialization
    assert materialization is not None
    return dict(materialization.metadata)


def said(result: dg.ExecuteInProcessResult) -> str:
    """Return what the one step that failed said to the user."""
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    data = failure.step_failure_data.user_failure_data
    assert data is not None, failure.step_failure_data.error
    return str(data.description)


class Backfill:
    """Three batches of the tiny scenario, made in one run."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.engine = Engine(settings_in(folder))
        self.instance = instance
        self.result = generation(self.engine, instance, BATCHES)


@pytest.fixture(scope="module")
def backfill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfill]:
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions(SCENARIO, [TINY])
        yield Backfill(tmp_path_factory.mktemp("backfill"), instance)


def test_one_run_makes_every_batch_of_every_asset(backfill: Backfill) -> None:
    """Three batches in one run: six tables and the aggregates have three partitions each."""
    assert backfill.result.success
    for asset in (*schema.TABLES, *AGGREGATES):
        found = backfill.instance.get_materialized_partitions(dg.AssetKey(asset))
        assert found == KEYS


def test_metadata_is_that_of_the_dataset(backfill: Backfill) -> None:
    """Rows, bytes and outcomes that Dagster shows are those that the manifest lists."""
    for batch in BATCHES:
        manifest = backfill.engine.dataset.manifest(TINY, batch)
        for table in schema.TABLES:
            shown = metadata(backfill.instance, table, batch)
            assert shown["dagster/partition_row_count"].value == manifest.rows[table]
            files = [file for file in manifest.files if file.table == table]
            assert shown["bytes"].value == sum(file.bytes for file in files)
            assert Path(str(shown["dagster/uri"].value)).is_dir()
        patients = metadata(backfill.instance, "patients", batch)
        assert manifest.rows["patients"] == 60
        assert sum(int(patients[name].value) for name in manifest.outcomes) == 60
        shares = [float(patients[f"{name}_percent"].value) for name in manifest.outcomes]
        assert sum(shares) == pytest.approx(100, abs=0.01)
        assert patients["peak_memory_mb"].value > 0


def test_a_run_carries_pictures(backfill: Backfill) -> None:
    """Casualties per hour and outcomes are with the patients, occupancy with the facilities."""
    patients = metadata(backfill.instance, "patients", min(BATCHES))
    facilities = metadata(backfill.instance, "facility_hours", min(BATCHES))
    for shown in (patients["casualties_per_hour"], patients["outcomes"], facilities["occupancy"]):
        assert "data:image/png;base64," in str(shown.value)


def test_only_the_first_batch_of_a_run_carries_pictures(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """The figures are with every batch."""
    generation(engine, instance, range(2), patients=20)
    assert "outcomes" in metadata(instance, "patients", 0)
    assert "outcomes" not in metadata(instance, "patients", 1)
    assert "KIA" in metadata(instance, "patients", 1)


def test_checks_are_recorded_for_each_batch(backfill: Backfill) -> None:
    """Each of the seven checks has passed for each of the three batches."""
    names = [*((table, SCHEMA) for table in schema.TABLES), ("patients", INVARIANTS)]
    assert len(backfill.result.get_asset_check_evaluations()) == len(names) * len(BATCHES)
    for asset, name in names:
        history = backfill.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(asset), name), limit=10
        )
        assert {record.partition for record in history} == KEYS
        assert {record.status.value for record in history} == {"SUCCEEDED"}


def test_validation_examines_every_row(backfill: Backfill) -> None:
    """It makes no table, and its findings are with the checks of the tables."""
    job = build_defs(backfill.engine.settings, backfill.engine).resolve_job_def("validation")
    result = job.execute_in_process(
        instance=backfill.instance, run_config=QUIET, partition_key=str(partition_key(TINY, 2))
    )
    assert result.success
    evaluations = result.get_asset_check_evaluations()
    assert {each.asset_key.to_user_string() for each in evaluations} == set(schema.TABLES)
    (invariants,) = [each for each in evaluations if each.check_name == INVARIANTS]
    assert invariants.partition == str(partition_key(TINY, 2))
    assert invariants.metadata["examined_patients"].value == 60


def test_validation_fails_on_what_it_finds(engine: Engine, instance: dg.DagsterInstance) -> None:
    """A damaged batch fails its validation, and the check says which it is."""
    damaged = replace(engine, generate=damaging)
    generation(damaged, instance, BATCHES)
    job = build_defs(engine.settings, engine).resolve_job_def("validation")
    result = job.execute_in_process(
        instance=instance,
        run_config=QUIET,
        tags={RANGE_START_TAG: min(KEYS), RANGE_END_TAG: max(KEYS)},
        raise_on_error=False,
    )
    assert not result.success
    failed = {
        (each.asset_key.to_user_string(), each.partition)
        for each in result.get_asset_check_evaluations()
        if not each.passed
    }
    assert failed == {("patients", str(partition_key(TINY, 1)))}


@pytest.mark.parametrize(("job_name", "step"), [("generation", "table_checks"), ("validation", "")])
def test_what_is_not_there_cannot_be_examined(
    engine: Engine, instance: dg.DagsterInstance, job_name: str, step: str
) -> None:
    """The checks alone, as the validation, fail with one line that says so."""
    job = build_defs(engine.settings, engine).resolve_job_def(job_name)
    result = job.execute_in_process(
        instance=instance,
        run_config=QUIET,
        op_selection=[step] if step else None,
        partition_key=str(partition_key(TINY, 9)),
        raise_on_error=False,
    )
    assert said(result) == f"unknown scenario 'tiny' in {engine.dataset.store.url}; known: none"


def test_aggregates_add_up_to_the_patients(backfill: Backfill) -> None:
    """Every patient of a batch is in patient_stream once, and some need beds."""
    store = backfill.engine.dataset.store
    for batch in BATCHES:
        partition = Partition(TINY, batch)
        with store.open_input(derived_path("patient_stream", partition)) as file:
            assert sum(pq.read_table(file)["patients"].to_pylist()) == 60
        with store.open_input(derived_path("daily_requirements", partition)) as file:
            assert sum(pq.read_table(file)["litter_moves"].to_pylist()) > 0


def test_column_schema_is_that_of_the_data_dictionary(backfill: Backfill) -> None:
    """Dagster's catalogue shows every column with its meaning."""
    graph = build_defs(backfill.engine.settings).resolve_asset_graph()
    for table in schema.TABLES.values():
        shown = graph.get(dg.AssetKey(table.name)).metadata["dagster/column_schema"]
        columns = {column.name: column.description for column in shown.columns}
        assert list(columns) == [column.name for column in table.columns]
        assert all(columns.values())


def test_launchpad_changes_what_is_generated(engine: Engine, instance: dg.DagsterInstance) -> None:
    """Patients, seed and replicates of a run are those of its config."""
    result = generation(engine, instance, [4], patients=20, seed=99, replicates_per_batch=3)
    assert result.success
    manifest = engine.dataset.manifest(TINY, 4)
    assert manifest.rows["patients"] == 60
    assert (manifest.seed, manifest.first_replicate, manifest.last_replicate) == (99, 12, 14)


def test_plan_shows_what_generating_will_take(engine: Engine, instance: dg.DagsterInstance) -> None:
    """The plan of a scenario tells its size, its force, its facilities and its doubts."""
    job = build_defs(engine.settings, engine).resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=instance,
        partition_key=TINY,
        asset_selection=[dg.AssetKey("casualty_plan")],
        run_config={**QUIET, "ops": {"casualty_plan": {"config": {"patients": 6_000}}}},
    )
    (materialization,) = result.get_asset_materialization_events()
    shown = materialization.materialization.metadata
    assert shown["expected_patients"].value == 6_000
    assert {"strength", "fronts", "facilities", "warnings", "scenario"} <= shown.keys()


class FullDisk:
    """A generator of batches that fails after some."""

    def __init__(self, batches_made: int) -> None:
        self.batches_made = batches_made

    def __call__(
        self,
        scenario: Scenario,
        batches: Sequence[int],
        root: str,
        *,
        run_id: str,
        progress: Report,
    ) -> list[BatchResult]:
        """Make some of the batches and fail."""
        made = batches[: self.batches_made]
        generate_batches(scenario, made, root, run_id=run_id, progress=progress)
        raise DatasetError("cannot write data: it is full")


def test_what_was_committed_before_a_failure_is_shown(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """A run that fails at its third batch has materialised two, and says why it failed."""
    result = generation(replace(engine, generate=FullDisk(2)), instance, BATCHES)
    assert not result.success
    found = instance.get_materialized_partitions(dg.AssetKey("timeline"))
    assert found == {str(partition_key(TINY, batch)) for batch in (0, 1)}
    assert said(result) == "cannot write data: it is full"


def damaging(
    scenario: Scenario,
    batches: Sequence[int],
    root: str,
    *,
    run_id: str,
    progress: Report,
) -> list[BatchResult]:
    """Generate batches, then damage the second: an outcome that does not exist."""
    results = generate_batches(scenario, batches, root, run_id=run_id, progress=progress)
    path = Path(root, results[1].manifest.paths("patients")[0])
    table = pq.read_table(path, partitioning=None)
    words = pa.array(["LOST", *table["outcome"].to_pylist()[1:]]).dictionary_encode()
    place = table.column_names.index("outcome")
    pq.write_table(table.set_column(place, table.schema.field("outcome"), words), path)
    return results


def test_a_batch_that_fails_a_check_gets_no_aggregates(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """The damaged batch is named by its check, and what would build on it is not made."""
    result = generation(replace(engine, generate=damaging), instance, BATCHES)
    assert not result.success
    failed = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert {(each.asset_key.to_user_string(), each.partition) for each in failed} == {
        ("patients", str(partition_key(TINY, 1)))
    }
    assert not instance.get_materialized_partitions(dg.AssetKey("patient_stream"))


def aggregates(engine: Engine, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Run the aggregates job over the three batches, as the sensor does when tables are new."""
    job = build_defs(engine.settings, engine).resolve_job_def("aggregates")
    return job.execute_in_process(
        instance=instance,
        run_config=QUIET,
        tags={RANGE_START_TAG: min(KEYS), RANGE_END_TAG: max(KEYS)},
        raise_on_error=False,
    )


def with_aggregates(instance: dg.DagsterInstance) -> set[str]:
    """Return the partitions that both aggregates have."""
    one, other = (instance.get_materialized_partitions(dg.AssetKey(name)) for name in AGGREGATES)
    assert one == other
    return one


def test_nor_does_it_get_them_from_a_later_run(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """That run makes those of the sound batches and names the other, until it is sound too."""
    generation(replace(engine, generate=damaging), instance, BATCHES)
    damaged = str(partition_key(TINY, 1))
    for _ in range(2):
        refused = said(aggregates(engine, instance))
        named = "no aggregates of tiny batch 1 (schema of patients, invariants of patients): "
        assert refused.startswith(named)
        assert with_aggregates(instance) == KEYS - {damaged}
        path = derived_path("patient_stream", Partition(TINY, 1))
        assert not Path(engine.settings.data_url, path).exists()
        # Checks that were planned and never made change nothing.
        generation(replace(engine, generate=FullDisk(0)), instance, [1])
    assert generation(engine, instance, [1]).success
    assert aggregates(engine, instance).success
    assert with_aggregates(instance) == KEYS


def test_what_failed_a_check_and_was_replaced_is_not_held_against_a_batch(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """Another seed makes another commit, of which nothing bad is known."""
    generation(replace(engine, generate=damaging), instance, BATCHES)
    other = engine.scenario(TINY).model_copy(update={"seed": 99})
    generate_batches(
        other,
        [1],
        engine.settings.data_url,
        run_id="by-hand",
        progress=lambda _batch, _progress: None,
    )
    assert aggregates(engine, instance).success


def test_many_batches_are_asked_about_at_once(backfill: Backfill) -> None:
    """As many queries for three sound batches as for one."""
    manifests = backfill.engine.dataset.manifests(TINY)
    queries: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        queries.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", count)
    try:
        assert failed_checks(backfill.instance, manifests) == {}
        for_three = len(queries)
        assert failed_checks(backfill.instance, manifests[:1]) == {}
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", count)
    assert len(manifests) == len(BATCHES)
    assert 0 < for_three == len(queries) - for_three


def test_an_unknown_scenario_fails_with_one_clear_line(
    engine: Engine, instance: dg.DagsterInstance
) -> None:
    """A partition whose scenario file is gone says so, and is not retried."""
    assert engine.settings.scenario_dir is not None
    (engine.settings.scenario_dir / f"{TINY}.yaml").unlink()
    result = generation(engine, instance, [0])
    assert said(result).startswith("there is no scenario 'tiny'")


def test_what_is_there_is_left_as_it_is_when_asked_to(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Also by a run that repeats one which crashed; from another seed a batch is another one."""
    engine = Engine(settings_in(tmp_path))
    first = generation(engine, instance, [0, 1])
    for changes, tags in (({"only_missing": True}, {}), ({}, {"dagster/retry_number": "1"})):
        later = generation(engine, instance, [0, 1, 2], tags=tags, **changes)
        assert later.success
        made_by = [each.run.run_id for each in engine.dataset.manifests(TINY)]
        assert made_by[:2] == [first.run_id] * 2
        for table in schema.TABLES:
            shown = metadata(instance, table, 0)
            rows = engine.dataset.manifest(TINY, 0).rows
            assert shown["dagster/partition_row_count"].value == rows[table]
    assert made_by[2] != later.run_id, "the first of them had made it"
    other = generation(engine, instance, [0], only_missing=True, seed=99)
    assert engine.dataset.manifest(TINY, 0).run.run_id == other.run_id


def test_another_scenario_than_was_ordered_is_refused(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """A machine whose scenario file differs must not generate what it takes it for."""
    engine = Engine(settings_in(tmp_path))
    result = generation(engine, instance, [0], scenario_sha256="0" * 64)
    assert "scenario tiny is" in said(result)
    assert "000000000000 where the run was ordered" in said(result)


def test_a_backfill_from_the_ui_may_be_split_into_runs(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    for batches in (None, 7):
        graph = build_defs(replace(settings, batches_per_run=batches)).resolve_asset_graph()
        for name in (*schema.TABLES, *AGGREGATES):
            policy = graph.get(dg.AssetKey(name)).backfill_policy
            assert policy is not None
            assert policy.max_partitions_per_run == batches
