"""Each invariant finds the one violation planted for it in a dataset that keeps all rules."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medgen_pipeline.dataset import invariants
from medgen_pipeline.dataset.invariants import INVARIANTS, check_invariants
from medgen_pipeline.dataset.layout import Partition, data_path, manifest_path
from medgen_pipeline.dataset.manifest import Manifest, ManifestFile, Run
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.schema import SCHEMA_VERSION, arrow_schema
from medgen_pipeline.errors import DatasetError
from medgen_pipeline_tests.dataset.handmade import (
    DOW,
    KIA,
    MOVING,
    RTD,
    Row,
    Tables,
    at,
    row,
    tables,
)

Plant = Callable[[Tables], object]


def change(table: str, where: dict[str, Any], **changes: Any) -> Plant:  # noqa: ANN401
    """Return what gives the first matching row other values."""
    return lambda made: row(made[table], **where).update(changes)


def add(table: str, where: dict[str, Any], **changes: Any) -> Plant:  # noqa: ANN401
    """Return what puts a changed copy of the first matching row behind it."""

    def plant(made: Tables) -> None:
        first = row(made[table], **where)
        made[table].insert(made[table].index(first) + 1, first | changes)

    return plant


def drop(table: str, **where: Any) -> Plant:  # noqa: ANN401
    """Return what takes the first matching row away."""
    return lambda made: made[table].remove(row(made[table], **where))


def swap(table: str, first: int, second: int) -> Plant:
    """Return what exchanges two rows."""

    def plant(made: Tables) -> None:
        rows = made[table]
        rows[first], rows[second] = rows[second], rows[first]

    return plant


def both(*plants: Plant) -> Plant:
    return lambda made: [plant(made) for plant in plants]


def event(subject: int, number: int) -> Row:
    return {"subject_id": subject, "event_number": number}


# What is planted, and every invariant that must find it: the one meant comes first. Where a plant
# breaks a second rule too, it could not be otherwise: two rows of one number are also no 1, 2, 3.
PLANTED: Final[list[tuple[tuple[str, ...], Plant]]] = [
    (("patients_key_unique", "subject_names_its_replicate"), add("patients", {"subject_id": RTD})),
    (
        ("injuries_key_unique", "injuries_numbered_from_one"),
        change("injuries", {"subject_id": DOW, "injury_number": 2}, injury_number=1),
    ),
    (
        ("timeline_key_unique",),
        change("timeline", event(DOW, 3), event_number=2),
    ),
    (
        ("treatments_key_unique", "treatments_numbered_from_one"),
        change("treatments", {"subject_id": DOW, "treatment_number": 2}, treatment_number=1),
    ),
    (
        ("facility_hours_key_unique",),
        add("facility_hours", {"facility": "north-role1-1"}),
    ),
    (
        ("injuries_numbered_from_one",),
        change("injuries", {"subject_id": DOW, "injury_number": 2}, injury_number=3),
    ),
    (("timeline_numbered_from_one",), change("timeline", event(MOVING, 3), event_number=4)),
    (
        ("treatments_numbered_from_one",),
        change("treatments", {"subject_id": RTD}, treatment_number=2),
    ),
    (
        ("subject_names_its_replicate",),
        lambda made: [
            r.update(subject_id=RTD + 1)
            for name in ("patients", "injuries", "timeline", "treatments", "observations")
            for r in made[name]
            if r["subject_id"] == RTD
        ],
    ),
    (("rows_in_order",), swap("observations", 0, 1)),
    (("rows_in_order",), swap("facility_hours", 0, 3)),
    (
        ("rows_have_a_patient",),
        add("injuries", {"subject_id": RTD}, subject_id=7),
    ),
    (
        ("patients_have_a_timeline", "hours_agree_with_the_timeline"),
        lambda made: made.update(
            timeline=[r for r in made["timeline"] if r["subject_id"] != MOVING],
        ),
    ),
    (
        ("times_never_go_back",),
        both(change("timeline", event(DOW, 3), occurred_at=at("8:04")), swap("timeline", 3, 4)),
    ),
    (("injured_first",), change("timeline", event(MOVING, 1), role="ROLE1")),
    (
        ("injured_first",),
        change("patients", {"subject_id": MOVING}, injured_at=at("6:59")),
    ),
    (
        ("one_end_last", "outcome_is_the_last_event"),
        change("timeline", event(MOVING, 3), event_type="evacuation_requested"),
    ),
    (
        ("outcome_is_the_last_event",),
        change("patients", {"subject_id": RTD}, outcome_at=at("12:01")),
    ),
    (("outcome_is_the_last_event",), change("patients", {"subject_id": RTD}, outcome="EVACUATED")),
    (
        ("nothing_after_death", "observations_within_a_stay"),
        change("observations", {"subject_id": DOW, "role": "ROLE2"}, observed_at=at("9:31")),
    ),
    (
        ("nothing_before_injury", "observations_within_a_stay"),
        change("observations", {"subject_id": DOW}, observed_at=at("7:59")),
    ),
    (
        ("surgery_ends_after_it_starts",),
        change("timeline", event(DOW, 8), event_type="surgery_started"),
    ),
    (
        ("arrived_follows_departed", "hours_agree_with_the_timeline"),
        change("timeline", event(RTD, 2), event_type="evacuation_requested"),
    ),
    (
        ("one_place_at_a_time",),
        change("timeline", event(DOW, 7), facility="north-role2-2"),
    ),
    (
        ("treatments_within_a_stay",),
        change("treatments", {"subject_id": DOW, "treatment_number": 2}, facility="north-role2-2"),
    ),
    (
        ("observations_within_a_stay",),
        change("observations", {"subject_id": RTD}, role="ROLE3"),
    ),
    (
        ("kia_before_any_facility", "deaths_have_a_cause"),
        both(
            change("patients", {"subject_id": DOW}, outcome="KIA"),
            change("patients", {"subject_id": KIA}, death_cause=None),
        ),
    ),
    (("dow_after_a_facility",), change("patients", {"subject_id": KIA}, outcome="DOW")),
    (("dnb_is_not_battle",), change("patients", {"subject_id": KIA}, outcome="DNB")),
    (("deaths_have_a_cause",), change("patients", {"subject_id": RTD}, death_cause="disease")),
    (
        ("tourniquet_and_blood_are_treatments",),
        change("patients", {"subject_id": DOW}, blood_units=3),
    ),
    (
        ("tourniquet_and_blood_are_treatments",),
        change("patients", {"subject_id": RTD}, minutes_to_tourniquet=1.0),
    ),
    (
        ("minutes_follow_from_events",),
        change("patients", {"subject_id": RTD}, minutes_to_facility=59.0),
    ),
    (
        ("minutes_follow_from_events",),
        change("patients", {"subject_id": DOW}, minutes_to_surgery=None),
    ),
    (
        ("iss_is_legal", "iss_is_recomputed", "niss_is_recomputed"),
        change("patients", {"subject_id": MOVING}, iss=7, niss=7),
    ),
    (("iss_is_recomputed",), change("patients", {"subject_id": DOW}, iss=16)),
    (("niss_is_recomputed",), change("patients", {"subject_id": DOW}, niss=34)),
    (("max_ais_is_recomputed",), change("patients", {"subject_id": DOW}, max_ais=3)),
    (("injury_count_is_recomputed",), change("patients", {"subject_id": DOW}, injury_count=1)),
    (
        ("niss_not_below_iss", "niss_is_recomputed"),
        change("patients", {"subject_id": DOW}, niss=24),
    ),
    (
        ("primary_condition_is_an_injury",),
        change("patients", {"subject_id": KIA}, primary_condition_code="25374005"),
    ),
    (
        ("systolic_not_below_diastolic",),
        change("observations", {"subject_id": RTD}, systolic_mmhg=79),
    ),
    (("patients_values_allowed",), change("patients", {"subject_id": KIA}, environment=512)),
    (("patients_values_allowed",), change("patients", {"subject_id": KIA}, blood_group="C+")),
    (("injuries_values_allowed",), change("injuries", {"subject_id": KIA}, wound_region="toe")),
    (("timeline_values_allowed",), change("timeline", event(DOW, 4), wait_minutes=-1.0)),
    (("treatments_values_allowed",), change("treatments", {"subject_id": RTD}, provider="cook")),
    (("observations_values_allowed",), change("observations", {"subject_id": RTD}, gcs_eye=0)),
    (
        ("facility_hours_values_allowed",),
        change("facility_hours", {"facility": "north-role1-1"}, role="ROLE9"),
    ),
    (
        ("codes_are_snomed_ct",),
        change("patients", {"subject_id": RTD}, allergy_codes=["91936006"]),
    ),
    (("codes_are_snomed_ct",), change("treatments", {"subject_id": RTD}, snomed_code="20655007")),
    (("nations_are_known",), change("patients", {"subject_id": RTD}, nationality="ee")),
    (
        ("hours_agree_with_the_timeline",),
        change("facility_hours", {"facility": "north-role1-1"}, arrivals=2),
    ),
    (("hours_agree_with_the_timeline",), drop("facility_hours", facility="north-role1-1")),
    (
        ("capacity_is_kept",),
        change("facility_hours", {"facility": "north-role1-1"}, in_beds=11),
    ),
    (
        ("operations_agree_with_the_timeline", "capacity_is_kept"),
        change("facility_hours", {"facility": "north-role1-1"}, in_surgery=1),
    ),
    (
        ("operations_agree_with_the_timeline",),
        change("facility_hours", {"facility": "north-role2-1"}, in_surgery=1),
    ),
    (
        ("hours_agree_with_the_timeline",),
        change("facility_hours", {"facility": "north-role1-1"}, departures=1),
    ),
    (
        ("deaths_while_waiting_are_deaths",),
        change("facility_hours", {"facility": "north-role1-1"}, died_waiting=1),
    ),
]


def committed(root: Path, made: Tables, batch: int = 0) -> Dataset:
    """Return a dataset that holds these rows as one committed batch."""
    partition = Partition("handmade", batch)
    files = []
    for name, rows in made.items():
        path = root / data_path(name, partition, 0, "c0ffee")
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, arrow_schema(name)), path)
        files.append(ManifestFile(table=name, part=0, rows=len(rows), bytes=1, sha256="0" * 64))
    manifest = Manifest(
        scenario="handmade",
        batch=batch,
        first_replicate=2 * batch,
        last_replicate=2 * batch + 1,
        replicates_per_batch=2,
        seed=1,
        generator_version="0",
        schema_version=SCHEMA_VERSION,
        scenario_sha256="0" * 64,
        resolved_scenario={},
        rows={name: len(rows) for name, rows in made.items()},
        outcomes={},
        rates={},
        files=tuple(files),
        run=Run(run_id="test", commit="c0ffee", created_at=at("0:00")),
    )
    path = root / manifest_path(partition)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifest.encode())
    return Dataset(root)


def broken(dataset: Dataset) -> dict[str, int]:
    return {one.name: one.violations for one in check_invariants(dataset) if one.violations}


def test_a_dataset_that_keeps_all_rules(tmp_path: Path) -> None:
    """Every rule is looked at, and none is broken."""
    checked = check_invariants(committed(tmp_path, tables()))
    assert [one.name for one in checked] == [rule.name for rule in INVARIANTS]
    assert [one for one in checked if one.violations or one.sample] == []


@pytest.mark.parametrize(("names", "plant"), PLANTED, ids=[names[0] for names, _ in PLANTED])
def test_a_planted_violation_is_found(names: tuple[str, ...], plant: Plant, tmp_path: Path) -> None:
    """Exactly the rule meant reports it, and those it cannot be separated from."""
    made = tables()
    plant(made)
    assert set(broken(committed(tmp_path, made))) == set(names)


@pytest.mark.parametrize(("names", "plant"), PLANTED[::5], ids=[n[0] for n, _ in PLANTED[::5]])
def test_a_violation_is_found_once_in_a_batch_too_large_to_check_at_once(
    names: tuple[str, ...], plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tables()
    plant(made)
    dataset = committed(tmp_path, made)
    at_once = broken(dataset)
    monkeypatch.setattr(invariants, "ROWS_AT_A_TIME", len(made["timeline"]) // 3)
    assert broken(dataset) == at_once
    assert set(at_once) == set(names)


def test_every_rule_has_a_plant() -> None:
    """A rule that nothing was planted for might never find anything."""
    elsewhere = {"replicate_in_one_batch"}
    assert {names[0] for names, _ in PLANTED} | elsewhere == {rule.name for rule in INVARIANTS}


def test_a_replicate_in_two_batches_is_found(tmp_path: Path) -> None:
    """Batches made with different numbers of replicates may overlap, and each alone is sound."""
    committed(tmp_path, tables(), batch=0)
    dataset = committed(tmp_path, tables(), batch=1)
    assert broken(dataset)["replicate_in_one_batch"] == 2
    only = check_invariants(dataset, "handmade", [1])
    assert [one for one in only if one.violations] == []


def test_a_violation_is_shown(tmp_path: Path) -> None:
    """The sample names the row."""
    made = tables()
    row(made["observations"], subject_id=RTD).update(systolic_mmhg=79)
    checked = {one.name: one for one in check_invariants(committed(tmp_path, made))}
    (shown,) = checked["systolic_not_below_diastolic"].sample
    assert "'subject_id': 3" in shown
    assert "79" in shown


def test_nothing_to_check_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no committed batch"):
        check_invariants(Dataset(tmp_path))
