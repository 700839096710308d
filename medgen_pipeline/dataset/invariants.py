"""What every row of every dataset obeys, each rule one SQL query that returns the rows breaking it.

The queries see the tables of some committed partitions under their own names, with `scenario` and
`batch`, and tables derived from them: `steps` (each event beside the one before it), `journeys`
(one row per casualty: first and last event), `stays` (who was where from when until when) and
`codes` (each clinical code once, with its column). A rule that only a distribution can break is no
invariant and does not belong here.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from medgen_pipeline.dataset import schema
from medgen_pipeline.dataset.damage import readable_tables
from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.errors import DatasetError
from medgen_pipeline.reference import snomed, vocabulary

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE: Final = 5  # rows shown of those that break a rule
MOST_HELD: Final = 10_000  # patients whose rows are kept in memory, some 20 MB: our own choice
ROWS_AT_A_TIME: Final = 5_000_000  # of the timeline, our own choice: about 1 GB in DuckDB

# The legal values of ISS. Source: medical-anchors 5.2, from the definition of Baker et al. (1974).
LEGAL_ISS: Final = (
    *(
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        16,
        17,
        18,
        19,
        20,
        21,
        22,
        24,
        25,
        26,
        27,
        29,
    ),
    *(30, 32, 33, 34, 35, 36, 38, 41, 42, 43, 45, 48, 50, 51, 54, 57, 59, 66, 75),
)


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule: its name, what is true when it holds, the query for the rows that break it."""

    name: str
    description: str
    query: str
    spans_batches: bool = False  # one batch cannot tell
    spans_casualties: bool = False  # one casualty's rows cannot tell


@dataclass(frozen=True, slots=True)
class InvariantResult:
    """How often a rule is broken, with the first rows that break it, as text."""

    name: str
    description: str
    violations: int
    sample: tuple[str, ...]


TERMINAL: Final = "('died', 'returned_to_duty', 'left_theatre', 'clock_ended')"
FACILITIES: Final = "('ROLE1', 'ROLE2', 'ROLE3', 'ROLE4')"
KEY: Final = "scenario, subject_id"

CODES: Final = tuple(
    f"select distinct '{table.name}.{column.name}' as of_column, "
    f"{f'unnest({column.name})' if column.name.endswith('s') else column.name} as code "
    f"from {table.name}"
    for table in schema.TABLES.values()
    for column in table.columns
    if column.name.endswith(("_code", "_codes"))
)

DERIVED: Final[Mapping[str, str]] = {
    "steps": f"""
        select scenario, batch, subject_id, event_number, occurred_at, event_type, facility, role,
            lag(occurred_at) over path as previous_at,
            lag(event_number) over path as previous_number,
            last_value(if(event_type in ('injured', 'departed', 'arrived'), event_type, null)
                ignore nulls) over before as last_move,
            last_value(if(event_type in ('injured', 'arrived'), facility, null)
                ignore nulls) over before as last_place,
            last_value(if(event_type in ('surgery_started', 'surgery_ended'), event_type, null)
                ignore nulls) over before as last_surgery
        from timeline
        window path as (partition by {KEY} order by event_number),
            before as (partition by {KEY} order by event_number
                rows between unbounded preceding and 1 preceding)
        """,
    "journeys": f"""
        select {KEY}, count(*) as events,
            min(occurred_at) as first_at, arg_min(event_type, event_number) as first_event,
            arg_min(role, event_number) as first_role,
            max(occurred_at) as last_at, arg_max(event_type, event_number) as last_event,
            arg_max(facility, event_number) as last_place,
            count(*) filter (event_type = 'injured') as injured,
            count(*) filter (event_type in {TERMINAL}) as ends,
            min(occurred_at) filter (event_type = 'died') as died_at,
            min(occurred_at) filter (event_type = 'first_care') as care_at,
            min(occurred_at) filter (event_type = 'arrived' and role in {FACILITIES})
                as facility_at,
            min(occurred_at) filter (event_type = 'surgery_started') as surgery_at
        from timeline group by all
        """,
    "stays": f"""
        select * from (
            select {KEY}, event_type, facility, occurred_at as from_at,
                if(event_type = 'departed', 'TRANSIT', role) as role,
                lead(occurred_at) over (partition by {KEY} order by event_number) as until_at
            from timeline where event_type in ('injured', 'departed', 'arrived')
                or event_type in {TERMINAL})
        where event_type not in {TERMINAL}
        """,
    "codes": " union all ".join(CODES),
}


def _unique(table: schema.Table) -> Invariant:
    key = ", ".join(dict.fromkeys(("scenario", *table.key)))
    return Invariant(
        f"{table.name}_key_unique",
        f"{', '.join(table.key)} name one row of {table.name} in a scenario",
        f"select {key}, count(*) as times from {table.name} group by {key} having times > 1",
        spans_casualties="subject_id" not in table.key,
    )


def _allowed(table: schema.Table) -> Invariant:
    """Return the rule that the schema states, with the columns that break it in each row."""
    checks = ", ".join(
        f"if({condition}, '{column.name}', null)"
        for column in table.columns
        for condition in _faults(column)
    )
    identity = ", ".join(dict.fromkeys(("scenario", "replicate", *table.key)))
    return Invariant(
        f"{table.name}_values_allowed",
        f"every value of {table.name} is in its dictionary or range, and null only where it may be",
        f"select {identity}, list_filter([{checks}], lambda name: name is not null) as wrong "
        f"from {table.name} where len(wrong) > 0",
        spans_casualties=table.name == "facility_hours",
    )


def _faults(column: schema.Column) -> Iterator[str]:
    """Yield what a column's value must not be, as SQL."""
    if not column.nullable:
        yield f"{column.name} is null"
    if column.words is not None:
        yield f"{column.name} not in {column.words}"
    if column.low is not None:
        yield f"{column.name} < {column.low}"
    if column.high is not None:
        yield f"{column.name} > {column.high}"


def _numbered(table: str, column: str) -> Invariant:
    return Invariant(
        f"{table}_numbered_from_one",
        f"the {column} of a casualty runs 1, 2, 3 without a gap",
        f"select {KEY}, count(*) as row_count, min({column}) as low, max({column}) as high "
        f"from {table} group by {KEY} having low <> 1 or high <> row_count",
    )


def _each(tables: Iterable[str], query: str) -> str:
    """Return one query over several tables, `{table}` standing for the name of each."""
    return " union all by name ".join(query.format(table=table) for table in tables)


def _before(columns: str) -> str:
    return ", ".join(f"lag({column}) over ()" for column in columns.split(", "))


CARED_FOR: Final = ("injuries", "timeline", "treatments", "observations")
ROW_ORDER: Final = {
    "patients": "replicate, injured_at, subject_id",
    "injuries": "replicate, subject_id, injury_number",
    "timeline": "replicate, occurred_at, subject_id, event_number",
    "treatments": "replicate, given_at, subject_id, treatment_number",
    "observations": "replicate, observed_at, subject_id",
    "facility_hours": "replicate, hour",
}
TIMES: Final = {"timeline": "occurred_at", "treatments": "given_at", "observations": "observed_at"}

KEYS: Final = (
    *(_unique(table) for table in schema.TABLES.values() if table.key),
    _numbered("injuries", "injury_number"),
    _numbered("timeline", "event_number"),
    _numbered("treatments", "treatment_number"),
    Invariant(
        "subject_names_its_replicate",
        "subject_id is replicate * 100,000,000 + the casualty's number, from 1 in order of injury",
        """
        select scenario, replicate, subject_id, injured_at from patients
        qualify subject_id <> replicate::int8 * 100000000
            + row_number() over (partition by scenario, replicate order by injured_at, subject_id)
        """,
        spans_casualties=True,
    ),
    Invariant(
        "replicate_in_one_batch",
        "all rows of a replicate are in one batch",
        "select scenario, replicate, count(distinct batch) as batches from ("
        + _each(schema.TABLES, "select distinct scenario, replicate, batch from {table}")
        + ") group by scenario, replicate having batches > 1",
        spans_batches=True,
        spans_casualties=True,
    ),
    Invariant(
        "rows_in_order",
        "rows are in order of replicate, then of injury or of the clock, then of casualty",
        " union all by name ".join(
            f"select '{table}' as of_table, scenario, batch, {columns} from {table} "
            "qualify scenario = lag(scenario) over () and batch = lag(batch) over () "
            f"and row({columns}) < row({_before(columns)})"
            for table, columns in ROW_ORDER.items()
        ),
        spans_casualties=True,
    ),
    Invariant(
        "rows_have_a_patient",
        "every injury, event, treatment and observation is of a casualty in patients",
        _each(
            CARED_FOR,
            f"select distinct '{{table}}' as of_table, {KEY} from {{table}} "
            f"anti join patients using ({KEY})",
        ),
    ),
    Invariant(
        "patients_have_a_timeline",
        "every casualty has events",
        f"select {KEY} from patients anti join timeline using ({KEY})",
    ),
)

ORDER: Final = (
    Invariant(
        "times_never_go_back",
        "the events of a casualty are numbered in the order of time",
        f"select {KEY}, event_number, occurred_at, previous_at from steps "
        "where occurred_at < previous_at",
    ),
    Invariant(
        "injured_first",
        "a timeline begins with its only injured event, at the point and time of injury",
        f"""
        select {KEY}, injured, first_event, first_role, first_at, injured_at
        from journeys join patients using ({KEY})
        where injured <> 1 or first_event <> 'injured' or first_role <> 'POI'
            or first_at <> injured_at
        """,
    ),
    Invariant(
        "one_end_last",
        "a timeline ends with its only terminal event",
        f"select {KEY}, ends, last_event from journeys "
        f"where ends <> 1 or last_event not in {TERMINAL}",
    ),
    Invariant(
        "outcome_is_the_last_event",
        "outcome, outcome_at and outcome_facility repeat the last event",
        f"""
        select {KEY}, outcome, last_event, outcome_at, last_at, outcome_facility, last_place
        from patients join journeys using ({KEY})
        where last_at <> outcome_at or last_place is distinct from outcome_facility
            or last_event <> case outcome when 'RTD' then 'returned_to_duty'
                when 'EVACUATED' then 'left_theatre' when 'IN_CARE' then 'clock_ended'
                else 'died' end
        """,
    ),
    Invariant(
        "nothing_after_death",
        "no event, treatment or observation is later than death",
        " union all by name ".join(
            f"select '{table}' as of_table, {KEY}, {time} as at, died_at from {table} "
            f"join journeys using ({KEY}) where {time} > died_at"
            for table, time in TIMES.items()
        ),
    ),
    Invariant(
        "nothing_before_injury",
        "no event, treatment or observation is earlier than the injury",
        " union all by name ".join(
            f"select '{table}' as of_table, {KEY}, {time} as at, injured_at from {table} "
            f"join patients using ({KEY}) where {time} < injured_at"
            for table, time in TIMES.items()
        ),
    ),
    Invariant(
        "surgery_ends_after_it_starts",
        "surgery_ended follows surgery_started, and no surgery starts within another",
        f"""
        select {KEY}, event_number, event_type, last_surgery from steps
        where (event_type = 'surgery_started' and last_surgery is not distinct from event_type)
            or (event_type = 'surgery_ended'
                and last_surgery is distinct from 'surgery_started')
        """,
    ),
)

PLACES: Final = (
    Invariant(
        "arrived_follows_departed",
        "who arrives has departed, and who departs is not already under way",
        f"""
        select {KEY}, event_number, event_type, last_move from steps
        where (event_type = 'arrived' and last_move is distinct from 'departed')
            or (event_type = 'departed' and last_move is not distinct from 'departed')
        """,
    ),
    Invariant(
        "one_place_at_a_time",
        "between arrival and departure every event is at the facility of the arrival",
        f"""
        select {KEY}, event_number, event_type, facility, last_place from steps
        where last_move in ('injured', 'arrived') and event_type <> 'arrived'
            and facility is distinct from last_place
        """,
    ),
    Invariant(
        "treatments_within_a_stay",
        "a treatment is given while the casualty is at its facility",
        f"""
        select {KEY}, treatment_number, given_at, facility, role from treatments as t
        anti join stays as s on s.scenario = t.scenario and s.subject_id = t.subject_id
            and s.role = t.role and (s.role = 'TRANSIT' or s.facility = t.facility)
            and t.given_at between s.from_at and s.until_at
        """,
    ),
    Invariant(
        "observations_within_a_stay",
        "vital signs are taken while the casualty is at that role",
        f"""
        select {KEY}, observed_at, role from observations as o
        anti join stays as s on s.scenario = o.scenario and s.subject_id = o.subject_id
            and s.role = o.role and o.observed_at between s.from_at and s.until_at
        """,
    ),
)


def _differs(minutes: str, time: str) -> str:
    """Return the condition that minutes since injury are not those of a time, either both null."""
    elapsed = f"((epoch({time}) - epoch(injured_at)) / 60)"
    return (
        f"(({minutes} is null) <> ({time} is null) "
        f"or abs({minutes} - {elapsed}) > 1e-4 * greatest({elapsed}, 1))"
    )


OUTCOMES: Final = (
    Invariant(
        "kia_before_any_facility",
        "KIA is a battle injury that never arrived at a facility of Role 1 to 4",
        f"""
        select {KEY}, casualty_class, facility_at from patients join journeys using ({KEY})
        where outcome = 'KIA' and (casualty_class <> 'battle_injury' or facility_at is not null)
        """,
    ),
    Invariant(
        "dow_after_a_facility",
        "DOW is a battle injury that arrived at a facility before death",
        f"""
        select {KEY}, casualty_class, facility_at from patients join journeys using ({KEY})
        where outcome = 'DOW' and (casualty_class <> 'battle_injury' or facility_at is null)
        """,
    ),
    Invariant(
        "dnb_is_not_battle",
        "DNB is of a non-battle injury or a disease",
        f"select {KEY}, casualty_class from patients "
        "where outcome = 'DNB' and casualty_class = 'battle_injury'",
    ),
    Invariant(
        "deaths_have_a_cause",
        "death_cause is given for KIA, DOW and DNB, and for nobody else",
        f"select {KEY}, outcome, death_cause from patients "
        "where (outcome in ('KIA', 'DOW', 'DNB')) <> (death_cause is not null)",
    ),
    Invariant(
        "tourniquet_and_blood_are_treatments",
        "minutes_to_tourniquet is that of the first that worked, blood_units the units given",
        f"""
        with given as (select {KEY},
            min(given_at) filter (treatment = 'tourniquet' and is_effective) as tourniquet_at,
            sum(quantity) filter (treatment = 'whole_blood' and is_effective) as units
            from treatments group by {KEY})
        select {KEY}, injured_at, minutes_to_tourniquet, tourniquet_at, blood_units, units
        from patients left join given using ({KEY})
        where {_differs("minutes_to_tourniquet", "tourniquet_at")}
            or blood_units <> coalesce(units, 0)
        """,
    ),
    Invariant(
        "minutes_follow_from_events",
        "minutes to first care, facility and surgery are those of the timeline, within 0.01%",
        f"""
        select {KEY}, injured_at, minutes_to_first_care, care_at, minutes_to_facility, facility_at,
            minutes_to_surgery, surgery_at
        from patients join journeys using ({KEY})
        where {_differs("minutes_to_first_care", "care_at")}
            or {_differs("minutes_to_facility", "facility_at")}
            or {_differs("minutes_to_surgery", "surgery_at")}
        """,
    ),
)

WORST_BY_REGION: Final = ", ".join(
    f"coalesce(max(ais) filter (body_region = '{region}'), 0)::int"
    for region in vocabulary.BODY_REGIONS
)
SCORED: Final = f"""
    select {KEY}, count(*) as row_count, max(ais)::int as worst,
        list_reverse_sort(list(ais::int)) as any_region,
        list_reverse_sort([{WORST_BY_REGION}]) as by_region
    from injuries group by {KEY}
"""


def _recomputed(column: str, description: str, expression: str) -> Invariant:
    return Invariant(
        f"{column}_is_recomputed",
        description,
        f"""
        with scored as ({SCORED}), compared as (
            select {KEY}, {column} as stated, coalesce({expression}, 0) as computed
            from patients left join scored using ({KEY}))
        select * from compared where stated is distinct from computed
        """,
    )


def _squares(column: str) -> str:
    worst = " + ".join(f"coalesce({column}[{place}], 0) ** 2" for place in (1, 2, 3))
    return f"if(worst = 6, 75, ({worst})::int)"


SCORES: Final = (
    Invariant(
        "iss_is_legal",
        "ISS is one of its 45 values",
        f"select {KEY}, iss from patients where iss not in {LEGAL_ISS}",
    ),
    _recomputed(
        "iss",
        "ISS is the sum of squares of the worst AIS in the three worst of six regions; 6 makes 75",
        _squares("by_region"),
    ),
    _recomputed(
        "niss",
        "NISS is the sum of squares of the three worst injuries; AIS 6 makes 75",
        _squares("any_region"),
    ),
    _recomputed("max_ais", "max_ais is the highest AIS of the injuries", "worst"),
    _recomputed("injury_count", "injury_count is the number of rows in injuries", "row_count"),
    Invariant(
        "niss_not_below_iss",
        "NISS is at least ISS",
        f"select {KEY}, niss, iss from patients where niss < iss",
    ),
    Invariant(
        "primary_condition_is_an_injury",
        "primary_condition_code is the code of one of the casualty's rows in injuries",
        f"select {KEY}, primary_condition_code from patients anti join injuries "
        "on injuries.scenario = patients.scenario and injuries.subject_id = patients.subject_id "
        "and snomed_code = primary_condition_code",
    ),
    Invariant(
        "systolic_not_below_diastolic",
        "systolic pressure is at least diastolic",
        "select * from observations where systolic_mmhg < diastolic_mmhg",
    ),
)

CODED: Final = (
    *(_allowed(table) for table in schema.TABLES.values()),
    Invariant(
        "codes_are_snomed_ct",
        "every clinical code has the shape and the check digit of a SNOMED CT concept",
        "select * from codes where not is_snomed_ct(code)",
    ),
    Invariant(
        "nations_are_known",
        "nationality is a code of ISO 3166-1 alpha-3 that the vocabulary lists",
        f"select distinct nationality from patients where nationality not in {vocabulary.NATIONS}",
    ),
)

# Hours are those since the scenario's start, which may lie at half past or a quarter to.
FIRST_HOURS: Final = """
    select scenario, replicate, min(hour) as first_hour from facility_hours group by all
"""
HOURLY: Final = f"""
    select scenario, replicate, facility,
        time_bucket(interval 1 hour, occurred_at, first_hour) as hour,
        count(*) filter (event_type = 'arrived') as arrived,
        count(*) filter (event_type = 'died') as died,
        count(*) filter (event_type in ('departed', 'returned_to_duty')) as left_alive
    from timeline left join ({FIRST_HOURS}) using (scenario, replicate)
    where event_type in ('arrived', 'died', 'departed', 'returned_to_duty')
        and role <> 'TRANSIT' group by all
"""
# An operation is under way from its start to the next event of who is operated on.
OPERATIONS: Final = """
    select scenario, replicate, facility,
        unnest([occurred_at, ended_at]) as moment, unnest([1, -1]) as change
    from (
        select scenario, replicate, facility, event_type, occurred_at,
            lead(occurred_at) over (
                partition by scenario, replicate, subject_id order by event_number
            ) as ended_at
        from timeline
        where event_type in ('surgery_started', 'surgery_ended', 'died', 'clock_ended')
    ) where event_type = 'surgery_started'
"""
UNDER_OPERATION: Final = f"""
    select scenario, replicate, facility, hour, in_surgery, sum(change) over (
        partition by scenario, replicate, facility order by hour
    ) as under_operation
    from facility_hours full join (
        select scenario, replicate, facility,
            time_bucket(interval 1 hour, moment, first_hour) as hour, sum(change) as change
        from ({OPERATIONS}) left join ({FIRST_HOURS}) using (scenario, replicate) group by all
    ) using (scenario, replicate, facility, hour)
"""
FACILITY_LOAD: Final = (
    Invariant(
        "hours_agree_with_the_timeline",
        "arrivals, departures and deaths of a facility and hour are the events of the timeline",
        f"""
        select scenario, replicate, facility, hour, arrivals, arrived, departures, left_alive,
            deaths, died
        from facility_hours full join ({HOURLY}) using (scenario, replicate, facility, hour)
        where coalesce(arrivals, 0) <> coalesce(arrived, 0)
            or coalesce(departures, 0) <> coalesce(left_alive, 0)
            or coalesce(deaths, 0) <> coalesce(died, 0)
        """,
        spans_casualties=True,
    ),
    Invariant(
        "operations_agree_with_the_timeline",
        "who is in surgery at the end of an hour has begun an operation and not ended it",
        f"""
        select scenario, replicate, facility, hour, in_surgery, under_operation
        from ({UNDER_OPERATION}) where in_surgery <> coalesce(under_operation, 0)
        """,
        spans_casualties=True,
    ),
    Invariant(
        "capacity_is_kept",
        "nobody is operated on without a table, and beds are exceeded only in hours that say so",
        """
        select scenario, replicate, facility, hour, in_surgery, operating_tables, in_beds, beds,
            over_capacity_minutes
        from facility_hours where in_surgery > operating_tables
            or (in_beds > beds and over_capacity_minutes = 0)
        """,
        spans_casualties=True,
    ),
    Invariant(
        "deaths_while_waiting_are_deaths",
        "died_waiting is at most deaths",
        "select scenario, replicate, facility, hour, died_waiting, deaths from facility_hours "
        "where died_waiting > deaths",
        spans_casualties=True,
    ),
)

INVARIANTS: Final = (*KEYS, *ORDER, *PLACES, *OUTCOMES, *SCORES, *CODED, *FACILITY_LOAD)


def check_invariants(
    dataset: Dataset,
    scenario: str | None = None,
    batches: Collection[int] | None = None,
    replicates: Collection[int] | None = None,
) -> list[InvariantResult]:
    """Return how every rule fares over all committed partitions, or those of a scenario's batches.

    Partitions are checked a few at a time and the casualties of a large one in parts, so that
    memory is bounded. Where only some replicates are looked at, all rules go over them at once: it
    is for the caller to name few.
    """
    manifests = dataset.manifests(scenario, batches)
    if not manifests:
        raise DatasetError(f"{dataset.store.url} holds no committed batch")
    found = {rule.name: InvariantResult(rule.name, rule.description, 0, ()) for rule in INVARIANTS}
    for _, of_scenario in itertools.groupby(manifests, key=lambda manifest: manifest.scenario):
        whole = list(of_scenario)
        if replicates is not None:
            _check(dataset, whole, INVARIANTS, found, replicates)
            continue
        _check(dataset, whole, [rule for rule in INVARIANTS if rule.spans_batches], found)
        for some in _at_a_time(whole):
            _check(dataset, some, [rule for rule in INVARIANTS if not rule.spans_batches], found)
    return list(found.values())


def _at_a_time(manifests: Iterable[Manifest]) -> Iterator[list[Manifest]]:
    """Yield runs of partitions, each with no more rows than are checked at a time, or only one."""
    run: list[Manifest] = []
    rows = 0
    for manifest in manifests:
        if run and rows + manifest.rows["timeline"] > ROWS_AT_A_TIME:
            yield run
            run, rows = [], 0
        run.append(manifest)
        rows += manifest.rows["timeline"]
    yield run


def _check(
    dataset: Dataset,
    manifests: Sequence[Manifest],
    rules: Sequence[Invariant],
    found: dict[str, InvariantResult],
    replicates: Collection[int] | None = None,
) -> None:
    """Add what breaks the rules in some partitions of one scenario to what was found so far."""
    batches = [manifest.batch for manifest in manifests]
    rows = sum(manifest.rows["timeline"] for manifest in manifests)
    parts = 1 + rows // ROWS_AT_A_TIME if replicates is None else 1
    with (
        closing(dataset.duckdb(scenario=manifests[0].scenario, batches=batches)) as connection,
        readable_tables(connection),
    ):
        connection.execute("set timezone = 'UTC'")
        connection.create_function("is_snomed_ct", snomed.is_valid, ["VARCHAR"], "BOOLEAN")
        if replicates is not None:
            _show_replicates(connection, replicates)
        _add(connection, [rule for rule in rules if rule.spans_casualties], found)
        of_one = [rule for rule in rules if not rule.spans_casualties]
        for part in range(parts if of_one else 0):
            _show_part(connection, part, parts)
            _add(connection, of_one, found)


def _show_replicates(connection: "DuckDBPyConnection", replicates: Collection[int]) -> None:
    """Let a connection see some replicates; few rows are read once, many by each rule anew."""
    where = f"where replicate in ({', '.join(str(replicate) for replicate in replicates)})"
    counted = connection.execute(f"select count(*) from patients {where}").fetchone()
    kind = "table" if counted is not None and counted[0] <= MOST_HELD else "view"
    for table in schema.TABLES:
        connection.execute(f"create temp {kind} {table} as from memory.main.{table} {where}")


def _show_part(connection: "DuckDBPyConnection", part: int, parts: int) -> None:
    """Let a connection see the rows of one casualty in so many, and what derives from them."""
    if parts > 1:
        for table in ("patients", *CARED_FOR):
            connection.execute(
                f"create or replace temp view {table} as select * from memory.main.{table} "
                f"where subject_id % {parts} = {part}"
            )
    for name, query in DERIVED.items():
        connection.execute(f"create or replace temp table {name} as {query}")


def _add(
    connection: "DuckDBPyConnection",
    rules: Iterable[Invariant],
    found: dict[str, InvariantResult],
) -> None:
    """Add what breaks the rules to what was found so far."""
    for rule in rules:
        violations, sample = _violations(connection, rule)
        before = found[rule.name]
        found[rule.name] = replace(
            before,
            violations=before.violations + violations,
            sample=(*before.sample, *sample)[:SAMPLE],
        )


def _violations(connection: "DuckDBPyConnection", rule: Invariant) -> tuple[int, list[str]]:
    """Return how many rows break a rule, and the first of them as text."""
    counted = connection.execute(f"select count(*) from ({rule.query})").fetchone()
    if counted is None or counted[0] == 0:
        return 0, []
    sampled = connection.execute(
        f"select broken::varchar from ({rule.query}) as broken limit {SAMPLE}"
    )
    return counted[0], [text for (text,) in sampled.fetchall()]
