"""The check table: what was published, where, and the query that measures the same in our data.

A check may have parts; it passes when the value of every part lies in the band of that part, ends
included. A query returns one row a block or casualty: the block first (one day of one replicate),
then the columns its statistic takes. It sees the views of `measures.py`.

`basis` says what a pass is worth. "calibrated": a parameter was fitted to this very number, so that
agreement shows the fit and no more. "emergent": nobody fitted it; it follows from other parts.
"""

from dataclasses import dataclass
from typing import Final, Literal

from medgen_pipeline.validation import statistics
from medgen_pipeline.validation.statistics import Statistic

Basis = Literal["calibrated", "emergent"]

COIN: Final = "coin"
SLOW: Final = "coin-slow-evacuation"
CONVENTIONAL: Final = "conventional"
HIGH: Final = "high-intensity"
DRONE: Final = "drone"
STABILISATION: Final = "stabilisation"
SARIN: Final = "sarin"


@dataclass(frozen=True, slots=True)
class Part:
    """One number of a check: the published target and the band a value must lie in to pass."""

    statistic: str
    scenarios: tuple[str, ...]
    unit: str
    target: float
    least: float
    most: float | None  # None: no upper bound
    query: str
    measure: Statistic


@dataclass(frozen=True, slots=True)
class Check:
    """A published statistic, where it was read, and whether anything was fitted to it."""

    id: str
    source: str
    basis: Basis
    parts: tuple[Part, ...]


def _counted(scenario: str, columns: str, among: str, rows: str = "casualties") -> str:
    """Return the query of some aggregates over the casualties of a scenario, block by block."""
    return f"""
        select block, {columns} from {rows} where scenario = '{scenario}' and {among} group by block
        """


def _share(scenario: str, part: str, among: str, rows: str = "casualties") -> str:
    return _counted(scenario, f"count(*) filter ({part}), count(*)", among, rows)


def _moments(scenario: str, value: str, among: str, rows: str = "casualties") -> str:
    columns = f"count(*), sum({value}), sum(({value}) * ({value}))"
    return _counted(scenario, columns, among, rows)


# Those who were hit and not killed in action; the killed are in `battle` only.
WOUNDED: Final = "is_battle and outcome <> 'KIA'"
NOT_BACK: Final = f"{WOUNDED} and not is_back_in_72_hours"
KILLED: Final = "is_battle and outcome = 'KIA'"
DEAD: Final = "outcome in ('KIA', 'DOW', 'DNB')"
IN_EXPLOSION: Final = f"{WOUNDED} and mechanism_group = 'explosion' and not {DEAD} and has_arrived"
HEAD_AND_NECK: Final = "wound_region in ('head', 'eyes', 'ears', 'face', 'neck')"
FOUR_REGIONS: Final = f"({HEAD_AND_NECK} or wound_region in ('thorax', 'abdomen', 'extremity'))"


def _region(name: str, where: str, target: float) -> Part:
    return Part(
        f"{name}: share of the wounds of wounded casualties in the four regions",
        (COIN,),
        "%",
        target,
        target - 3.0,
        target + 3.0,
        _share(COIN, where, f"{WOUNDED} and {FOUR_REGIONS}", "wounds"),
        statistics.percent,
    )


def _disease_rate(scenario: str) -> Part:
    return Part(
        "disease and non-battle injury per 1,000 strength and day",
        (scenario,),
        "per 1,000 and day",
        2.04,
        2.04 * 0.8,
        2.04 * 1.2,
        _counted(scenario, "1000.0 * sum(not_battle), sum(strength)", "true", "front_days"),
        statistics.ratio,
    )


def _tourniquet(when: str, condition: str, target: float) -> Part:
    return Part(
        f"survival with a tourniquet {when} shock, isolated bleeding limb",
        (COIN,),
        "%",
        target,
        target - 7.0,
        target + 7.0,
        _share(
            COIN,
            f"not {DEAD}",
            f"is_battle and only_limb_bleeds and {condition}",
        ),
        statistics.percent,
    )


def _triage(name: str, right: str, among: str, target: float) -> Part:
    return Part(
        f"{name} of triage as assigned for true T1, battle injured who reach a facility",
        (COIN,),
        "%",
        target,
        target - 8.0,
        target + 8.0,
        _share(COIN, right, f"is_battle and has_arrived and {among}"),
        statistics.percent,
    )


def _surgery(name: str, share: float, target: float, least: float, most: float) -> Part:
    return Part(
        f"{name} from injury to first surgery, battle injured who reach it",
        (DRONE,),
        "h",
        target,
        least,
        most,
        f"""
        select block, minutes_to_surgery / 60 from casualties
        where scenario = '{DRONE}' and is_battle and minutes_to_surgery is not null
        """,
        statistics.quantile(share),
    )


def _torso(later: str, sooner: str, least: float) -> Part:
    """Return how many times as many torso bleeders die in the slower of two scenarios."""
    among = "is_battle and is_torso_bleeder"
    return Part(
        f"deaths among lethal torso bleeders, AIS to 5: {later} over {sooner}",
        (later, sooner),
        "times",
        least,
        least,
        None,
        f"""
        select block, count(*) filter (scenario = '{later}' and {DEAD}),
            count(*) filter (scenario = '{later}'),
            count(*) filter (scenario = '{sooner}' and {DEAD}),
            count(*) filter (scenario = '{sooner}')
        from casualties where {among} and scenario in ('{later}', '{sooner}') group by block
        """,
        statistics.ratio_of_ratios,
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
                72.0,
                80.0,
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
                16.0,
                22.0,
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
            _region("extremity", "wound_region = 'extremity'", 52.5),
        ),
    ),
    Check(
        "O4",
        "Owens 2008 (4.2), Belmont 2012 (3.8)",
        "calibrated",
        (
            Part(
                "wounds per wounded casualty not back in 72 hours",
                (COIN,),
                "wounds",
                4.0,
                3.5,
                4.6,
                _counted(COIN, "sum(injury_count), count(*)", NOT_BACK),
                statistics.ratio,
            ),
        ),
    ),
    Check(
        "O5",
        "Emergency War Surgery 2004, eleven conflicts",
        "calibrated",
        (
            Part(
                "extremity: share of all wounds of wounded casualties",
                (CONVENTIONAL,),
                "%",
                65.0,
                55.0,
                75.0,
                _share(CONVENTIONAL, "wound_region = 'extremity'", WOUNDED, "wounds"),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O6",
        "Howard 2019: 8.6 to 10.1, each with 1.5 points",
        "calibrated",
        (
            Part(
                "case fatality rate: KIA and DOW among all battle injured",
                (COIN,),
                "%",
                9.35,
                7.1,
                11.6,
                _share(COIN, DEAD, "is_battle"),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O7",
        "Holcomb 2006, Second World War",
        "emergent",
        (
            Part(
                "case fatality rate: KIA and DOW among all battle injured",
                (HIGH,),
                "%",
                19.1,
                16.0,
                22.0,
                _share(HIGH, DEAD, "is_battle"),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O8",
        "Holcomb 2006, Marble 2025",
        "emergent",
        (
            Part(
                "died of wounds among the wounded not back in 72 hours",
                (HIGH,),
                "%",
                3.5,
                2.5,
                4.6,
                _share(HIGH, "outcome = 'DOW'", NOT_BACK),
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
                "deaths of battle injury before any treatment facility",
                (COIN,),
                "%",
                87.3,
                83.3,
                91.3,
                _share(COIN, "outcome = 'KIA'", f"is_battle and {DEAD}"),
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
                "potentially survivable among deaths before any facility",
                (COIN,),
                "%",
                24.3,
                19.3,
                29.3,
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
                "haemorrhage among potentially survivable deaths before any facility",
                (COIN,),
                "%",
                90.9,
                85.9,
                95.9,
                _share(
                    COIN, "death_cause = 'haemorrhage'", f"{KILLED} and is_potentially_survivable"
                ),
                statistics.percent,
            ),
        ),
    ),
    Check(
        "O12",
        "Falklands 777 to 255; FORECAS 1.77 to 0.68",
        "emergent",
        (
            Part(
                "wounded for each killed in action",
                (CONVENTIONAL,),
                "to 1",
                3.05,
                2.4,
                4.0,
                _counted(
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
        "FORECAS (Blood, Zouris, Rotblatt 1998), Falklands infantry",
        "calibrated",
        (
            Part(
                "wounded per 1,000 strength and day: mean",
                (CONVENTIONAL,),
                "per 1,000 and day",
                1.77,
                1.77 * 0.9,
                1.77 * 1.1,
                _counted(CONVENTIONAL, "sum(wounded_rate), count(*)", "true", "front_days"),
                statistics.ratio,
            ),
            Part(
                "wounded per 1,000 strength and day: standard deviation over days",
                (CONVENTIONAL,),
                "per 1,000 and day",
                3.56,
                3.56 * 0.75,
                3.56 * 1.25,
                _moments(CONVENTIONAL, "wounded_rate", "true", "front_days"),
                statistics.deviation,
            ),
        ),
    ),
    Check(
        "O14",
        "FORECAS (Blood, Zouris, Rotblatt 1998), Okinawa infantry",
        "calibrated",
        (
            Part(
                "wounded per 1,000 strength and day: standard deviation over mean",
                (HIGH,),
                "times",
                1.0,
                0.85,
                1.15,
                _moments(HIGH, "wounded_rate", "true", "front_days"),
                statistics.relative_deviation,
            ),
        ),
    ),
    Check(
        "O15",
        "FORECAS (Blood, Zouris, Rotblatt 1998), combat troops in Vietnam",
        "calibrated",
        tuple(_disease_rate(scenario) for scenario in (CONVENTIONAL, HIGH, STABILISATION)),
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
                25.0,
                27.0,
                _counted(COIN, "sum(age_years), count(*)", WOUNDED),
                statistics.ratio,
            ),
            Part(
                "men among the wounded",
                (COIN,),
                "%",
                98.8,
                97.8,
                99.8,
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
                "mean ISS of explosion survivors who reach a facility",
                (COIN,),
                "points",
                10.0,
                9.0,
                12.0,
                _counted(COIN, "sum(iss), count(*)", IN_EXPLOSION),
                statistics.ratio,
            ),
            Part(
                "standard deviation of ISS of explosion survivors who reach a facility",
                (COIN,),
                "points",
                10.0,
                8.0,
                12.0,
                _moments(COIN, "iss::double", IN_EXPLOSION),
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
        "emergent",
        (
            _surgery("median time", 0.5, 6.0, 6.0, 48.0),
            _surgery("95th percentile of the time", 0.95, 48.0, 6.0, 48.0),
        ),
    ),
    Check(
        "O20",
        "Benhassine 2025",
        "emergent",
        (_torso(DRONE, COIN, 1.3), _torso(SLOW, COIN, 1.0), _torso(DRONE, SLOW, 1.0)),
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
                "median time to death of a fatal dose (IP-6) untreated",
                (SARIN,),
                "min",
                15.0,
                10.0,
                20.0,
                f"""
                select block, minutes_poisoned, died_poisoned from poisoned
                where scenario = '{SARIN}' and is_fatal_dose
                """,
                statistics.median_survival,
            ),
        ),
    ),
)
