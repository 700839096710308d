"""What checks measure on: casualties with what is asked of them, their wounds, the days of fronts.

A block is one day of one replicate, numbered `replicate * 1000 + day`: a scenario has at most 365
days.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.summary import BACK_IN_72_HOURS, BATTLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Who has had one of these, and it worked, is treated for nerve agent from then on.
AGENT_TREATMENTS: Final = "('nerve_agent_antidote', 'ventilation')"

TABLES: Final[Mapping[str, str]] = {
    # One row per casualty.
    "casualties": f"""
        with lethal as (
            select scenario, subject_id, bool_or(bleeding_site = 'truncal') as bleeds_in_torso,
                bool_and(bleeding_site = 'extremity') as bleeds_from_limb
            from injuries where is_lethal group by all)
        select scenario, subject_id, replicate * 1000::bigint + day as block, front,
            {BATTLE} as is_battle, casualty_class, mechanism_group, sex, age_years, injury_count,
            iss, triage_true, triage_assigned, is_potentially_survivable, outcome, death_cause,
            minutes_to_first_care, minutes_to_facility, minutes_to_surgery,
            tourniquet_before_shock, chemical_dose_mg_min_m3, injured_at, outcome_at,
            {BACK_IN_72_HOURS} as is_back_in_72_hours,
            outcome in ('KIA', 'DOW', 'DNB') as is_dead,
            minutes_to_facility is not null as has_arrived,
            max_ais < 6 and coalesce(bleeds_in_torso, false) as is_torso_bleeder,
            coalesce(bleeds_from_limb, false) as is_limb_bleeder
        from patients left join lethal using (scenario, subject_id)
        """,
    # One row per wound of a battle injury.
    "wounds": """
        select casualties.scenario, block, is_battle, outcome, wound_region
        from injuries join casualties using (scenario, subject_id) where is_battle
        """,
    # One row per replicate, day and front, those without a casualty included.
    "front_days": """
        select calendar.scenario, calendar.block, strength, has_rates,
            count(*) filter (is_battle and outcome <> 'KIA') as wounded,
            count(*) filter (casualty_class = 'disease') as ill,
            count(*) filter (casualty_class = 'non_battle_injury') as hurt,
            1000.0 * wounded / strength as wounded_rate
        from calendar left join casualties using (scenario, block, front)
        group by calendar.scenario, calendar.block, front, strength, has_rates
        """,
    # One row per casualty of a nerve agent: minutes until death or treatment, and which it was.
    "poisoned": f"""
        with treated as (
            select scenario, subject_id, min(given_at) as treated_at
            from treatments where is_effective and treatment in {AGENT_TREATMENTS} group by all)
        select scenario, block, chemical_dose_mg_min_m3 as dose,
            least(outcome_at, coalesce(treated_at, outcome_at)) as ended_at,
            epoch(ended_at - injured_at) / 60 as untreated_minutes,
            death_cause is not distinct from 'chemical' as is_dead_of_agent,
            (is_dead_of_agent and ended_at = outcome_at)::double as is_dead_untreated
        from casualties left join treated using (scenario, subject_id)
        where chemical_dose_mg_min_m3 is not null
        """,
}
CALENDAR: Final = """
    create temp table calendar as
    select scenario, front, strength, has_rates, replicate * 1000 + day as block
    from (select *, unnest(range(first_replicate, last_replicate + 1)) as replicate
            from (select unnest(from_json(?, '[{"scenario": "VARCHAR", "front": "VARCHAR",
                "strength": "DOUBLE", "days": "INTEGER", "has_rates": "BOOLEAN",
                "first_replicate": "BIGINT", "last_replicate": "BIGINT"}]'), recursive := true))),
        (select unnest(range(1, 366)) as day)
    where day <= days
    """


def prepare(connection: "DuckDBPyConnection", manifests: Sequence[Manifest]) -> None:
    """Give a connection to these partitions the tables that checks measure on."""
    fronts = [row for manifest in manifests for row in _fronts(manifest)]
    connection.execute(CALENDAR, [json.dumps(fronts)])
    for name, query in TABLES.items():
        connection.execute(f"create temp table {name} as {query}")


def _fronts(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the fronts of a batch, with who is at risk there and for how long."""
    scenario = manifest.resolved_scenario
    return [
        {
            "scenario": manifest.scenario,
            "front": front["id"],
            "strength": front["strength"],
            "days": scenario["days"],
            "has_rates": scenario.get("rates") is not None,
            "first_replicate": manifest.first_replicate,
            "last_replicate": manifest.last_replicate,
        }
        for front in scenario.get("fronts", ())
    ]
