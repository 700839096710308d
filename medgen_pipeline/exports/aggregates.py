"""The two tables a planner asks for first, each one SQL query over the committed tables of a batch.

A query sees `patients`, `timeline`, `treatments` and `facility_hours` of one partition, and the
scenario's start as `$start`. Both keep the replicate, so that a study has its distributions. Sums
are over whole numbers, so that the result does not depend on the order of the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import duckdb
import pyarrow as pa

WORD: Final = pa.dictionary(pa.int32(), pa.string())


@dataclass(frozen=True, slots=True)
class AggregateColumn:
    """A column of an aggregate: name, type, unit and what it means."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A table derived from the six: what one row is, its columns and its query."""

    name: str
    row: str
    columns: tuple[AggregateColumn, ...]
    query: str

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema; no value is null."""
        return pa.schema([pa.field(c.name, c.type, nullable=False) for c in self.columns])


REPLICATE: Final = AggregateColumn("replicate", pa.uint32(), "replicate of the scenario, from 0")
DAY: Final = AggregateColumn("day", pa.uint16(), "day of the scenario, 24 hours each, from 1")

PATIENT_STREAM: Final = Aggregate(
    name="patient_stream",
    row="one replicate, day of injury, front, class of casualty and primary condition",
    columns=(
        REPLICATE,
        DAY,
        AggregateColumn("front", WORD, "front of the injury"),
        AggregateColumn("casualty_class", WORD, "battle or non-battle injury, or disease"),
        AggregateColumn("primary_condition_code", WORD, "SNOMED CT code of the gravest condition"),
        AggregateColumn("patients", pa.uint32(), "casualties injured or fallen ill", "casualties"),
    ),
    query="""
        select replicate, day, front, casualty_class, primary_condition_code, count(*) as patients
        from patients group by all order by all
        """,
)


def _day(time: str) -> str:
    """Return SQL for the day of the scenario in which a time falls."""
    return f"(datediff('second', $start::timestamptz, {time}) // 86400 + 1)"


_BEDS: Final = f"""
    select replicate, day, role, max(occupied) as beds
    from (select replicate, {_day("hour")} as day, role, hour, sum(in_beds) as occupied
          from facility_hours group by all)
    group by all
    """
# Who dies on the table, or is on it when the clock stops, has no surgery_ended.
_OPERATIONS: Final = """
    select replicate, role, started, ended from (
        select replicate, role, event_type, occurred_at as started,
            lead(occurred_at) over (partition by subject_id order by event_number) as ended
        from timeline where event_type in
            ('surgery_started', 'surgery_ended', 'died', 'clock_ended'))
    where event_type = 'surgery_started'
    """
_SURGERY: Final = f"""
    select replicate, day, role, sum(datediff('second',
        greatest(started, $start::timestamptz + to_days((day - 1)::int)),
        least(ended, $start::timestamptz + to_days(day::int)))) as surgery_seconds
    from (select *, unnest(range({_day("started")}, {_day("ended")} + 1)) as day
          from ({_OPERATIONS}))
    group by all
    """
_BLOOD: Final = f"""
    select replicate, {_day("given_at")} as day, role, sum(quantity::decimal(9, 3)) as blood_units
    from treatments where treatment = 'whole_blood' group by all
    """
_MOVES: Final = f"""
    select replicate, {_day("occurred_at")} as day, role, count(*) as moves
    from timeline
    where event_type = 'departed'
        and vehicle in ('ground_ambulance', 'helicopter', 'strategic_aircraft')
    group by all
    """

DAILY_REQUIREMENTS: Final = Aggregate(
    name="daily_requirements",
    row="one replicate, day and role of care at which something was needed",
    columns=(
        REPLICATE,
        DAY,
        AggregateColumn("role", WORD, "role of care; of a move, the one that is left"),
        AggregateColumn(
            "beds_occupied_peak", pa.uint32(), "most beds occupied in any hour of the day", "beds"
        ),
        AggregateColumn(
            "surgery_hours", pa.float64(), "operating table time within the day", "hours"
        ),
        AggregateColumn("blood_units", pa.float64(), "whole blood given", "units"),
        AggregateColumn(
            "litter_moves",
            pa.uint32(),
            "casualties sent on lying down: by ambulance or aircraft, not by bus",
            "casualties",
        ),
    ),
    query=f"""
        with needs as (
            ({_BEDS}) union all by name ({_SURGERY})
            union all by name ({_BLOOD}) union all by name ({_MOVES}))
        select replicate, day, role,
            coalesce(max(beds), 0) as beds_occupied_peak,
            coalesce(sum(surgery_seconds), 0) / 3600 as surgery_hours,
            coalesce(sum(blood_units), 0) as blood_units,
            coalesce(sum(moves), 0) as litter_moves
        from needs group by all
        having beds_occupied_peak + surgery_hours + blood_units + litter_moves > 0
        order by replicate, day, role
        """,
)

AGGREGATES: Final[Mapping[str, Aggregate]] = {
    aggregate.name: aggregate for aggregate in (PATIENT_STREAM, DAILY_REQUIREMENTS)
}


def computed(
    aggregate: Aggregate, connection: duckdb.DuckDBPyConnection, start: datetime
) -> pa.Table:
    """Return the rows of an aggregate over the tables that the connection sees."""
    parameters = {"start": start} if "$start" in aggregate.query else {}
    return (
        connection.sql(aggregate.query, params=parameters).to_arrow_table().cast(aggregate.schema)
    )
