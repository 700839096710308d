"""What planners compare between scenarios: fatality, daily rates, return to duty, times to care."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class ScenarioFigures:
    """Figures of one scenario; None where nobody is counted below the line.

    Rates are those of Holcomb et al. 2006. Medians are of battle and non-battle injured who got
    that far, from the injury.
    """

    scenario: str
    replicates: int
    patients: int
    case_fatality_percent: float | None  # KIA and DOW among all hit in battle
    killed_percent: float | None  # %KIA: KIA among KIA and wounded not back within 72 h
    died_of_wounds_percent: float | None  # %DOW: DOW among wounded not back within 72 h
    wounded_per_killed: float | None  # WIA:KIA
    disease_per_1000_per_day: float | None
    non_battle_injury_per_1000_per_day: float | None
    returned_to_duty_percent: float | None  # of all patients
    median_minutes_to_first_care: float | None
    median_minutes_to_facility: float | None
    median_minutes_to_surgery: float | None


QUERY = """
    with held as (select unnest(?::varchar[]) as scenario, unnest(?::bigint[]) as replicates),
    counted as (
        select scenario, count(*) as patients,
            count(*) filter (is_battle) as hit,
            count(*) filter (outcome = 'KIA') as kia,
            count(*) filter (outcome = 'DOW') as dow,
            count(*) filter (is_battle and outcome <> 'KIA' and not is_back_in_72_hours) as wounded,
            count(*) filter (outcome = 'RTD') as returned,
            median(minutes_to_first_care) filter (casualty_class <> 'disease') as care,
            median(minutes_to_facility) filter (casualty_class <> 'disease') as facility,
            median(minutes_to_surgery) filter (casualty_class <> 'disease') as surgery
        from casualties group by all),
    daily as (
        select scenario, 1000 * sum(ill) / sum(strength) as ill,
            1000 * sum(hurt) / sum(strength) as hurt
        from front_days group by all)
    select scenario, replicates, coalesce(patients, 0), 100 * (kia + dow) / nullif(hit, 0),
        100 * kia / nullif(kia + wounded, 0), 100 * dow / nullif(wounded, 0),
        (hit - kia) / nullif(kia, 0), ill, hurt, 100 * returned / nullif(patients, 0),
        care, facility, surgery
    from held left join counted using (scenario) left join daily using (scenario) order by scenario
    """


def scenario_figures(
    connection: "DuckDBPyConnection", replicates: Mapping[str, int]
) -> list[ScenarioFigures]:
    """Return the figures of scenarios, of so many replicates each, by name.

    Replicates are given, not counted: one without a casualty has no row.
    """
    held = [list(replicates), list(replicates.values())]
    return [ScenarioFigures(*row) for row in connection.execute(QUERY, held).fetchall()]
