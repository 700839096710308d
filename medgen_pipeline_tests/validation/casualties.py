"""Small casts of casualties, committed as datasets, for checks whose value is known by hand."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from medgen_pipeline.dataset.layout import Partition, data_path, manifest_path
from medgen_pipeline.dataset.manifest import Manifest, ManifestFile, Run
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.dataset.schema import SCHEMA_VERSION, TABLES, arrow_schema
from medgen_pipeline_tests.dataset.handmade import DOW, Row, at, row, tables

COMMIT: Final = "c0ffee"
OUTCOME_HOURS: Final = 100.0  # beyond the 72 hours within which a return to duty is early


def hit(**given: Any) -> Row:  # noqa: ANN401  any column's value
    """Return a casualty hit in battle who left the theatre; `wounds` are rows of injuries.

    `hours` is the time to the outcome, `treated_at` the minutes to an antidote that worked.
    """
    return {
        "outcome": "EVACUATED",
        "mechanism_group": "explosion",
        "death_cause": None,
        "is_potentially_survivable": None,
        "minutes_to_facility": None,
        "minutes_to_surgery": None,
        "tourniquet_before_shock": None,
        "wounds": [],
        "hours": OUTCOME_HOURS,
        "treated_at": None,
    } | given


def ill(**given: Any) -> Row:  # noqa: ANN401
    """Return a casualty of disease."""
    return hit(**{"casualty_class": "disease", "mechanism_group": "none"} | given)


def wound(region: str = "extremity", **given: Any) -> Row:  # noqa: ANN401
    """Return a wound that does not kill."""
    return {"wound_region": region, "bleeding_site": "none", "is_lethal": False} | given


def lethal(site: str) -> Row:
    """Return a wound whose bleeding at a site kills if nothing is done."""
    return wound(bleeding_site=site, is_lethal=True)


def commit(
    root: Path,
    casts: Mapping[str, Sequence[Row]],
    *,
    days: int = 1,
    strength: int = 1000,
    replicates: int = 1,
) -> Dataset:
    """Return a dataset of one batch a scenario, with one front and rates."""
    for scenario, cast in casts.items():
        made = _tables(cast)
        partition = Partition(scenario, 0)
        for name, rows in made.items():
            path = root / data_path(name, partition, 0, COMMIT)
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows, arrow_schema(name)), path)
        manifest = Manifest(
            scenario=scenario,
            batch=0,
            first_replicate=0,
            last_replicate=replicates - 1,
            replicates_per_batch=replicates,
            seed=1,
            generator_version="0",
            schema_version=SCHEMA_VERSION,
            scenario_sha256="0" * 64,
            resolved_scenario={
                "days": days,
                "rates": {},
                "fronts": [{"id": "north", "strength": strength}],
            },
            rows={name: len(rows) for name, rows in made.items()},
            outcomes={},
            rates={},
            files=tuple(
                ManifestFile(table=name, part=0, rows=len(rows), bytes=1, sha256="0" * 64)
                for name, rows in made.items()
            ),
            run=Run(run_id="test", commit=COMMIT, created_at=at("0:00")),
        )
        path = root / manifest_path(partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(manifest.encode())
    return Dataset(root)


def _tables(cast: Sequence[Row]) -> dict[str, list[Row]]:
    made: dict[str, list[Row]] = {name: [] for name in TABLES}
    template = tables()
    for subject, given in enumerate(cast, start=1):
        facts = {**given}
        wounds, hours, treated = (facts.pop(key) for key in ("wounds", "hours", "treated_at"))
        patient = row(template["patients"], subject_id=DOW) | {"subject_id": subject} | facts
        patient["outcome_at"] = patient["injured_at"] + timedelta(hours=hours)
        made["patients"].append(patient)
        for number, one in enumerate(wounds, start=1):
            made["injuries"].append(
                template["injuries"][0] | {"subject_id": subject, "injury_number": number} | one
            )
        if treated is not None:
            made["treatments"].append(
                template["treatments"][0]
                | {
                    "subject_id": subject,
                    "given_at": patient["injured_at"] + timedelta(minutes=treated),
                    "treatment": "nerve_agent_antidote",
                }
            )
    return made


def on_days(*counts: int) -> list[Row]:
    """Return so many wounded on each day, from the first."""
    return list(
        itertools.chain.from_iterable([hit(day=day)] * n for day, n in enumerate(counts, start=1))
    )
