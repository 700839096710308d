"""Every table and column of the output: name, type, unit, meaning, allowed values.

The one place that states them. The Arrow schema, the Parquet settings, the data dictionary, the
Dagster column metadata and the checks derive from here; a column is added here and nowhere else.
Columns may be added freely; renaming or retyping one raises SCHEMA_VERSION.

`python -m medgen_pipeline.dataset.schema > docs/data-dictionary.md` refreshes the data dictionary.
"""

import difflib
import functools
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from medgen_pipeline.errors import DatasetError
from medgen_pipeline.reference import vocabulary

SCHEMA_VERSION: Final = 1

CODED: Final = pa.dictionary(pa.int32(), pa.string())
TIME: Final = pa.timestamp("us", tz="UTC")
CODES: Final = pa.list_(pa.field("element", pa.string(), nullable=False))
UINT8: Final = pa.uint8()
UINT16: Final = pa.uint16()
UINT32: Final = pa.uint32()
INT64: Final = pa.int64()
FLOAT: Final = pa.float32()
BOOL: Final = pa.bool_()
DATE: Final = pa.date32()
STRING: Final = pa.string()

_TYPE_NAMES: Final = {CODED: "dict", CODES: "list<string>", FLOAT: "float32"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: what it holds and which values it may hold.

    `words` is the closed vocabulary of a coded column; without it the words are open: the scenario
    or a code system gives them. `low` and `high` bound a number, inclusive.
    """

    name: str
    type: pa.DataType
    meaning: str
    unit: str | None = None
    nullable: bool = False
    words: tuple[str, ...] | None = None
    low: float | None = None
    high: float | None = None

    @property
    def is_coded(self) -> bool:
        """Whether values are words that the simulation hands over as integer codes."""
        return self.type in (CODED, CODES)

    @property
    def type_name(self) -> str:
        """The type as the data dictionary prints it."""
        return _TYPE_NAMES.get(self.type, str(self.type))

    @property
    def allowed(self) -> str:
        """The allowed values in words, empty where the type and the meaning say it all."""
        if self.words is not None:
            return ", ".join(self.words)
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            return f"at least {self.low:g}"
        return f"{self.low or 0:g} to {self.high:g}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what a row is, how rows are ordered, which columns tell rows apart."""

    name: str
    row: str
    order: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """Return the column of that name; an unknown one is an error that names the nearest."""
        for column in self.columns:
            if column.name == name:
                return column
        raise DatasetError(
            unknown("column", name, [c.name for c in self.columns], f" in table {self.name}")
        )


@dataclass(frozen=True, slots=True)
class ColumnDescription:
    """What a catalogue such as Dagster's shows of a column."""

    name: str
    type: str
    description: str
    nullable: bool


_REPLICATE: Final = Column(
    "replicate", UINT32, "Number of the complete realisation of the scenario, from 0."
)
_SUBJECT: Final = Column(
    "subject_id",
    INT64,
    "The casualty; unique within a scenario, over all its replicates.",
    low=1,
)
_FACILITY: Final = Column(
    "facility", CODED, "Facility, point of injury or vehicle pool where it happened."
)
_ROLE: Final = Column("role", CODED, "Level of care of the facility.", words=vocabulary.ROLES)


def _count(name: str, meaning: str, unit: str | None = None) -> Column:
    return Column(name, UINT32, meaning, unit)


def _minutes(name: str, meaning: str) -> Column:
    return Column(name, FLOAT, meaning, "minutes", nullable=True, low=0)


PATIENTS: Final = Table(
    "patients",
    "one casualty",
    "replicate, injured_at",
    ("subject_id",),
    (
        _REPLICATE,
        _SUBJECT,
        Column("event_id", CODED, "The incident that wounded this casualty, and maybe others."),
        Column("front", CODED, "Sector in which it happened, as the scenario names it."),
        Column(
            "warfare_type",
            CODED,
            "Kind of fighting that caused the incident.",
            words=vocabulary.WARFARE_TYPES,
        ),
        Column("mechanism", CODED, "What did the harm.", words=vocabulary.MECHANISMS),
        Column(
            "mechanism_group",
            CODED,
            "What did the harm, in few classes.",
            words=vocabulary.MECHANISM_GROUPS,
        ),
        Column(
            "casualty_class",
            CODED,
            "Battle injury, non-battle injury or disease.",
            words=vocabulary.CASUALTY_CLASSES,
        ),
        Column("is_mass_casualty", BOOL, "Whether the incident was a mass casualty event."),
        Column(
            "environment",
            UINT16,
            "Conditions at the incident, one bit each, from bit 0: "
            + ", ".join(vocabulary.ENVIRONMENT_CONDITIONS)
            + ".",
            "bit flags",
            low=0,
            high=2 ** len(vocabulary.ENVIRONMENT_CONDITIONS) - 1,
        ),
        Column("injured_at", TIME, "When the injury happened or the illness began."),
        Column("day", UINT16, "Day of the scenario on which that was, from 1.", "days", low=1),
        Column("nationality", CODED, "Nation served, ISO 3166-1 alpha-3."),
        Column("sex", CODED, "Sex.", words=vocabulary.SEXES),
        Column("age_years", UINT8, "Age at injury.", "years", low=17, high=75),
        Column("birth_date", DATE, "Date of birth; agrees with the age at injury."),
        Column("given_name", CODED, "Given name, from the nation's name lists; synthetic."),
        Column("family_name", CODED, "Family name, from the nation's name lists; synthetic."),
        Column(
            "service_number", STRING, "Service number in the nation's format, marked synthetic."
        ),
        Column(
            "blood_group",
            CODED,
            "ABO group with rhesus factor.",
            words=vocabulary.BLOOD_GROUPS,
        ),
        Column("weight_kg", FLOAT, "Body weight without equipment.", "kg", low=30, high=200),
        Column("religion", CODED, "Religion, where stated.", nullable=True),
        Column("allergy_codes", CODES, "Known allergies, SNOMED CT codes; empty where none."),
        Column(
            "primary_condition_code",
            CODED,
            "The gravest wound or the illness, SNOMED CT code.",
        ),
        Column(
            "recorded_diagnosis_code",
            CODED,
            "Diagnosis as written down by the last who made one, SNOMED CT code; may be wrong.",
            nullable=True,
        ),
        Column("injury_count", UINT8, "Rows of this casualty in injuries."),
        Column(
            "max_ais",
            UINT8,
            "Highest severity of any wound, Abbreviated Injury Scale; 0 for disease.",
            "AIS",
            low=0,
            high=6,
        ),
        Column("iss", UINT8, "Injury Severity Score.", "points", low=0, high=75),
        Column("niss", UINT8, "New Injury Severity Score.", "points", low=0, high=75),
        Column(
            "rts",
            FLOAT,
            "Revised Trauma Score at first contact (Champion 1989 weights); of who had none, 0 if "
            "dead, else as they were when the clock ended.",
            "points",
            low=0,
            high=7.8409,
        ),
        Column(
            "triss_survival",
            FLOAT,
            "Probability of survival by TRISS from rts, iss, age and mechanism.",
            "probability",
            low=0,
            high=1,
        ),
        Column(
            "shock_index",
            FLOAT,
            "Heart rate over systolic pressure at the time of rts, where both were above 0.",
            "beats per minute per mmHg",
            nullable=True,
            low=0,
        ),
        Column(
            "triage_true",
            CODED,
            "Triage category that perfect knowledge would give: T1 immediate, T2 urgent, "
            "T3 minimal, T4 expectant.",
            words=vocabulary.TRIAGE_CATEGORIES,
        ),
        Column(
            "triage_assigned",
            CODED,
            "Triage category given first, from noisy physiology; queues go by it. Of who had no "
            "contact, T4 if dead, else what their signs were when the clock ended.",
            words=vocabulary.TRIAGE_CATEGORIES,
        ),
        Column(
            "is_potentially_survivable",
            BOOL,
            "For the dead, whether timely care could have saved them.",
            nullable=True,
        ),
        _minutes("minutes_to_first_care", "From injury to first care by anyone, if any."),
        _minutes("minutes_to_tourniquet", "From injury to the first tourniquet, if any."),
        _minutes("minutes_to_facility", "From injury to the first treatment facility, if any."),
        _minutes("minutes_to_surgery", "From injury to the start of first surgery, if any."),
        Column(
            "tourniquet_before_shock",
            BOOL,
            "Whether the first tourniquet came before shock; null without a tourniquet.",
            nullable=True,
        ),
        Column("blood_units", UINT16, "Units of blood given in all.", "units"),
        Column(
            "outcome",
            CODED,
            "KIA died of battle injury before any treatment facility; DOW battle injury, died "
            "after reaching one; DNB died, not battle; RTD returned to duty; EVACUATED left the "
            "theatre; IN_CARE in theatre when the clock ended.",
            words=vocabulary.OUTCOMES,
        ),
        Column("outcome_at", TIME, "When that was decided."),
        Column(
            "outcome_facility",
            CODED,
            "Where that was decided; of who was on the way, where they were taken to.",
        ),
        Column(
            "death_cause",
            CODED,
            "What killed; null for the living.",
            nullable=True,
            words=vocabulary.DEATH_CAUSES,
        ),
        Column(
            "disability_code",
            CODED,
            "Lasting disability, SNOMED CT code, where there is one.",
            nullable=True,
        ),
        Column(
            "days_to_duty",
            FLOAT,
            "From injury to duty, of who returned to it before the clock ended.",
            "days",
            nullable=True,
            low=0,
        ),
        Column(
            "chemical_dose_mg_min_m3",
            FLOAT,
            "Dose of nerve agent inhaled, for casualties of one.",
            "mg.min/m3",
            nullable=True,
            low=0,
        ),
    ),
)

INJURIES: Final = Table(
    "injuries",
    "one wound or condition",
    "replicate, then as the casualties in patients",
    ("subject_id", "injury_number"),
    (
        _REPLICATE,
        _SUBJECT,
        Column("injury_number", UINT8, "Number of the wound within its casualty, from 1.", low=1),
        Column(
            "body_region",
            CODED,
            "Body region of the Injury Severity Score.",
            words=vocabulary.BODY_REGIONS,
        ),
        Column(
            "wound_region",
            CODED,
            "Body region as the casualty card names it.",
            words=vocabulary.WOUND_REGIONS,
        ),
        Column(
            "side",
            CODED,
            "Side of the body, where the region has two.",
            nullable=True,
            words=vocabulary.SIDES,
        ),
        Column(
            "ais",
            UINT8,
            "Severity, Abbreviated Injury Scale; 0 for disease.",
            "AIS",
            low=0,
            high=6,
        ),
        Column("snomed_code", CODED, "The wound or condition, SNOMED CT code."),
        Column("wound_type", CODED, "Kind of wound.", words=vocabulary.WOUND_TYPES),
        Column("mechanism", CODED, "What did this harm.", words=vocabulary.MECHANISMS),
        Column(
            "bleeding_site",
            CODED,
            "Where it bleeds to, which decides what can stop it.",
            words=vocabulary.BLEEDING_SITES,
        ),
        Column("is_lethal", BOOL, "Whether it kills if nothing is done."),
        Column(
            "burn_tbsa_percent",
            FLOAT,
            "Burnt share of the total body surface, for burns.",
            "%",
            nullable=True,
            low=0,
            high=100,
        ),
    ),
)

TIMELINE: Final = Table(
    "timeline",
    "one event of a casualty's way from injury to outcome",
    "replicate, occurred_at, subject_id",
    ("subject_id", "event_number"),
    (
        _REPLICATE,
        _SUBJECT,
        Column("event_number", UINT16, "Number of the event within its casualty, from 1.", low=1),
        Column("occurred_at", TIME, "When it happened."),
        Column("event_type", CODED, "What happened.", words=vocabulary.EVENT_TYPES),
        _FACILITY,
        _ROLE,
        Column(
            "vehicle",
            CODED,
            "Vehicle that carried the casualty, for moves.",
            nullable=True,
            words=vocabulary.VEHICLES,
        ),
        _minutes("wait_minutes", "Wait that ended with this event, where it ended one."),
    ),
)

TREATMENTS: Final = Table(
    "treatments",
    "one treatment given",
    "replicate, given_at, subject_id",
    ("subject_id", "treatment_number"),
    (
        _REPLICATE,
        _SUBJECT,
        Column(
            "treatment_number",
            UINT16,
            "Number of the treatment within its casualty, from 1.",
            low=1,
        ),
        Column("given_at", TIME, "When it was given or begun."),
        _FACILITY,
        _ROLE,
        Column("treatment", CODED, "What was done.", words=vocabulary.TREATMENTS),
        Column("snomed_code", CODED, "The procedure or substance, SNOMED CT code."),
        Column("provider", CODED, "Who did it.", words=vocabulary.PROVIDERS),
        Column(
            "body_region",
            CODED,
            "Body region treated, where it was one.",
            nullable=True,
            words=vocabulary.BODY_REGIONS,
        ),
        Column("quantity", FLOAT, "How much was given, in `unit`.", nullable=True, low=0),
        Column(
            "unit",
            CODED,
            "Unit of the quantity.",
            nullable=True,
            words=vocabulary.UNITS,
        ),
        Column("is_effective", BOOL, "Whether it worked."),
    ),
)

OBSERVATIONS: Final = Table(
    "observations",
    "one set of vital signs",
    "replicate, observed_at, subject_id",
    (),
    (
        _REPLICATE,
        _SUBJECT,
        Column("observed_at", TIME, "When they were taken."),
        _ROLE,
        Column("heart_rate_bpm", UINT16, "Heart rate; 0 in arrest.", "beats per minute", high=300),
        Column("systolic_mmhg", UINT16, "Systolic blood pressure; 0 in arrest.", "mmHg", high=300),
        Column("diastolic_mmhg", UINT16, "Diastolic blood pressure.", "mmHg", high=300),
        Column(
            "respiratory_rate_bpm",
            UINT8,
            "Respiratory rate; 0 in arrest.",
            "breaths per minute",
            high=80,
        ),
        Column("spo2_percent", UINT8, "Oxygen saturation.", "%", high=100),
        Column("temperature_c", FLOAT, "Core temperature.", "degrees Celsius", low=10, high=45),
        Column("gcs_eye", UINT8, "Glasgow Coma Scale, eyes.", "points", low=1, high=4),
        Column("gcs_verbal", UINT8, "Glasgow Coma Scale, speech.", "points", low=1, high=5),
        Column("gcs_motor", UINT8, "Glasgow Coma Scale, movement.", "points", low=1, high=6),
        Column("pain_score", UINT8, "Pain as said or seen.", "0 to 10", high=10),
        Column("blood_volume_ml", UINT16, "True blood volume, which nobody saw.", "ml"),
        Column(
            "triage",
            CODED,
            "Triage category given at this contact; queues go by it until the next.",
            words=vocabulary.TRIAGE_CATEGORIES,
        ),
        Column(
            "diagnosis_code",
            CODED,
            "Diagnosis made at this contact, SNOMED CT code; may be wrong.",
        ),
    ),
)

FACILITY_HOURS: Final = Table(
    "facility_hours",
    "one facility and hour with activity",
    "replicate, hour, facility",
    ("replicate", "facility", "hour"),
    (
        _REPLICATE,
        Column("facility", CODED, "The facility."),
        _ROLE,
        Column(
            "front",
            CODED,
            "Sector it belongs to; null where the theatre shares it.",
            nullable=True,
        ),
        Column("hour", TIME, "Start of the hour."),
        _count("arrivals", "Casualties who arrived within the hour.", "casualties"),
        _count(
            "departures",
            "Casualties who left within the hour, alive: moved on, or back to duty.",
            "casualties",
        ),
        _count("deaths", "Casualties who died there within the hour.", "casualties"),
        _count("in_beds", "Casualties in its beds at the end of the hour.", "casualties"),
        _count(
            "waiting",
            "Casualties who waited at the end of the hour: for a bed, a table or a vehicle.",
            "casualties",
        ),
        _count("beds", "Beds it has.", "beds"),
        _count("in_surgery", "Operations under way at the end of the hour.", "casualties"),
        _count("operating_tables", "Operating tables it has, each with a team.", "tables"),
        _count("vehicles_out", "Of its vehicles, those on the road or in the air.", "vehicles"),
        _count("turned_away", "Casualties it sent on for want of room.", "casualties"),
        _count("bypassed", "Casualties who were taken past it.", "casualties"),
        _count("died_waiting", "Deaths within the hour of those still waiting.", "casualties"),
        _count("over_capacity_minutes", "Time with more casualties than beds.", "minutes"),
        _count(
            "in_staging",
            "Walking casualties who have left their bed for a load, at the end of the hour.",
            "casualties",
        ),
    ),
)

TABLES: Final = {
    table.name: table
    for table in (PATIENTS, INJURIES, TIMELINE, TREATMENTS, OBSERVATIONS, FACILITY_HOURS)
}


def table(name: str) -> Table:
    """Return the table of that name; an unknown one is an error that names the nearest."""
    try:
        return TABLES[name]
    except KeyError:
        raise DatasetError(unknown("table", name, TABLES)) from None


def unknown(kind: str, name: str, known: Iterable[str], where: str = "") -> str:
    """Return the message for a name that is not known, with the nearest that are."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names) or 'none'}"
    return f"unknown {kind} {name!r}{where}; {hint}"


@functools.cache
def arrow_schema(name: str) -> pa.Schema:
    """Return the Arrow schema of a table, as written to Parquet and as read back."""
    return pa.schema(
        [pa.field(c.name, c.type, nullable=c.nullable) for c in table(name).columns],
        metadata={"medgen_schema_version": str(SCHEMA_VERSION)},
    )


def column_descriptions(name: str) -> tuple[ColumnDescription, ...]:
    """Return a table's columns as a catalogue shows them, unit and allowed values in the text."""
    return described(table(name))


def described(each: Table) -> tuple[ColumnDescription, ...]:
    """Return the columns of any table, one of these or one derived from them, in the same way."""
    return tuple(
        ColumnDescription(c.name, c.type_name, _description(c), c.nullable) for c in each.columns
    )


def _description(column: Column) -> str:
    parts = [column.meaning]
    if column.unit:
        parts.append(f"Unit: {column.unit}.")
    if column.allowed:
        parts.append(f"Allowed: {column.allowed}.")
    return " ".join(parts)


def data_dictionary() -> str:
    """Return the data dictionary as Markdown."""
    lines = [
        "# Data dictionary",
        "",
        f"Schema version {SCHEMA_VERSION}. Generated from `medgen_pipeline/dataset/schema.py` by",
        "`python -m medgen_pipeline.dataset.schema > docs/data-dictionary.md`; edit that file.",
        "",
        "Read from a dataset, every table also has `scenario` (dict) and `batch` (uint16), which",
        "stand in the path of its files. `dict` is a dictionary-encoded string; times are",
        "`timestamp[us, tz=UTC]`. A column is never null unless marked so. A column without",
        "allowed values holds what its meaning says; its words come from the scenario or from the",
        "code system named.",
    ]
    for each in TABLES.values():
        lines += ["", *_table_section(each)]
    return "\n".join(lines) + "\n"


def _table_section(each: Table) -> list[str]:
    key = f" Key: {', '.join(f'`{name}`' for name in each.key)}." if each.key else ""
    return [
        f"## {each.name}",
        "",
        f"One row is {each.row}. Ordered by {each.order}.{key}",
        "",
        "| column | type | null | unit | meaning | allowed |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| `{c.name}` | {c.type_name} | {'yes' if c.nullable else ''} | {c.unit or ''} "
            f"| {c.meaning} | {c.allowed} |"
            for c in each.columns
        ),
    ]


if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
