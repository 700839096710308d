"""The aggregates: each figure against rows small enough to add up by hand."""

from collections.abc import Iterator
from datetime import UTC, datetime

import duckdb
import pytest

from medgen_pipeline.exports.aggregates import (
    AGGREGATES,
    DAILY_REQUIREMENTS,
    PATIENT_STREAM,
    Aggregate,
    computed,
)

START = datetime(2030, 3, 1, 6, tzinfo=UTC)  # a day of the scenario begins at 06:00


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'America/New_York'")  # must not matter
        yield connection


def given(connection: duckdb.DuckDBPyConnection, table: str, columns: str, rows: str) -> None:
    connection.execute(f"create table {table} as from (values {rows}) as rows({columns})")


@pytest.fixture
def needs(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Two casualties at one Role 2: one in surgery as the day turns, one who dies on the table."""
    given(
        connection,
        "facility_hours",
        "replicate, facility, role, hour, in_beds",
        """(0, 'R2-1', 'ROLE2', timestamptz '2030-03-01 08:00+00', 3),
           (0, 'R2-2', 'ROLE2', timestamptz '2030-03-01 08:00+00', 4),
           (0, 'R2-1', 'ROLE2', timestamptz '2030-03-01 09:00+00', 6),
           (0, 'R2-1', 'ROLE2', timestamptz '2030-03-02 06:00+00', 2),
           (1, 'R2-1', 'ROLE2', timestamptz '2030-03-01 08:00+00', 1),
           (1, 'R3-1', 'ROLE3', timestamptz '2030-03-01 08:00+00', 0)""",
    )
    given(
        connection,
        "timeline",
        "replicate, subject_id, event_number, event_type, role, vehicle, occurred_at",
        """(0, 1, 1, 'departed', 'POI', 'helicopter', timestamptz '2030-03-02 04:00+00'),
           (0, 1, 2, 'surgery_started', 'ROLE2', null, timestamptz '2030-03-02 05:00+00'),
           (0, 1, 3, 'surgery_ended', 'ROLE2', null, timestamptz '2030-03-02 06:30+00'),
           (0, 1, 4, 'departed', 'ROLE2', 'bus', timestamptz '2030-03-02 09:00+00'),
           (0, 2, 1, 'departed', 'POI', 'ground_ambulance', timestamptz '2030-03-02 05:59:59+00'),
           (0, 2, 2, 'surgery_started', 'ROLE2', null, timestamptz '2030-03-02 08:00+00'),
           (0, 2, 3, 'died', 'ROLE2', null, timestamptz '2030-03-02 08:15+00')""",
    )
    given(
        connection,
        "treatments",
        "replicate, treatment, role, quantity, given_at",
        """(0, 'whole_blood', 'ROLE2', 2::float, timestamptz '2030-03-02 05:10+00'),
           (0, 'whole_blood', 'ROLE2', 3::float, timestamptz '2030-03-02 06:10+00'),
           (0, 'crystalloid', 'ROLE2', 500::float, timestamptz '2030-03-02 06:10+00')""",
    )
    return connection


def test_daily_requirements_add_up(needs: duckdb.DuckDBPyConnection) -> None:
    """Beds are a peak, surgery is shared between its days, and a bus moves nobody lying down."""
    found = computed(DAILY_REQUIREMENTS, needs, START)
    assert found.column_names[3:] == [
        "beds_occupied_peak",
        "surgery_hours",
        "blood_units",
        "litter_moves",
    ]
    assert [tuple(row.values()) for row in found.to_pylist()] == [
        (0, 1, "POI", 0, 0, 0, 2),
        (0, 1, "ROLE2", 7, 1.0, 2, 0),
        (0, 2, "ROLE2", 2, 0.75, 3, 0),
        (1, 1, "ROLE2", 1, 0, 0, 0),
    ]


def test_patient_stream_counts_each_patient_once(connection: duckdb.DuckDBPyConnection) -> None:
    """Equal casualties of a replicate are counted together, others apart, in order."""
    given(
        connection,
        "patients",
        "replicate, day, front, casualty_class, primary_condition_code",
        """(1, 1, 'north', 'disease', '25374005'), (0, 2, 'north', 'battle_injury', '262525000'),
           (0, 1, 'south', 'battle_injury', '262525000'),
           (0, 1, 'south', 'battle_injury', '262525000')""",
    )
    rows = computed(PATIENT_STREAM, connection, START).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (0, 1, "south", "battle_injury", "262525000", 2),
        (0, 2, "north", "battle_injury", "262525000", 1),
        (1, 1, "north", "disease", "25374005", 1),
    ]


@pytest.mark.parametrize("aggregate", AGGREGATES.values(), ids=AGGREGATES)
def test_every_column_says_what_it_means(aggregate: Aggregate) -> None:
    """No column of an aggregate goes without a meaning."""
    assert all(column.meaning for column in aggregate.table.columns)
