"""The two tables a planner asks for first, each one SQL query over the committed tables of a batch.

A query sees `patients`, `timeline`, `treatments` and `facility_hours` of one partition, and the
scenario's start as `$start`. Both keep the replicate, so that a study has its distributions. Sums
are over whole numbers, so that the result does not depend on the order of the rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from medgen_pipeline.dataset.schema import CODED, UINT16, UINT32, Column, Table
from medgen_pipeline.reference import vocabulary

if TYPE_CHECKING:
    import duckdb  # 24 MB, which a run needs only once its simulation is over


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A table derived from the six, and the query that makes it."""

    table: Table
    query: str

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.table.name

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema; no value is null."""
        return pa.schema([pa.field(c.name, c.type, nullable=False) for c in self.table.columns])


REPLICATE: Final = Column("replicate", UINT32, "Replicate of the scenario, from 0.")
DAY: Final = Column("day", UINT16, "Day of the scenario, 24 hours each, from 1.", "days", low=1)

PATIENT_STREAM: Final = Aggregate(
    Table(
        "patient_stream",
        "one replicate, day of injury, front, class of casualty and primary condition",
        "its key",
        ("replicate", "day", "front", "casualty_class", "primary_condition_code"),
        (
            REPLICATE,
            DAY,
            Column("front", CODED, "Sector in which they were hurt or fell ill."),
            Column(
                "casualty_class",
                CODED,
                "Battle injury, non-battle injury or disease.",
                words=vocabulary.CASUALTY_CLASSES,
            ),
            Column("primary_condition_code", CODED, "Their gravest condition, SNOMED CT code."),
            Column("patients", UINT32, "How many there are.", "casualties", low=1),
        ),
    ),
    query="""
        select replicate, day, front, casualty_class, primary_condition_code, count(*) as patients
        from patients group by all order by all
        """,
)


DAY_US: Final = 86_400_000_000


def _since_start(time: str) -> str:
    """Return SQL for the microseconds from `$start` to a time; with `datediff` it takes thrice."""
    return f"(epoch_us({time}) - epoch_us($start::timestamptz))"


def _day(since_start: str) -> str:
    """Return SQL for the day of the scenario in which a time since its start falls."""
    return f"({since_start} // {DAY_US} + 1)"


_BEDS: Final = f"""
    select replicate, {_day(_since_start("hour"))} as day, role, max(occupied) as beds
    from (select replicate, role, hour, sum(in_beds) as occupied
          from facility_hours where in_beds > 0 group by all)
    group by all
    """
# Who dies on the table, or is on it when the clock stops, has no surgery_ended.
_OPERATIONS: Final = f"""
    select replicate, role, started, ended from (
        select replicate, role, event_type, {_since_start("occurred_at")} as started,
            lead(started) over (partition by subject_id order by event_number) as ended
        from timeline
        where event_type in ('surgery_started', 'surgery_ended', 'died', 'clock_ended'))
    where event_type = 'surgery_started'
    """
_SURGERY: Final = f"""
    select replicate, day, role,
        sum(least(ended, day * {DAY_US}) - greatest(started, (day - 1) * {DAY_US})) as surgery_us
    from (select *, unnest(range({_day("started")}, {_day("ended")} + 1)) as day
          from ({_OPERATIONS}))
    group by all
    """
_BLOOD: Final = f"""
    select replicate, {_day(_since_start("given_at"))} as day, role,
        sum(quantity::decimal(9, 3)) as blood_units
    from treatments where treatment = 'whole_blood' group by all
    """
_MOVES: Final = f"""
    select replicate, {_day(_since_start("occurred_at"))} as day, role, count(*) as moves
    from timeline
    where event_type = 'departed'
        and vehicle in ('ground_ambulance', 'helicopter', 'strategic_aircraft')
    group by all
    """

DAILY_REQUIREMENTS: Final = Aggregate(
    Table(
        "daily_requirements",
        "one replicate, day and role of care at which something was needed",
        "its key",
        ("replicate", "day", "role"),
        (
            REPLICATE,
            DAY,
            Column(
                "role", CODED, "Role of care; of a move, the one it left.", words=vocabulary.ROLES
            ),
            Column(
                "beds_occupied_peak", UINT32, "Most beds occupied at the end of an hour.", "beds"
            ),
            Column(
                "surgery_hours", pa.float64(), "Time on operating tables within the day.", "hours"
            ),
            Column("blood_units", pa.float64(), "Whole blood given.", "units"),
            Column(
                "litter_moves",
                UINT32,
                "Casualties sent on by ambulance or aircraft, which carry litters; no bus does.",
                "casualties",
            ),
        ),
    ),
    query=f"""
        with needs as (
            ({_BEDS}) union all by name ({_SURGERY})
            union all by name ({_BLOOD}) union all by name ({_MOVES}))
        select replicate, day, role,
            coalesce(max(beds), 0) as beds_occupied_peak,
            coalesce(sum(surgery_us), 0) / 3.6e9 as surgery_hours,
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
    aggregate: Aggregate, connection: "duckdb.DuckDBPyConnection", start: datetime
) -> pa.Table:
    """Return the rows of an aggregate over the tables that the connection sees."""
    parameters = {"start": start} if "$start" in aggregate.query else {}
    return (
        connection.sql(aggregate.query, params=parameters).to_arrow_table().cast(aggregate.schema)
    )
