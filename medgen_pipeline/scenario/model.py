"""What a scenario is: every field a planner can set, with its unit, range and default.

Only shape and ranges live here; rules that look at more than one field are in `rules.py`, doubts
in `doubts.py`, the one door in `validation.py`, files and the catalogue in `catalogue.py`, and a
change of size in `scaling.py`.

Types are strict: `true` is not a number, `"5"` is not 5, and NaN or infinity is nothing at all.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

SCHEMA_VERSION: Final = 1
EARLIEST_YEAR: Final = 1900
LATEST_YEAR: Final = 2199
MOST_PATIENTS: Final = 90_000_000  # of a replicate: subjects are numbered in eight digits
MOST_STRENGTH: Final = 100_000_000  # of a front
MOST_VEHICLES: Final = 1_000_000  # of a kind

WarfareType = Literal[
    "conventional", "artillery", "urban", "guerrilla", "drone", "naval", "cbrn", "peacekeeping"
]
EnvironmentCondition = Literal[
    "night_operations",
    "rain",
    "fog",
    "storm",
    "extreme_heat",
    "extreme_cold",
    "dust_storm",
    "mountainous_terrain",
    "urban_debris",
]
Intensity = Literal["low", "medium", "high", "extreme"]
Tempo = Literal["sustained", "escalating", "surge", "declining", "intermittent"]
SpecialEventKind = Literal["major_offensive", "ambush", "mass_casualty"]

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=MOST_VEHICLES)]
Minutes = Annotated[float, Field(gt=0, le=10_080)]
Hours = Annotated[float, Field(gt=0, le=2_160)]
Slug = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen",
    ),
]
Line = Annotated[str, Field(min_length=1, max_length=200)]
Nation = Annotated[
    str, Field(pattern=r"^[A-Z]{3}$", description="three capital letters of ISO 3166-1 alpha-3")
]


def _instant(value: object) -> object:
    """Return ISO 8601 text as a time; anything else is left for the type to judge."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise PydanticCustomError("not_a_time", "not a time") from None
    if isinstance(instant, datetime) and not EARLIEST_YEAR <= instant.year <= LATEST_YEAR:
        raise PydanticCustomError("year_out_of_range", "year out of range")
    return instant


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_instant),
    Field(
        description="a time with its zone, such as 2025-06-01T06:00:00Z, "
        f"in the years {EARLIEST_YEAR} to {LATEST_YEAR}"
    ),
]


class Part(BaseModel):
    """A part of a scenario: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DayRate(Part):
    """How many casualties a day, per 1,000 strength: one draw per front and day."""

    family: Literal["lognormal", "exponential", "constant"]
    mean_per_1000: Annotated[float, Field(ge=0, le=1000)]
    sd_per_1000: Annotated[float, Field(gt=0, le=10_000)] | None = None  # lognormal only
    scaled_by_intensity: bool = False  # by the intensity's patient factor, 0.5 to 2


class Rates(Part):
    """Casualty rates by class, instead of an exact total."""

    battle_injury: DayRate
    non_battle_injury: DayRate
    disease: DayRate


class ClassMix(Part):
    """Share of each class of casualty; the three sum to 1."""

    battle_injury: Share
    non_battle_injury: Share
    disease: Share


class SpecialEvent(Part):
    """An event beyond the ordinary run of days; what is left out is drawn or follows the kind."""

    kind: SpecialEventKind
    day: Annotated[int, Field(ge=1, le=365)] | None = None
    hour: Annotated[int, Field(ge=0, le=23)] | None = None
    casualties: Annotated[int, Field(ge=1, le=MOST_PATIENTS)] | None = None


class HoldHours(Part):
    """Longest hold before a casualty must be moved on, by triage category, hours.

    At Role 1 of the lightly hurt, at Role 2 of all, at Role 3 of who leaves the theatre: whoever
    recovers within the evacuation policy stays there until then.
    """

    T1: Hours
    T2: Hours
    T3: Hours


class FacilityGroup(Part):
    """The facilities of one role: how many, and what each has."""

    units: Annotated[int, Field(ge=0, le=1_000_000)]
    beds: Annotated[int, Field(ge=0, le=1_000_000)]  # per unit
    operating_tables: Annotated[int, Field(ge=0, le=100_000)] = 0  # per unit, with a surgical team
    table_turnover_minutes: Minutes = 30
    surge_factor: Annotated[float, Field(ge=1, le=5)] = 1.0  # beds that can be set up in need
    overflow_at: Annotated[float, Field(gt=0, le=1)] = 0.9  # share of beds taken that diverts
    hold_hours: HoldHours
    has_blood: bool = True


class FrontFacilities(Part):
    """Facility groups a front has of its own; what is left out is as in the scenario's chain."""

    role1: FacilityGroup | None = None
    role2: FacilityGroup | None = None


class FacilityChain(Part):
    """Role 1 and Role 2 for each front; Role 3 shared by all; Role 4 out of theatre."""

    role1: FacilityGroup
    role2: FacilityGroup
    role3: FacilityGroup


class Front(Part):
    """A sector with its own evacuation chain."""

    id: Slug
    name: Line | None = None
    share: Share  # of all casualties; fronts sum to 1
    strength: Annotated[int, Field(ge=1, le=MOST_STRENGTH)] = 5_000  # persons at risk
    nations: dict[Nation, Share]  # sums to 1
    facilities: FrontFacilities = FrontFacilities()

    def chain(self, common: FacilityChain) -> FacilityChain:
        """Return the facilities this front uses: its own, else those common to all."""
        own = {role: group for role, group in self.facilities if group is not None}
        return common.model_copy(update=own)


class Leg(Part):
    """One way between two roles: median minutes by ground and, where flown, by air."""

    ground_minutes: Minutes
    air_minutes: Minutes | None = None


class Vehicles(Part):
    """Vehicles with crews: the first three for each front, the others for the theatre."""

    ground_ambulances: Count = 20  # two litters each
    helicopters: Count = 2  # four litters each
    buses: Count = 3  # thirty walking
    theatre_ambulances: Count = 20  # Role 2 to Role 3
    theatre_helicopters: Count = 2  # Role 2 to Role 3
    strategic_aircraft: Count = 2  # Role 3 to Role 4, twenty


class Threat(Part):
    """Danger to casualties being moved between point of injury and Role 2."""

    ground_loss_probability: Share = 0.0  # that a casualty is hit, per leg
    air_loss_probability: Share = 0.0
    moves_only_in_darkness: bool = False  # the move from the point of injury waits for night
    extraction_delay_minutes: Annotated[float, Field(ge=0, le=10_080)] = (
        0.0  # median, before a move
    )


class Evacuation(Part):
    """How casualties are moved: legs, vehicles, threat and the theatre's evacuation policy."""

    point_of_injury_to_role1: Leg
    point_of_injury_to_role2: Leg
    role1_to_role2: Leg
    role2_to_role3: Leg
    role3_to_role4: Leg
    spread: Annotated[float, Field(ge=0, le=2)] = 0.25  # standard deviation of log travel time
    vehicles: Vehicles = Vehicles()
    threat: Threat = Threat()
    direct_to_surgery_share: Share = 0.5  # of T1 who can be flown to Role 2, past Role 1
    policy_days: Annotated[float, Field(ge=0, le=180)] = 7  # who needs longer leaves the theatre


class CarePolicy(Part):
    """What care is trained for and carried forward."""

    tourniquet_training_share: Share = 0.8  # of soldiers who carry and can apply a tourniquet
    tourniquet_minutes: Minutes = 4  # median from injury, self or buddy
    medic_minutes: Minutes = 10  # median from injury to a combat medic's hands
    casualties_per_medic: Annotated[float, Field(gt=0, le=1000)] = 3  # at one event
    medic_skill: Share = 0.85  # share of life-saving steps a medic gets right
    blood_forward: bool = False  # blood carried on evacuation vehicles
    tranexamic_acid: bool = True
    nerve_agent_antidote: bool = True  # autoinjectors carried
    damage_control_surgery_minutes: Minutes = 96  # median
    definitive_surgery_minutes: Minutes = 150  # median


class Age(Part):
    """Age at injury: minimum + gamma(shape, scale), at most `maximum`, years."""

    minimum: Annotated[int, Field(ge=17, le=60)] = 18
    shape: Annotated[float, Field(gt=0, le=20)] = 1.7
    scale: Annotated[float, Field(gt=0, le=40)] = 4.7
    maximum: Annotated[int, Field(ge=18, le=75)] = 60


class ForceProfile(Part):
    """Who the force is and what it wears."""

    age: Age = Age()
    female_share_battle: Share = 0.02
    female_share_other: Share = 0.10
    body_armour_share: Share = 0.9
    helmet_share: Share = 0.95
    armoured_vehicle_share: Share = 0.2  # of explosive casualties hit inside a vehicle


class Overrides(Part):
    """Expert changes to the model; every factor multiplies, 1 changes nothing."""

    treatment_effectiveness: dict[str, Share] = {}  # by treatment: probability that it works
    diagnostic_accuracy: dict[Literal["POI", "ROLE1", "ROLE2", "ROLE3"], Share] = {}
    wounds_per_casualty_factor: Annotated[float, Field(gt=0, le=5)] = 1.0
    lethality_factor: Annotated[float, Field(ge=0, le=5)] = 1.0  # odds of a graver wound
    bleeding_factor: Annotated[float, Field(ge=0, le=5)] = 1.0


class Scenario(Part):
    """A validated description of an operation: all that decides what is generated."""

    schema_version: Annotated[int, Field(ge=SCHEMA_VERSION, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    id: Slug
    title: Line
    description: Annotated[str, Field(max_length=10_000)] = ""
    category: Line = "general"
    difficulty: Literal["low", "medium", "high", "extreme"] = "medium"

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    start: Instant
    days: Annotated[int, Field(ge=1, le=365)]
    follow_up_days: Annotated[int, Field(ge=0, le=180)] = 14  # the clock runs on, nobody is hurt

    patients: Annotated[int, Field(ge=1, le=MOST_PATIENTS)] | None = None  # exactly one of
    rates: Rates | None = None  # these two
    class_mix: ClassMix | None = None  # with patients; left out: from the warfare types

    warfare: Annotated[
        dict[WarfareType, Annotated[float, Field(gt=0, le=1000)]], Field(min_length=1)
    ]  # weights, of any sum
    intensity: Intensity = "medium"
    tempo: Tempo = "sustained"
    special_events: Annotated[
        tuple[SpecialEvent, ...], Strict(strict=False), Field(max_length=1000)
    ] = ()
    environment: Annotated[tuple[EnvironmentCondition, ...], Strict(strict=False)] = ()

    fronts: Annotated[tuple[Front, ...], Strict(strict=False), Field(min_length=1, max_length=64)]
    facilities: FacilityChain
    evacuation: Evacuation
    care: CarePolicy = CarePolicy()
    force: ForceProfile = ForceProfile()
    overrides: Overrides = Overrides()

    replicates_per_batch: Annotated[int, Field(ge=1, le=10_000)] = 1
    schedule: str | None = None  # cron, UTC
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None  # of a batch; or for ever
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    tenant: Slug = "default"
