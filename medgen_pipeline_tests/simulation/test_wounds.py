"""What the wounds of many casualties add up to.

Proportions are tested with weight: `share` gives an interval of four standard errors, casualties
being the units drawn, and a test asks that all of it lies within the published tolerance. With the
numbers used here the interval is at most a third of the tolerance: a true value in the middle two
thirds of it passes but for one seed in ten thousand, and one outside it as good as never.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medgen_pipeline.reference import conditions, vocabulary
from medgen_pipeline.scenario.model import ForceProfile, Overrides
from medgen_pipeline.simulation import scores, streams
from medgen_pipeline.simulation.wound_tables import MOST_WOUNDS, tables_for
from medgen_pipeline.simulation.wounds import inflict_many

Bools = npt.NDArray[np.bool_]
MANY = 100_000
KEY = streams.replicate_key(20_240_607, 0)

BARE = ForceProfile(body_armour_share=0, helmet_share=0, armoured_vehicle_share=0)
HELMETED = ForceProfile(body_armour_share=0, helmet_share=1, armoured_vehicle_share=0)
ARMOURED = ForceProfile(body_armour_share=0.9, helmet_share=0.95, armoured_vehicle_share=0.2)
MOUNTED = ForceProfile(armoured_vehicle_share=1)
BATTLE, ACCIDENT, ILLNESS = range(3)


class Casualties(NamedTuple):
    """Casualties and their wounds, `whose` giving the casualty of each wound."""

    people: npt.NDArray[np.void]
    wounds: npt.NDArray[np.void]
    offsets: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """How many wounds each has."""
        return np.diff(self.offsets)

    @property
    def whose(self) -> npt.NDArray[np.int64]:
        """The casualty of each wound."""
        return np.repeat(np.arange(len(self.people)), self.counts)

    def group(self, name: str) -> Bools:
        """Return who was hurt by a group of mechanisms."""
        return np.asarray(self.people["mechanism_group"] == group_code(name))

    def survivable(self) -> Bools:
        """Return who has no wound of AIS 6: nearly all who live to be counted as wounded."""
        return np.asarray(self.people["max_ais"] < 6)


def group_code(name: str) -> int:
    """Return the code of a group of mechanisms."""
    return vocabulary.MECHANISM_GROUPS.index(name)


def hurt(
    warfare: str,
    force: ForceProfile = ARMOURED,
    *,
    casualty_class: int = BATTLE,
    environment: Sequence[str] = (),
    overrides: Overrides | None = None,
    subjects: npt.NDArray[np.int64] | None = None,
    key: tuple[Any, Any] = KEY,
) -> Casualties:
    """Hurt many, all in the same way."""
    subjects = np.arange(MANY) if subjects is None else subjects
    flags = sum(1 << vocabulary.ENVIRONMENT_CONDITIONS.index(name) for name in environment)
    size = len(subjects)
    return Casualties(
        *inflict_many(
            tables_for(force, "medium", overrides or Overrides()),
            *key,
            subjects,
            np.full(size, casualty_class, np.uint8),
            np.full(size, vocabulary.WARFARE_TYPES.index(warfare), np.uint8),
            np.full(size, flags, np.uint16),
        )
    )


def share(part: npt.NDArray[Any], whole: npt.NDArray[Any] | None = None) -> tuple[float, float]:
    """Return four standard errors either side of sum(part) / sum(whole), a pair a casualty."""
    part = part.astype(np.float64)
    whole = np.ones(len(part)) if whole is None else whole.astype(np.float64)
    ratio = part.sum() / whole.sum()
    error = math.sqrt(((part - ratio * whole) ** 2).sum()) / whole.sum()
    return ratio - 4 * error, ratio + 4 * error


def per_casualty(casualties: Casualties, wounds: Bools) -> npt.NDArray[np.int64]:
    """Return how many of some wounds each casualty has."""
    return np.bincount(casualties.whose[wounds], minlength=len(casualties.people))


def region_share(casualties: Casualties, among: Bools, names: Sequence[str]) -> tuple[float, float]:
    """Return the interval of the share of wounds that are in some regions."""
    codes = [vocabulary.WOUND_REGIONS.index(name) for name in names]
    inside = per_casualty(casualties, np.isin(casualties.wounds["wound_region"], codes))
    return share(inside[among], casualties.counts[among])


def lies_within(interval: tuple[float, float], low: float, high: float) -> bool:
    """Whether all of an interval is within bounds."""
    return low <= interval[0] and interval[1] <= high


# ---- what always holds ----


FORCES = st.builds(
    ForceProfile,
    body_armour_share=st.floats(0, 1),
    helmet_share=st.floats(0, 1),
    armoured_vehicle_share=st.floats(0, 1),
)
OVERRIDES = st.builds(
    Overrides,
    wounds_per_casualty_factor=st.floats(0.01, 5),
    lethality_factor=st.floats(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(
    FORCES,
    OVERRIDES,
    st.sampled_from(vocabulary.WARFARE_TYPES),
    st.integers(0, 2),
    st.sets(st.sampled_from(vocabulary.ENVIRONMENT_CONDITIONS)),
    st.integers(0, 2**63 - 1),
)
def test_what_is_true_of_every_casualty(
    force: ForceProfile,
    overrides: Overrides,
    warfare: str,
    casualty_class: int,
    environment: set[str],
    seed: int,
) -> None:
    """Scores are legal and recomputed, wounds in order and countable, sides where there are two."""
    casualties = hurt(
        warfare,
        force,
        casualty_class=casualty_class,
        environment=sorted(environment),
        overrides=overrides,
        subjects=np.arange(300),
        key=streams.replicate_key(seed, 0),
    )
    people, wounds, offsets = casualties
    assert casualties.counts.min() >= 1
    assert casualties.counts.max() <= MOST_WOUNDS
    assert np.all(people["stay_days"] > 0)
    assert np.all(people["niss"] >= people["iss"])
    assert set(people["iss"]) <= set(scores.LEGAL_ISS)
    assert not wounds["is_lethal"].any()
    assert wounds["code"].max() < len(conditions.concepts())
    for person, start, end in zip(people, offsets[:-1], offsets[1:], strict=True):
        mine = wounds[start:end]
        poisoned = person["chemical_dose_mg_min_m3"] > 0
        assert np.all(np.diff(mine["ais"][int(poisoned) :].astype(int)) <= 0)
        assert person["iss"] == independent_iss(mine)
        assert person["max_ais"] == mine["ais"].max()
        assert person["primary_code"] == mine["code"][0]
        assert np.all(mine["mechanism"] == person["mechanism"])


def independent_iss(wounds: npt.NDArray[np.void]) -> int:
    """Score by the definition, without the compiled function."""
    if wounds["ais"].max() == 6:
        return 75
    worst = [
        max([int(w["ais"]) for w in wounds if w["body_region"] == region], default=0)
        for region in range(6)
    ]
    return sum(grade**2 for grade in sorted(worst)[-3:])


def test_every_place_and_grade_that_can_be_drawn_has_a_name() -> None:
    """And the first of them leaves the limb on, which a second loss of it falls back to."""
    tables = tables_for(BARE, "medium", Overrides())
    for profile, site in np.ndindex(tables.first_name.shape[:2]):
        previous = tables.place[profile, 0, 0, site - 1] if site else 0.0
        if tables.place[profile, 0, 0, site] == previous:
            continue
        grades = 1 + int(np.isfinite(tables.graver[profile, 0, site]).sum())
        for ais in range(1, grades + 1):
            first = tables.first_name[profile, site, ais]
            assert first >= 0
            assert not tables.names[first]["severs"]


def test_a_code_stands_only_where_its_catalogue_puts_it() -> None:
    """Over all kinds of fighting: the region, type and grade of a wound fit the name it has."""
    allowed = {
        (
            conditions.concept_numbers()[name.code],
            vocabulary.WOUND_REGIONS.index(site.wound_region),
            vocabulary.WOUND_TYPES.index(name.wound_type),
            ais,
        )
        for name in conditions.wound_names()
        for site in conditions.sites()
        if site.name in name.sites
        for ais in range(name.ais[0], name.ais[1] + 1)
    }
    burn = vocabulary.WOUND_TYPES.index("burn")
    poisoning = vocabulary.WOUND_TYPES.index("poisoning")
    for warfare in vocabulary.WARFARE_TYPES:
        wounds = hurt(warfare, MOUNTED if warfare == "drone" else BARE).wounds
        wounds = wounds[(wounds["wound_type"] != burn) & (wounds["wound_type"] != poisoning)]
        columns = (wounds[n] for n in ("code", "wound_region", "wound_type", "ais"))
        assert set(zip(*(column.tolist() for column in columns), strict=True)) <= allowed


def test_no_leg_is_lost_twice() -> None:
    """Nor an arm; even where mines do most of the harm."""
    casualties = hurt("guerrilla", BARE, overrides=Overrides(lethality_factor=5))
    loss = conditions.concept_numbers()["262595009"]
    lost = casualties.wounds["code"] == loss
    by_side = [
        per_casualty(casualties, lost & (casualties.wounds["side"] == side)) for side in (0, 1)
    ]
    assert max(by_side[0].max(), by_side[1].max()) == 2  # one arm and one leg of a side


def test_wounds_are_the_same_in_any_order_and_company() -> None:
    """They depend on who is hurt, not on when or with whom."""
    everyone = hurt("guerrilla", subjects=np.arange(2_000))
    some = np.random.default_rng(1).permutation(2_000)[:700]
    again = hurt("guerrilla", subjects=some)
    assert np.array_equal(again.people, everyone.people[some])
    for row, subject in enumerate(some):
        one = again.wounds[again.offsets[row] : again.offsets[row + 1]]
        other = everyone.wounds[everyone.offsets[subject] : everyone.offsets[subject + 1]]
        for name in one.dtype.names or ():
            assert np.array_equal(one[name], other[name], equal_nan=True)


# ---- the distributions are those of the tables ----


@pytest.mark.parametrize("mechanism", ["gunshot", "mortar"])
def test_the_number_of_wounds_is_one_more_than_a_negative_binomial(mechanism: str) -> None:
    """Though it goes with closeness: its own distribution stays as it is written."""
    casualties = hurt("conventional", BARE)
    row = next(m for m in conditions.mechanisms() if m.name == mechanism)
    table = conditions.table("wounds")["count"]["profile"][row.profile]
    mean, dispersion = table["mean"], table["dispersion"]
    hit = casualties.people["mechanism"] == vocabulary.MECHANISMS.index(mechanism)
    hit &= casualties.people["burn_tbsa_percent"] == 0
    for extra in range(4):
        log_mass = (
            math.lgamma(extra + dispersion)
            - math.lgamma(dispersion)
            - math.lgamma(extra + 1)
            + dispersion * math.log(dispersion / (dispersion + mean))
            + extra * math.log(mean / (dispersion + mean))
        )
        low, high = share(casualties.counts[hit] == 1 + extra)
        assert low <= math.exp(log_mass) <= high


def test_the_grade_of_a_wound_is_that_of_its_table() -> None:
    """For fragments in the eye, of casualties who have one wound and so nothing to share."""
    one_each = hurt("artillery", BARE, overrides=Overrides(wounds_per_casualty_factor=0.01))
    eyes = one_each.wounds["wound_region"] == vocabulary.WOUND_REGIONS.index("eyes")
    wounds = one_each.wounds[eyes & np.isin(one_each.wounds["mechanism"], FRAGMENTING)]
    for grade, expected in zip((2, 3), severity_of("fragment", "eyes"), strict=False):
        low, high = share(wounds["ais"] >= grade)
        assert low <= expected <= high


FRAGMENTING = [vocabulary.MECHANISMS.index(name) for name in ("artillery", "mortar", "rocket")]


def severity_of(profile: str, site: str) -> list[float]:
    """Return the probabilities of AIS 2 or more, 3, ... of an unprotected wound."""
    found: list[float] = conditions.table("wounds")["severity"][profile][site]
    return found


def test_those_hit_more_often_are_hit_harder() -> None:
    """The grade of a casualty's gravest wound outruns what more wounds alone would give."""
    casualties = hurt("artillery", HELMETED)
    several = casualties.counts >= 6
    one = casualties.counts == 1
    grave = casualties.wounds["ais"] >= 3
    among_several = share(per_casualty(casualties, grave)[several], casualties.counts[several])
    among_one = share(per_casualty(casualties, grave)[one], casualties.counts[one])
    assert among_several[0] > 1.3 * among_one[1]


# ---- published proportions, on those whose wounds can be survived ----


def test_explosion_and_gunshot_in_guerrilla_war() -> None:
    """O1 76 % +-4, O2 19 % +-3 (Owens 2008, Belmont 2012)."""
    casualties = hurt("guerrilla")
    wounded = casualties.survivable()
    assert lies_within(share(casualties.group("explosion")[wounded]), 0.72, 0.80)
    assert lies_within(share(casualties.group("gunshot")[wounded]), 0.16, 0.22)


@pytest.mark.parametrize(
    ("regions", "target"),
    [
        (("head", "eyes", "ears", "face", "neck"), 0.285),
        (("thorax",), 0.085),
        (("abdomen",), 0.105),
        (("extremity",), 0.525),
    ],
)
def test_regions_in_guerrilla_war_with_armour(regions: Sequence[str], target: float) -> None:
    """O3: each +-3 points (Owens, Belmont)."""
    casualties = hurt("guerrilla")
    interval = region_share(casualties, casualties.survivable(), regions)
    assert lies_within(interval, target - 0.03, target + 0.03)


def test_wounds_per_casualty_not_soon_back() -> None:
    """O4: 3.5-4.6 among those wounded for 72 hours and more."""
    casualties = hurt("guerrilla")
    counted = casualties.survivable() & (casualties.people["stay_days"] >= 3)
    assert lies_within(share(casualties.counts[counted]), 3.5, 4.6)


@pytest.mark.parametrize("force", [BARE, HELMETED])
def test_limbs_in_conventional_war_without_armour(force: ForceProfile) -> None:
    """O5: 55-75 % of wounds (Emergency War Surgery)."""
    casualties = hurt("conventional", force)
    interval = region_share(casualties, casualties.survivable(), ["extremity"])
    assert lies_within(interval, 0.55, 0.75)


def test_severity_of_those_who_survive_explosions() -> None:
    """O17 before care: ISS 9-12, deviation about 8-12 (Ritenour 2010: 9 and 11, 10 and 10)."""
    casualties = hurt("guerrilla")
    iss = casualties.people["iss"][casualties.group("explosion") & casualties.survivable()]
    assert lies_within(share(iss), 9, 12)
    assert 8 <= iss.std() <= 13  # who will die of wounds that could be survived is among them


def test_protection_keeps_wounds_survivable() -> None:
    """The same fighting leaves more wounds of AIS 6 without armour, and more with a helmet off."""
    unsurvivable = [
        share(~hurt("conventional", force).survivable()) for force in (ARMOURED, HELMETED, BARE)
    ]
    assert unsurvivable[0][1] < unsurvivable[1][0]
    assert unsurvivable[1][1] < unsurvivable[2][0]


def test_a_third_of_those_hit_in_armoured_vehicles_are_burned() -> None:
    """Emergency War Surgery 2004: about 33 %."""
    people = hurt("artillery", MOUNTED).people
    inside = people[people["in_vehicle"] == 1]
    assert lies_within(share(inside["burn_tbsa_percent"] > 0), 0.30, 0.36)


def test_agents_reach_every_dose_profile() -> None:
    """IP-1 to IP-6 (AMedP-7.5) each have at least 2 % of those exposed; nobody is below IP-1."""
    people = hurt("cbrn").people
    dose = people["chemical_dose_mg_min_m3"][people["mechanism_group"] == group_code("chemical")]
    assert dose.min() > 0.2
    counts, _ = np.histogram(dose, [0.2, 1, 6.5, 12, 25, 30, np.inf])
    assert counts.min() / len(dose) >= 0.02


def test_burns_are_graded_by_their_surface() -> None:
    """A tenth of the body is AIS 2, four tenths AIS 5; only burns have a surface."""
    wounds = hurt("naval", MOUNTED).wounds
    burned = wounds[~np.isnan(wounds["burn_tbsa_percent"])]
    grades = 1 + np.digitize(burned["burn_tbsa_percent"], [10, 20, 30, 40, 90])
    assert np.array_equal(grades, burned["ais"])
    assert set(burned["wound_type"]) == {vocabulary.WOUND_TYPES.index("burn")}
    assert set(burned["body_region"]) == {vocabulary.BODY_REGIONS.index("external")}


# ---- disease and accidents ----


def test_a_quarter_of_disease_and_accidents_is_stress() -> None:
    """25-30 % (Izaguirre); disease is 83 % of the two classes, so 30-36 % of disease."""
    wounds = hurt("guerrilla", casualty_class=ILLNESS).wounds
    stress = wounds["wound_type"] == vocabulary.WOUND_TYPES.index("stress_reaction")
    assert lies_within(share(stress), 0.28, 0.36)


@pytest.mark.parametrize(
    ("condition", "mechanism"), [("extreme_heat", "heat"), ("extreme_cold", "cold")]
)
def test_weather_harms(condition: str, mechanism: str) -> None:
    """Heat and cold hurt several times as many where they are extreme."""
    code = vocabulary.MECHANISMS.index(mechanism)
    mild = hurt("peacekeeping", casualty_class=ACCIDENT).people["mechanism"] == code
    harsh = hurt("peacekeeping", casualty_class=ACCIDENT, environment=[condition])
    assert share(harsh.people["mechanism"] == code)[0] > 3 * share(mild)[1]


@pytest.mark.parametrize(
    ("mechanism", "low", "high"),
    [("sport", 0.18, 0.22), ("fall", 0.16, 0.20), ("vehicle", 0.12, 0.16)],
)
def test_causes_of_accidents(mechanism: str, low: float, high: float) -> None:
    """Hauret 2010: sport 19-21 %, falls 18 %, motor vehicles 12-16 %."""
    people = hurt("guerrilla", casualty_class=ACCIDENT).people
    assert lies_within(
        share(people["mechanism"] == vocabulary.MECHANISMS.index(mechanism)), low, high
    )


def test_only_severe_disease_kills_and_severity_lengthens_the_stay() -> None:
    """Hazards are small even then."""
    people = hurt("guerrilla", casualty_class=ILLNESS).people
    assert not people["deaths_per_day"][people["condition_severity"] < 2].any()
    assert 0 < people["deaths_per_day"].max() <= 0.02
    stays = [np.median(people["stay_days"][people["condition_severity"] == s]) for s in range(3)]
    assert stays[0] < stays[1] < stays[2]


# ---- what a planner can change ----


def test_overrides_change_what_they_name() -> None:
    """More lethal: graver, as many wounds. More wounds: more, and each alone as grave."""
    plain = hurt("conventional")
    graver = hurt("conventional", overrides=Overrides(lethality_factor=2))
    harmless = hurt("conventional", BARE, overrides=Overrides(lethality_factor=0))
    more = hurt("conventional", overrides=Overrides(wounds_per_casualty_factor=1.5))
    assert np.array_equal(graver.counts, plain.counts)
    assert share(~graver.survivable())[0] > share(~plain.survivable())[1]
    burn = vocabulary.WOUND_TYPES.index("burn")
    assert set(harmless.wounds["ais"][harmless.wounds["wound_type"] != burn]) == {1}
    assert np.all(more.counts >= plain.counts)
    assert share(more.counts)[0] > 1.3 * share(plain.counts)[1]
