from pathlib import Path

import duckdb
import pytest

from medgen_pipeline.dataset import schema
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.reference import vocabulary

ROOT = Path(__file__).parents[2]
COLUMNS = [(table, column) for table in schema.TABLES.values() for column in table.columns]

# PostgreSQL 18.4: select word from pg_get_keywords() where catcode in ('R', 'T').
POSTGRES = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check
collate collation column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user default deferrable desc
distinct do else end except false fetch for foreign freeze from full grant group having ilike in
initially inner intersect into is isnull join lateral leading left like limit localtime
localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
references returning right select session_user similar some symmetric system_user table tablesample
then to trailing true union unique user using variadic verbose when where window with
"""

# Spark: all that docs/sql-ref-ansi-compliance.md reserves in ANSI mode at commit 00564af, and more.
SPARK = """
all and any as authorization both case cast check collate collation column constraint create cross
current_date current_time current_timestamp current_user default distinct else end escape except
execute false fetch filter for foreign from full grant group having in inner intersect into is join
lateral leading left like natural not null offset on only or order outer overlaps primary references
right select session_user some table then time to trailing union unique unknown user using when
where with within
"""


def test_the_data_dictionary_is_in_step() -> None:
    """docs/data-dictionary.md is what schema.py says today."""
    written = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert written == schema.data_dictionary()


def test_every_table_begins_with_replicate() -> None:
    assert {table.columns[0].name for table in schema.TABLES.values()} == {"replicate"}


def test_names_are_not_reserved() -> None:
    """No table or column needs quotes in DuckDB, Postgres or Spark."""
    found = duckdb.execute(
        "select keyword_name from duckdb_keywords() where keyword_category <> 'unreserved'"
    ).fetchall()
    reserved = {name for (name,) in found} | set(POSTGRES.split()) | set(SPARK.split())
    names = {column.name for _, column in COLUMNS} | set(schema.TABLES) | {"scenario", "batch"}
    assert names & reserved == set()


def test_names_are_told_apart() -> None:
    for table in schema.TABLES.values():
        names = [column.name for column in table.columns]
        assert len(names) == len(set(names))
        assert set(table.key) <= set(names)


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda value: value.name)
def test_columns_are_described(table: schema.Table, column: schema.Column) -> None:
    """A meaning is a sentence; words belong to coded columns, bounds to numbers."""
    assert column.meaning[0].isupper()
    assert column.meaning.endswith(".")
    assert column.words is None or column.type == schema.CODED
    assert not (column.is_coded and (column.low, column.high) != (None, None))
    assert "|" not in column.meaning + column.allowed  # would break the table in the docs
    assert table.column(column.name) is column


def test_environment_flags_fit_their_type() -> None:
    environment = schema.PATIENTS.column("environment")
    assert environment.high == 2 ** len(vocabulary.ENVIRONMENT_CONDITIONS) - 1 <= 2**16 - 1


def test_arrow_schema_keeps_order_type_and_nullability() -> None:
    arrow = schema.arrow_schema("timeline")
    assert arrow.names == [column.name for column in schema.TIMELINE.columns]
    assert arrow.field("vehicle").nullable
    assert not arrow.field("occurred_at").nullable
    assert str(arrow.field("occurred_at").type) == "timestamp[us, tz=UTC]"


def test_column_descriptions_carry_unit_and_words() -> None:
    described = {each.name: each for each in schema.column_descriptions("patients")}
    assert described["weight_kg"].description == (
        "Body weight without equipment. Unit: kg. Allowed: 30 to 200."
    )
    assert described["sex"].description == "Sex. Allowed: male, female."
    assert described["religion"].nullable


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(DatasetError, match="unknown table 'patient'; did you mean patients"):
        schema.table("patient")
    with pytest.raises(DatasetError, match="unknown column 'is' in table patients; did you mean i"):
        schema.PATIENTS.column("is")
    with pytest.raises(DatasetError, match="unknown table 'zzz'; known: patients, injuries"):
        schema.table("zzz")
