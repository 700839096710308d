"""How casualties fall over time: the tables of `warfare.toml`, read and checked once.

Hours are hours of the clock (0 to 23), local to the scenario. What is made of these figures for one
scenario is in `simulation.timing`; what is done to whom is elsewhere.
"""

import functools
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from medgen_pipeline.reference import vocabulary

HOURS_PER_DAY = 24
ALL_HOURS = frozenset(range(HOURS_PER_DAY))


@dataclass(frozen=True, slots=True)
class WeightedHours:
    """Every hour has its weight; `weights` from hour 0."""

    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Surges:
    """A few barrages a day hold an exact share of its casualties."""

    surges: int
    length_hours: int
    start_hours: tuple[int, ...]
    apart_hours: int  # starts lie further apart than this
    share: float
    surge_factor_range: tuple[float, float]
    other_factor_range: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Incidents:
    """A few incidents a day share its casualties evenly; `weights` from hour 0."""

    fewest: int
    most: int
    weights: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Contamination:
    """One release a day; part fall ill at once, most later."""

    release_weights: tuple[float, ...]  # from hour 0
    exposure_hours: int
    delayed_share: float
    delays_hours: tuple[float, ...]  # medians, equally likely
    spread: float  # geometric standard deviation of each delay


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """An incident in each of some hours with a probability; `weights` from hour 0."""

    probability: float
    weights: tuple[float, ...]  # of the casualties of an incident; 0 where none can happen


Pattern = WeightedHours | Surges | Incidents | Contamination | WorkingHours


@dataclass(frozen=True, slots=True)
class MassCasualty:
    """Mass-casualty events of a warfare type."""

    probability: float  # per active hour, at medium intensity
    fewest: int
    most: int
    spread_minutes: float  # from the first to the last casualty, at most


@dataclass(frozen=True, slots=True)
class WarfareType:
    """One kind of fighting."""

    name: str
    daily_weight: float  # casualties a day, relative to conventional
    class_factor: tuple[float, ...]  # in the order of CASUALTY_CLASSES
    mass_casualty: MassCasualty
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Intensity:
    """What an intensity changes."""

    mass_casualty_factor: float
    patient_factor: float


@dataclass(frozen=True, slots=True)
class SpecialEventRule:
    """When a kind of special event happens of itself, and how large it is."""

    days: tuple[int, ...]  # from 1; empty when each day has a probability instead
    daily_probability: float
    start_hours: tuple[int, ...]
    share_low: float  # of the day's battle casualties
    share_high: float
    persons_cap: int | None
    length_hours: int
    incident_persons: int  # the most in one incident


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of the environment; the number of its bit is its place in the tuple."""

    name: str
    visibility: float  # share of clear visibility
    casualty_factor: float
    evacuation_delay_minutes: float
    grounds_aircraft: bool
    hours: frozenset[int]  # in which it holds


@dataclass(frozen=True, slots=True)
class Warfare:
    """All of `warfare.toml`; tuples over a closed list of words are in its order."""

    hour_activity: tuple[float, ...]
    class_mix: tuple[float, ...]
    group_fewest: int
    group_most: int
    group_spread_seconds: int
    mass_casualty_above_persons: int
    types: tuple[WarfareType, ...]
    individual_hours: Mapping[str, tuple[float, ...]]  # by class, from hour 0
    tempo: Mapping[str, tuple[float, ...]]  # weights from day 1, the last repeated
    tempo_share: tuple[float, ...]  # how far each class follows the tempo
    intensity: Mapping[str, Intensity]
    special_events: Mapping[str, SpecialEventRule]
    special_incident_spread_minutes: float
    discovery_visibility_below: float
    conditions: tuple[Condition, ...]

    def dark_hours(self) -> frozenset[int]:
        """Return the hours of darkness."""
        return self.conditions[vocabulary.ENVIRONMENT_CONDITIONS.index("night_operations")].hours

    def flags_at(self, conditions: Iterable[str], hour: int) -> int:
        """Return the bits of those of some conditions that hold in an hour."""
        wanted = frozenset(conditions)
        return sum(
            1 << bit
            for bit, condition in enumerate(self.conditions)
            if condition.name in wanted and hour in condition.hours
        )

    def holding(self, flags: int) -> tuple[Condition, ...]:
        """Return the conditions whose bits are set."""
        return tuple(c for bit, c in enumerate(self.conditions) if flags >> bit & 1)


@functools.cache
def warfare() -> Warfare:
    """Return the tables of warfare and environment."""
    text = resources.files("medgen_pipeline.reference").joinpath("warfare.toml").read_text()
    data = tomllib.loads(text)
    activity = _by_hour(data["hour_activity"])
    return Warfare(
        hour_activity=activity,
        class_mix=_in_order(vocabulary.CASUALTY_CLASSES, data["class_mix"]),
        group_fewest=data["group_persons"][0],
        group_most=data["group_persons"][1],
        group_spread_seconds=data["group_spread_seconds"],
        mass_casualty_above_persons=data["mass_casualty_above_persons"],
        types=tuple(
            _warfare_type(name, fields, activity)
            for name, fields in _checked(vocabulary.WARFARE_TYPES, data["types"]).items()
        ),
        individual_hours={k: _by_hour(v) for k, v in data["individual_hours"].items()},
        tempo={k: tuple(v) for k, v in _checked(vocabulary.TEMPOS, data["tempo"]).items()},
        tempo_share=_in_order(vocabulary.CASUALTY_CLASSES, data["tempo_share"]),
        intensity={
            k: Intensity(**v)
            for k, v in _checked(vocabulary.INTENSITIES, data["intensity"]).items()
        },
        special_events={
            k: _special_event(v)
            for k, v in _checked(vocabulary.SPECIAL_EVENTS, data["special_events"]).items()
        },
        special_incident_spread_minutes=data["special_incident"]["spread_minutes"],
        discovery_visibility_below=data["discovery"]["visibility_below"],
        conditions=tuple(
            _condition(name, fields)
            for name, fields in _checked(
                vocabulary.ENVIRONMENT_CONDITIONS, data["environment"]
            ).items()
        ),
    )


def _checked(words: tuple[str, ...], table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a table that has exactly the words of a closed list, in its order."""
    if tuple(table) != words:
        raise ValueError(f"warfare.toml lists {', '.join(table)}; must be {', '.join(words)}")
    return table


def _in_order(words: tuple[str, ...], table: Mapping[str, float]) -> tuple[float, ...]:
    return tuple(_checked(words, table).values())


def _by_hour(values: list[float]) -> tuple[float, ...]:
    if len(values) != HOURS_PER_DAY:
        raise ValueError(f"warfare.toml has {len(values)} values where it needs one for each hour")
    return tuple(values)


def _warfare_type(name: str, fields: Mapping[str, Any], activity: tuple[float, ...]) -> WarfareType:
    cluster = fields["mass_casualty"]
    pattern = dict(fields["pattern"])
    return WarfareType(
        name=name,
        daily_weight=fields["daily_weight"],
        class_factor=_in_order(vocabulary.CASUALTY_CLASSES, fields["class_factor"]),
        mass_casualty=MassCasualty(
            probability=cluster["probability"],
            fewest=cluster["persons"][0],
            most=cluster["persons"][1],
            spread_minutes=cluster["spread_minutes"],
        ),
        pattern=_PATTERNS[pattern.pop("kind")](pattern, activity),
    )


def _weighted(fields: Mapping[str, Any], activity: tuple[float, ...]) -> Pattern:
    return WeightedHours(_times(activity, _factors(fields)))


def _surges(fields: Mapping[str, Any], _: tuple[float, ...]) -> Pattern:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return Surges(**values)


def _incidents(fields: Mapping[str, Any], activity: tuple[float, ...]) -> Pattern:
    factors = _factors(fields)
    weights = _times(activity, factors) if fields["uses_hour_activity"] else factors
    fewest, most = fields["incidents"]
    return Incidents(fewest, most, weights)


def _contamination(fields: Mapping[str, Any], activity: tuple[float, ...]) -> Pattern:
    return Contamination(
        release_weights=activity,
        exposure_hours=fields["exposure_hours"],
        delayed_share=fields["delayed_share"],
        delays_hours=tuple(fields["delays_hours"]),
        spread=fields["spread"],
    )


def _working_hours(fields: Mapping[str, Any], _: tuple[float, ...]) -> Pattern:
    crowd = dict.fromkeys(fields["crowd_hours"], fields["crowd_factor"])
    hours = frozenset(fields["hours"])
    weights = tuple(crowd.get(h, 1.0) if h in hours else 0.0 for h in range(HOURS_PER_DAY))
    return WorkingHours(fields["probability"], weights)


_PATTERNS: Mapping[str, Callable[[Mapping[str, Any], tuple[float, ...]], Pattern]] = {
    "weighted": _weighted,
    "surge": _surges,
    "incidents": _incidents,
    "contamination": _contamination,
    "working_hours": _working_hours,
}


def _factors(fields: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the factor of each hour: that of its list, otherwise the common one."""
    by_hour = {hour: part["factor"] for part in fields["factors"] for hour in part["hours"]}
    return tuple(by_hour.get(hour, fields["otherwise"]) for hour in range(HOURS_PER_DAY))


def _times(a: tuple[float, ...], b: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(x * y for x, y in zip(a, b, strict=True))


def _special_event(fields: Mapping[str, Any]) -> SpecialEventRule:
    return SpecialEventRule(
        days=tuple(fields.get("days", ())),
        daily_probability=fields.get("daily_probability", 0.0),
        start_hours=tuple(fields["start_hours"]),
        share_low=fields["share"][0],
        share_high=fields["share"][1],
        persons_cap=fields.get("persons_cap"),
        length_hours=fields["length_hours"],
        incident_persons=fields["incident_persons"],
    )


def _condition(name: str, fields: Mapping[str, Any]) -> Condition:
    return Condition(
        name=name,
        visibility=fields["visibility"],
        casualty_factor=fields["casualty_factor"],
        evacuation_delay_minutes=fields["evacuation_delay_minutes"],
        grounds_aircraft=fields.get("grounds_aircraft", False),
        hours=frozenset(fields.get("hours", ALL_HOURS)),
    )
