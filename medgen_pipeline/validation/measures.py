"""The views that checks measure on: casualties with what is asked of them, wounds, front days."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from medgen_pipeline.dataset.manifest import Manifest
from medgen_pipeline.dataset.summary import BACK_IN_72_HOURS, BATTLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A casualty whose antidote or ventilation worked is treated from then on.
STOPS_POISON: Final = "('nerve_agent_antidote', 'ventilation')"

VIEWS: Final = {
    # A block is one day of one replicate.
    "lethal_bleeding": """
        select scenario, subject_id,
            bool_or(bleeding_site = 'truncal') as is_torso_bleeder,
            bool_and(bleeding_site = 'extremity') as only_limb_bleeds
        from injuries where is_lethal group by scenario, subject_id
        """,
    "casualties": f"""
        select patients.*, replicate * 1000::bigint + day as block,
            {BATTLE} as is_battle,
            {BACK_IN_72_HOURS} as is_back_in_72_hours,
            minutes_to_facility is not null as has_arrived,
            coalesce(is_torso_bleeder, false) and max_ais < 6 as is_torso_bleeder,
            coalesce(only_limb_bleeds, false) as only_limb_bleeds
        from patients left join lethal_bleeding using (scenario, subject_id)
        """,
    "wounds": """
        select injuries.wound_region, casualties.scenario, block, is_battle, outcome
        from injuries join casualties using (scenario, subject_id)
        """,
    "front_days": """
        select calendar.scenario, block, strength,
            count(*) filter (is_battle and outcome <> 'KIA') as wounded,
            count(*) filter (not is_battle) as not_battle,
            1000.0 * wounded / strength as wounded_rate
        from calendar left join casualties using (scenario, block, front)
        group by calendar.scenario, block, front, strength
        """,
    "poisoned": f"""
        with treated as (
            select scenario, subject_id, min(given_at) as treated_at
            from treatments where is_effective and treatment in {STOPS_POISON} group by all)
        select scenario, block, is_fatal_dose,
            least(outcome_at, coalesce(treated_at, outcome_at)) as ended_at,
            epoch(ended_at - injured_at) / 60 as minutes_poisoned,
            (death_cause is not distinct from 'chemical' and ended_at = outcome_at)::double
                as died_poisoned
        from casualties left join treated using (scenario, subject_id)
            join (select scenario, subject_id, bool_or(is_lethal) as is_fatal_dose from injuries
                where wound_type = 'poisoning' group by all) using (scenario, subject_id)
        where mechanism_group = 'chemical'
        """,
}


def prepare(connection: "DuckDBPyConnection", manifests: Sequence[Manifest]) -> None:
    """Give a connection to a dataset the views that checks measure on."""
    connection.execute(
        "create temp table calendar as select unnest(from_json(?, "
        """'[{"scenario":"VARCHAR","front":"VARCHAR","strength":"DOUBLE","days":"INTEGER","""
        """"first":"BIGINT","last":"BIGINT"}]')) as batch""",
        [json.dumps([row for manifest in manifests for row in _fronts(manifest)])],
    )
    connection.execute("""
        create or replace temp table calendar as
        select scenario, front, strength, replicate * 1000 + day as block from (
            select batch.*, unnest(range(batch.first, batch.last + 1)) as replicate from calendar),
            (select unnest(range(1, 366)) as day) where day <= days
    """)
    for name, query in VIEWS.items():
        connection.execute(f"create temp view {name} as {query}")


def _fronts(manifest: Manifest) -> list[dict[str, Any]]:
    """Return the fronts of a batch with rates, over whose days casualties are counted."""
    scenario = manifest.resolved_scenario
    if scenario["rates"] is None:
        return []
    return [
        {
            "scenario": manifest.scenario,
            "front": front["id"],
            "strength": front["strength"],
            "days": scenario["days"],
            "first": manifest.first_replicate,
            "last": manifest.last_replicate,
        }
        for front in scenario["fronts"]
    ]
