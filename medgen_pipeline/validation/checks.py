"""The check table: what was published, where, and the query that measures the same in our data.

A check has one part or more. A part passes when its value lies in its band, ends included; a check
passes when all of its parts do. A query returns a row per block or casualty: the block, then the
columns its statistic takes. It sees the tables of `measures.py`.

`basis` says what a pass is worth. "calibrated": a parameter was fitted to, or set to, this very
number, so that agreement shows the fit and no more; a scenario's rates and ages count as such, and
so does every check that a figure of `reference/physiology.toml` names. "emergent": nobody fitted
it; it follows from the other parts.

Targets, bands and sources: medical-anchors section 4.
"""

from dataclasses import dataclass
from typing import Final, Literal

from medgen_pipeline.validation import statistics
from medgen_pipeline.validation.statistics import Statistic

Basis = Literal["calibrated", "emergent"]
Band = tuple[float, float | None]  # least and most; None: no upper bound

COIN: Final = "coin"
SLOW: Final = "coin-slow-evacuation"
CONVENTIONAL: Final = "conventional"
HIGH: Final = "high-intensity"
DRONE: Final = "drone"
STABILISATION: Final = "stabilisation"
SARIN: Final = "sarin"

# The inhaled dose from which the profile is IP-6: AMedP-7.5 as in Benhassine 2023.
FATAL_DOSE_MG_MIN_M3: Final = 30.0


@dataclass(frozen=True, slots=True)
class Part:
    """One number of a check, with the published target and the band that passes."""

    statistic: str
    scenarios: tuple[str, ...]
    unit: str
    target: float
    band: Band
    query: str
    measure: Statistic


@dataclass(frozen=True, slots=True)
class Check:
    """A published statistic, where it stands, and whether anything was fitted to it."""

    id: str
    source: str
    basis: Basis
    parts: tuple[Part, ...]
    counts_days: bool = False  # so that replicates decide it, and patients do not

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenarios it is measured on, each once."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.scenarios))


# Among whom. The wounded are those hit in battle who were not killed in action; the killed in
# action died before any treatment facility.
WOUNDED: Final = "is_battle and outcome <> 'KIA'"
WOUNDED_NOT_BACK: Final = f"{WOUNDED} and not is_back_in_72_hours"
KILLED: Final = "is_battle and outcome = 'KIA'"
EXPLOSION_SURVIVORS: Final = (
    "is_battle and mechanism_group = 'explosion' and not is_dead and has_arrived"
)
HEAD_AND_NECK: Final = "wound_region in ('head', 'eyes', 'ears', 'face', 'neck')"
IN_FOUR_REGIONS: Final = f"({HEAD_AND_NECK} or wound_region in ('thorax', 'abdomen', 'extremity'))"


def _sums(scenario: str, columns: str, among: str, rows: str = "casualties") -> str:
    """Return the query of some aggregates, block by block."""
    return (
        f"select block, {columns} from {rows} "
        f"where scenario = '{scenario}' and {among} group by block"
    )


def _share(scenario: str, part: str, among: str, rows: str = "casualties") -> str:
    return _sums(scenario, f"count(*) filter ({part}), count(*)", among, rows)


def _moments(scenario: str, value: str, among: str, rows: str = "casualties") -> str:
    columns = f"count(*), sum({value}), sum({value}::double * {value})"
    return _sums(scenario, columns, among, rows)


def _region(name: str, where: str, target: float) -> Part:
    return Part(
        f"wounds of the {name}, of those in the four regions",
        (COIN,),
        "%",
        target,
        (target - 3.0, target + 3.0),
        _share(COIN, where, f"{WOUNDED} and {IN_FOUR_REGIONS}", "wounds"),
        statistics.percent,
    )


def _fatality(scenario: str, target: float, band: Band) -> Part:
    return Part(
        "case fatality rate: KIA and DOW among all hit in battle",
        (scenario,),
        "%",
        target,
        band,
        _share(scenario, "is_dead", "is_battle"),
        statistics.percent,
    )


def _not_battle(scenario: str) -> Part:
    return Part(
        "disease and non-battle injury, daily rate",
        (scenario,),
        "per 1,000",
        2.04,
        (1.632, 2.448),
        _sums(scenario, "1000.0 * sum(ill + hurt), sum(strength)", "has_rates", "front_days"),
        statistics.ratio,
    )


def _tourniquet(when: str, condition: str, target: float) -> Part:
    return Part(
        f"survival with a tourniquet {when} shock, bleeding limb and no other lethal wound",
        (COIN,),
        "%",
        target,
        (target - 7.0, target + 7.0),
        _share(COIN, "not is_dead", f"is_battle and is_limb_bleeder and {condition}"),
        statistics.percent,
    )


def _to_surgery(name: str, share: float, target: float) -> Part:
    return Part(
        f"{name} from injury to first surgery, of the wounded who reach it",
        (DRONE,),
        "h",
        target,
        (6.0, 48.0),
        "select block, minutes_to_surgery / 60 from casualties "
        f"where scenario = '{DRONE}' and {WOUNDED} and minutes_to_surgery is not null",
        statistics.quantile(share),
    )


def _torso_deaths(slower: str, faster: str) -> str:
    """Return the query of deaths and all among lethal torso bleeders, of two scenarios."""
    columns = ", ".join(
        f"count(*) filter (scenario = '{scenario}' and {who})"
        for scenario in (slower, faster)
        for who in ("is_dead", "true")
    )
    return (
        f"select block, {columns} from casualties "
        f"where is_battle and is_torso_bleeder and scenario in ('{slower}', '{faster}') "
        "group by block"
    )


def _torso_rise(slower: str, faster: str) -> Part:
    """Return the rise of deaths from one delay to the next; where nearly all die, none is left."""
    return Part(
        "rise of deaths among lethal torso bleeders, slower over faster evacuation",
        (slower, faster),
        "points",
        0.0,
        (-1.0, None),  # one point for noise: our own choice
        _torso_deaths(slower, faster),
        statistics.percent_more,
    )


def _triage(name: str, is_right: str, among: str, target: float) -> Part:
    return Part(
        f"{name} of the first triage for T1, of those hit in battle who reach a facility",
        (COIN,),
        "%",
        target,
        (target - 8.0, target + 8.0),
        _share(COIN, is_right, f"is_battle and has_arrived and {among}"),
        statistics.percent,
    )


CHECKS: Final = (
    Check(
        "O1",
        "Owens 2008, Belmont 2012",
        "calibrated",
        (
            Part(
                "explosions among the wounded",
                (COIN,),
                "%",
                76.0,
                (72.0, 80.0),
                _share(COIN, "mechanism_group = 'explosion'", WOUNDED),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O2",
        "Owens 2008, Belmont 2012",
        "calibrated",
        (
            Part(
                "gunshots among the wounded",
                (COIN,),
                "%",
                19.0,
                (16.0, 22.0),
                _share(COIN, "mechanism_group = 'gunshot'", WOUNDED),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O3",
        "mean of Owens 2008 and Belmont 2012",
        "calibrated",
        (
            _region("head and neck", HEAD_AND_NECK, 28.5),
            _region("thorax", "wound_region = 'thorax'", 8.5),
            _region("abdomen", "wound_region = 'abdomen'", 10.5),
            _region("extremities", "wound_region = 'extremity'", 52.5),
        ),
    ),
    Check(
        "O4",
        "Owens 2008 (4.2), Belmont 2012 (3.8)",
        "calibrated",
        (
            Part(
                "wounds of each wounded not back on duty in 72 hours",
                (COIN,),
                "wounds",
                4.0,
                (3.5, 4.6),
                _sums(COIN, "sum(injury_count), count(*)", WOUNDED_NOT_BACK),
                statistics.ratio,
            ),
        ),
    ),
    Check(
        "O5",
        "Emergency War Surgery 2004",
        "calibrated",
        (
            Part(
                "wounds of the extremities, of all wounds of the wounded",
                (CONVENTIONAL,),
                "%",
                65.0,
                (55.0, 75.0),
                _share(CONVENTIONAL, "wound_region = 'extremity'", WOUNDED, "wounds"),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O6",
        "Howard 2019 (8.6 to 10.1, and 1.5 points more either way)",
        "calibrated",
        (_fatality(COIN, 9.35, (7.1, 11.6)),),
    ),
    Check(
        "O7",
        "Holcomb 2006, Second World War",
        "calibrated",  # severity without armour was fitted to %KIA of the same table
        (_fatality(HIGH, 19.1, (16.0, 22.0)),),
    ),
    Check(
        "O8",
        "Holcomb 2006, Marble 2025",
        "calibrated",
        (
            Part(
                "died of wounds, of the wounded not back on duty in 72 hours",
                (HIGH,),
                "%",
                3.5,
                (2.5, 4.6),
                _share(HIGH, "outcome = 'DOW'", WOUNDED_NOT_BACK),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O9",
        "Eastridge 2012",
        "calibrated",
        (
            Part(
                "before any treatment facility, of deaths from battle injury",
                (COIN,),
                "%",
                87.3,
                (83.3, 91.3),
                _share(COIN, "outcome = 'KIA'", "is_battle and is_dead"),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O10",
        "Eastridge 2012",
        "calibrated",
        (
            Part(
                "potentially survivable, of deaths before any facility",
                (COIN,),
                "%",
                24.3,
                (19.3, 29.3),
                _share(COIN, "is_potentially_survivable", KILLED),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O11",
        "Eastridge 2012",
        "calibrated",
        (
            Part(
                "haemorrhage, of potentially survivable deaths before any facility",
                (COIN,),
                "%",
                90.9,
                (85.9, 95.9),
                _share(
                    COIN, "death_cause = 'haemorrhage'", f"{KILLED} and is_potentially_survivable"
                ),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O12",
        "Falklands 777 to 255, FORECAS 1.77 to 0.68",
        "calibrated",
        (
            Part(
                "wounded for each killed in action",
                (CONVENTIONAL,),
                "to 1",
                3.05,
                (2.4, 4.0),
                _sums(
                    CONVENTIONAL,
                    "count(*) filter (outcome <> 'KIA'), count(*) filter (outcome = 'KIA')",
                    "is_battle",
                ),
                statistics.ratio,
            ),
        ),
    ),
    Check(
        "O13",
        "FORECAS 1998, Falklands infantry",
        "calibrated",
        (
            Part(
                "wounded, daily rate: mean",
                (CONVENTIONAL,),
                "per 1,000",
                1.77,
                (1.593, 1.947),
                _sums(CONVENTIONAL, "sum(wounded_rate), count(*)", "has_rates", "front_days"),
                statistics.ratio,
            ),
            Part(
                "wounded, daily rate: standard deviation",
                (CONVENTIONAL,),
                "per 1,000",
                3.56,
                (2.67, 4.45),
                _moments(CONVENTIONAL, "wounded_rate", "has_rates", "front_days"),
                statistics.deviation,
            ),
        ),
        counts_days=True,
    ),
    Check(
        "O14",
        "FORECAS 1998, Okinawa infantry",
        "calibrated",
        (
            Part(
                "wounded, daily rate: standard deviation over mean, 1 if exponential",
                (HIGH,),
                "times",
                1.0,
                (0.85, 1.15),
                _moments(HIGH, "wounded_rate", "has_rates", "front_days"),
                statistics.relative_deviation,
            ),
        ),
        counts_days=True,
    ),
    Check(
        "O15",
        "FORECAS 1998, combat troops in Vietnam",
        "calibrated",
        tuple(_not_battle(scenario) for scenario in (STABILISATION, CONVENTIONAL, HIGH)),
        counts_days=True,
    ),
    Check(
        "O16",
        "Belmont 2012",
        "calibrated",
        (
            Part(
                "mean age of the wounded",
                (COIN,),
                "years",
                26.0,
                (25.0, 27.0),
                _sums(COIN, "sum(age_years), count(*)", WOUNDED),
                statistics.ratio,
            ),
            Part(
                "men among the wounded",
                (COIN,),
                "%",
                98.8,
                (97.8, 99.8),
                _share(COIN, "sex = 'male'", WOUNDED),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O17",
        "Ritenour 2010",
        "calibrated",
        (
            Part(
                "ISS of explosion survivors who reach a facility: mean",
                (COIN,),
                "points",
                10.0,
                (9.0, 12.0),
                _sums(COIN, "sum(iss), count(*)", EXPLOSION_SURVIVORS),
                statistics.ratio,
            ),
            Part(
                "ISS of explosion survivors who reach a facility: standard deviation",
                (COIN,),
                "points",
                10.0,
                (8.0, 12.0),
                _moments(COIN, "iss", EXPLOSION_SURVIVORS),
                statistics.deviation,
            ),
        ),
    ),
    Check(
        "O18",
        "Kragh 2009",
        "calibrated",
        (
            _tourniquet("before", "tourniquet_before_shock", 90.0),
            _tourniquet("after", "not tourniquet_before_shock", 10.0),
        ),
    ),
    Check(
        "O19",
        "Stevens 2024, Le Monde 2024",
        "calibrated",
        (_to_surgery("median", 0.5, 6.0), _to_surgery("95th percentile", 0.95, 48.0)),
    ),
    Check(
        "O20",
        "Benhassine 2025",
        "emergent",
        (
            Part(
                "deaths among lethal torso bleeders, contested over fast evacuation",
                (DRONE, COIN),
                "times",
                1.3,
                (1.3, None),
                _torso_deaths(DRONE, COIN),
                statistics.ratio_of_ratios,
            ),
            _torso_rise(SLOW, COIN),
            _torso_rise(DRONE, SLOW),
        ),
    ),
    Check(
        "O21",
        "Vassallo 2017, MPTT",
        "calibrated",
        (
            _triage("sensitivity", "triage_assigned = 'T1'", "triage_true = 'T1'", 83.6),
            _triage("specificity", "triage_assigned <> 'T1'", "triage_true <> 'T1'", 51.0),
        ),
    ),
    Check(
        "O22",
        "AMedP-7.5 as in Benhassine 2023",
        "calibrated",
        (
            Part(
                "median time to death, untreated, of a dose of IP-6 (Kaplan-Meier)",
                (SARIN,),
                "min",
                15.0,
                (10.0, 20.0),
                "select block, untreated_minutes, is_dead_untreated from poisoned "
                f"where scenario = '{SARIN}' and dose > {FATAL_DOSE_MG_MIN_M3}",
                statistics.median_survival,
            ),
            Part(
                "deaths of the agent, of doses of IP-1 to IP-5",
                (SARIN,),
                "%",
                0.0,
                (0.0, 0.0),
                _share(SARIN, "is_dead_of_agent", f"dose <= {FATAL_DOSE_MG_MIN_M3}", "poisoned"),
                statistics.percent,
            ),
        ),
    ),
)
