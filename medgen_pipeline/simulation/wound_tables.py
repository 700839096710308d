"""The tables of wounds and conditions as arrays, for one scenario.

What depends on a draw's place in a distribution is kept as the draw sees it: choices as cumulative
probabilities, counts and AIS as thresholds of a standard normal score, so that a casualty's wounds
can share part of that score and be correlated without changing what each is alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import conditions, disabilities, vocabulary
from medgen_pipeline.scenario.model import ForceProfile, Intensity, Overrides, Scenario

FloatArray = npt.NDArray[np.float32]
Records = npt.NDArray[np.void]

KINDS: Final = ("disease", "heat", "cold")  # of condition
MOST_WOUNDS: Final = 16  # of trauma 14, a burn, and smoke inhaled
CERTAIN: Final = 2.0  # a cumulative probability that no draw exceeds
NEVER: Final = math.inf  # a threshold that no score exceeds

MECHANISM: Final = np.dtype(
    [
        ("burn_share", np.float32),
        ("mounted_burn_share", np.float32),
        ("group", np.uint8),
        ("profile", np.int8),  # -1 when it makes no wounds
        ("mounted_profile", np.int8),  # -1 when nobody is hit so inside a vehicle
        ("condition_kind", np.int8),  # -1 when it wounds
    ],
    align=True,
)
SITE: Final = np.dtype(
    [
        (name, np.uint8)
        for name in ("wound_region", "body_region", "bleeding", "shield", "sided", "limb")
    ]
)
NAME: Final = np.dtype(
    [
        ("cumulative", np.float32),  # within its run
        ("code", np.int16),
        ("wound_type", np.uint8),
        ("site", np.uint8),
        ("bleeds", np.uint8),
        ("severs", np.uint8),  # takes a limb off, so that it cannot go twice
    ],
    align=True,
)
CONDITION: Final = np.dtype(
    [
        ("light", np.float32),  # cumulative
        ("light_or_moderate", np.float32),
        ("deaths_per_day", np.float32),
        ("code", np.int16),
        ("wound_type", np.uint8),
    ],
    align=True,
)
SETTINGS: Final = np.dtype(
    [
        (name, np.float64)
        for name in (
            "armour_share",
            "helmet_share",
            "vehicle_share",
            "count_correlation",
            "ais_loading",
            "burn_logit",
            "mounted_burn_logit",
            "burn_spread",
            "burn_loading",
            "inhalation_share",
            "mounted_inhalation_share",
            "dose_threshold",
            "dose_spread",
            "severe_dose",
            "wounded_too_share",
            "stay_spread",
            "condition_stay_spread",
        )
    ]
    + [
        (name, np.int64)
        for name in ("light_agent", "severe_agent", "inhalation", "skin", "airway", "fragment")
    ]
)


class WoundTables(NamedTuple):
    """All that `wounds.inflict` reads; indices are codes of the vocabulary and of `conditions`."""

    settings: Records  # one SETTINGS record
    battle: FloatArray  # [warfare, mechanism], cumulative
    accident: FloatArray  # [weather, mechanism], cumulative
    weather: npt.NDArray[np.uint8]  # by environment flags: the combination of those that matter
    mechanisms: Records  # MECHANISM
    sites: Records  # SITE
    place: FloatArray  # [profile, armour, helmet, site], cumulative
    more_wounds: FloatArray  # [profile, wound], score above which there is one more
    graver: FloatArray  # [profile, shielded, site, grade], score above which AIS is one more
    first_name: npt.NDArray[np.int16]  # [profile, site, ais], of a run in `names`
    first_burn: npt.NDArray[np.int16]  # [ais]
    names: Records  # NAME
    burn_percent: FloatArray  # [grade], at which AIS is one more
    graver_airway: FloatArray  # [grade]
    distance: FloatArray  # [distance], cumulative
    dose: FloatArray  # [distance], log of the median
    dose_stay: FloatArray  # [step, (dose up to which, days)]
    stay: FloatArray  # [ais], log of the median days
    settings_of: npt.NDArray[np.uint8]  # [warfare], for conditions
    first_condition: npt.NDArray[np.int16]  # [kind + 1]
    condition_cumulative: FloatArray  # [setting, weather, condition]
    conditions: Records  # CONDITION
    condition_stay: FloatArray  # [condition, severity], log of the median days
    disability: npt.NDArray[np.int8]  # [code, site, ais], that such a wound can leave; -1 for none
    disability_share: FloatArray  # [code, site, ais]
    least_stay: FloatArray  # [disability], days


def wound_tables(scenario: Scenario) -> WoundTables:
    """Return the tables of a scenario's force, intensity and overrides."""
    return tables_for(scenario.force, scenario.intensity, scenario.overrides)


def tables_for(force: ForceProfile, intensity: Intensity, overrides: Overrides) -> WoundTables:
    """Return the tables for a force, an intensity, and expert changes."""
    wounds = conditions.table("wounds")
    weathers = _weathers()
    first_name, first_burn, names = _names(wounds)
    first_condition, cumulative, records, stay = _conditions(intensity, weathers)
    disability, disability_share = _disabilities()
    return WoundTables(
        settings=_settings(force, wounds),
        battle=_stack(_mechanism_weights(conditions.battle_shares()[w]) for w in _WARFARE),
        accident=_stack(_accident_weights(weather) for weather in weathers),
        weather=_weather_of_flags(weathers),
        mechanisms=_mechanisms(),
        sites=_sites(),
        place=_places(wounds),
        more_wounds=_more_wounds(wounds["count"], overrides.wounds_per_casualty_factor),
        graver=_graver(wounds, overrides.lethality_factor),
        first_name=first_name,
        first_burn=first_burn,
        names=names,
        burn_percent=np.array(wounds["burn"]["ais_at_percent"], np.float32),
        graver_airway=_thresholds(wounds["burn"]["inhalation_ais"]),
        distance=_cumulative(wounds["chemical"]["share_by_distance"]),
        dose=np.log(np.array(wounds["chemical"]["median_by_distance"], np.float32)),
        dose_stay=_dose_stay(wounds["chemical"]),
        stay=np.log(np.array(wounds["stay"]["median_days_by_ais"], np.float32)),
        settings_of=_settings_of_warfare(),
        first_condition=first_condition,
        condition_cumulative=cumulative,
        conditions=records,
        condition_stay=stay,
        disability=disability,
        disability_share=disability_share,
        least_stay=np.array([d.least_stay_days for d in disabilities.disabilities()], np.float32),
    )


_WARFARE: Final = vocabulary.WARFARE_TYPES


def _cumulative(weights: Sequence[float]) -> FloatArray:
    """Return cumulative shares; what follows the last weight above 0 can never be drawn."""
    sums = np.cumsum(np.array(weights, np.float64))
    shares: FloatArray = (sums / sums[-1]).astype(np.float32)
    shares[sums >= sums[-1]] = CERTAIN
    return shares


def _stack(rows: Iterable[Sequence[float]]) -> FloatArray:
    return np.stack([_cumulative(row) for row in rows])


def _thresholds(exceedances: Iterable[float]) -> FloatArray:
    """Return, for each probability of exceeding, the standard normal score that is exceeded so."""
    quantile = NormalDist().inv_cdf
    return np.array([-quantile(p) if p > 0.0 else NEVER for p in exceedances], np.float32)


def _with_odds(probability: float, factor: float) -> float:
    """Return the probability whose odds are `factor` times as large."""
    return factor * probability / (1.0 - probability + factor * probability)


def _logit(percent: float) -> float:
    return math.log(percent / (100.0 - percent))


def _weathers() -> tuple[frozenset[str], ...]:
    """Return every combination of the environment conditions that change what happens."""
    matters = set(conditions.table("mechanisms")["accident"]["added"])
    for kind in KINDS:
        for condition in conditions.conditions(kind):
            matters |= set(condition.environment)
    names = [name for name in vocabulary.ENVIRONMENT_CONDITIONS if name in matters]
    return tuple(
        frozenset(name for bit, name in enumerate(names) if mask >> bit & 1)
        for mask in range(1 << len(names))
    )


def _weather_of_flags(weathers: tuple[frozenset[str], ...]) -> npt.NDArray[np.uint8]:
    number = {weather: index for index, weather in enumerate(weathers)}
    matters = weathers[-1]
    flags = range(1 << len(vocabulary.ENVIRONMENT_CONDITIONS))
    return np.array([number[_conditions_of(flag) & matters] for flag in flags], np.uint8)


def _conditions_of(flags: int) -> frozenset[str]:
    names = vocabulary.ENVIRONMENT_CONDITIONS
    return frozenset(name for bit, name in enumerate(names) if flags >> bit & 1)


def _mechanism_weights(shares: Mapping[str, float]) -> list[float]:
    return [shares.get(name, 0.0) for name in vocabulary.MECHANISMS]


def _accident_weights(weather: frozenset[str]) -> list[float]:
    accident = conditions.table("mechanisms")["accident"]
    weights = dict(accident["share"])
    for name in weather & set(accident["added"]):
        for mechanism, added in accident["added"][name].items():
            weights[mechanism] = weights.get(mechanism, 0.0) + added
    return _mechanism_weights(weights)


def _settings(force: ForceProfile, wounds: conditions.Table) -> Records:
    burn, chemical, stay = wounds["burn"], wounds["chemical"], wounds["stay"]
    numbers = conditions.concept_numbers()
    site_numbers = {site.name: number for number, site in enumerate(conditions.sites())}
    row = {
        "armour_share": force.body_armour_share,
        "helmet_share": force.helmet_share,
        "vehicle_share": force.armoured_vehicle_share,
        "count_correlation": wounds["count"]["correlation"],
        "ais_loading": wounds["severity"]["loading"],
        "burn_logit": _logit(burn["median_percent"]),
        "mounted_burn_logit": _logit(burn["mounted_median_percent"]),
        "burn_spread": burn["spread"],
        "burn_loading": burn["closeness_loading"],
        "inhalation_share": burn["inhalation_share"],
        "mounted_inhalation_share": burn["mounted_inhalation_share"],
        "dose_threshold": chemical["threshold"],
        "dose_spread": chemical["spread"],
        "severe_dose": chemical["severe_dose"],
        "wounded_too_share": chemical["wounded_too_share"],
        "stay_spread": stay["spread"],
        "condition_stay_spread": conditions.table("conditions")["about"]["stay_spread"],
        "light_agent": numbers[chemical["light_code"]],
        "severe_agent": numbers[chemical["severe_code"]],
        "inhalation": numbers[wounds["catalogue"]["inhalation"]],
        "skin": site_numbers["body"],
        "airway": site_numbers["airway"],
        "fragment": conditions.profiles().index("fragment"),
    }
    return np.array([tuple(row[name] for name in SETTINGS.names or ())], SETTINGS)


def _mechanisms() -> Records:
    groups, profiles = vocabulary.MECHANISM_GROUPS, conditions.profiles()
    return np.array(
        [
            (
                mechanism.burn,
                mechanism.mounted_burn,
                groups.index(mechanism.group),
                _index(profiles, mechanism.profile),
                _index(profiles, mechanism.mounted),
                _index(KINDS, mechanism.condition),
            )
            for mechanism in conditions.mechanisms()
        ],
        MECHANISM,
    )


def _index(words: Sequence[str], word: str) -> int:
    return words.index(word) if word else -1


def _sites() -> Records:
    return np.array(
        [
            (
                vocabulary.WOUND_REGIONS.index(site.wound_region),
                vocabulary.BODY_REGIONS.index(site.body_region),
                vocabulary.BLEEDING_SITES.index(site.bleeding),
                conditions.SHIELDS.index(site.shield),
                site.sided,
                conditions.LIMBS.index(site.limb),
            )
            for site in conditions.sites()
        ],
        SITE,
    )


def _places(wounds: conditions.Table) -> FloatArray:
    """Return where wounds are, for each profile, without and with armour, and helmet."""
    return np.stack(
        [
            [
                [
                    _cumulative(_place_weights(wounds, profile, armour | helmet))
                    for helmet in _HELMET
                ]
                for armour in _ARMOUR
            ]
            for profile in conditions.profiles()
        ]
    )


_ARMOUR: Final = (frozenset[str](), frozenset({"armour"}))
_HELMET: Final = (frozenset[str](), frozenset({"helmet"}))


def _place_weights(wounds: conditions.Table, profile: str, worn: frozenset[str]) -> list[float]:
    place = wounds["place"]
    weights = dict(zip(place["sites"], place[profile], strict=True))
    return [
        weights.get(site.name, 0.0) * _through(wounds, site, profile, worn, "hits")
        for site in conditions.sites()
    ]


def _through(
    wounds: conditions.Table, site: conditions.Site, profile: str, worn: frozenset[str], what: str
) -> float:
    """Return what protection leaves of hits, or of the odds of a graver wound; 1 without it."""
    if site.shield not in worn:
        return 1.0
    return float(wounds["protection"][site.shield][profile][what])


def _more_wounds(count: conditions.Table, factor: float) -> FloatArray:
    """Return the thresholds of 1 + negative binomial; `factor` multiplies the mean of the whole."""
    rows = []
    for profile in conditions.profiles():
        extra = count["profile"][profile]
        mean = max(0.0, factor * (1.0 + extra["mean"]) - 1.0)
        rows.append(_thresholds(_more_than(mean, extra["dispersion"], count["most"] - 1)))
    return np.stack(rows)


def _more_than(mean: float, dispersion: float, most: int) -> list[float]:
    """Return the probability that a negative binomial exceeds 0, 1, ... `most` - 1."""
    share = mean / (mean + dispersion)
    mass = (1.0 - share) ** dispersion
    tails, tail = [], 1.0
    for count in range(most):
        tail -= mass
        tails.append(max(tail, 0.0))
        mass *= share * (count + dispersion) / (count + 1)
    return tails


def _graver(wounds: conditions.Table, lethality: float) -> FloatArray:
    """Return the thresholds of AIS by profile, behind protection or not, site and grade."""
    return np.stack(
        [
            [_graver_by_site(wounds, profile, worn, lethality) for worn in _SHIELDED]
            for profile in conditions.profiles()
        ]
    )


_SHIELDED: Final = (frozenset[str](), frozenset({"armour", "helmet"}))


def _graver_by_site(
    wounds: conditions.Table, profile: str, worn: frozenset[str], lethality: float
) -> list[FloatArray]:
    severity = wounds["severity"][profile]
    none = [0.0] * (conditions.GRADES - 1)
    rows = []
    for site in conditions.sites():
        factor = lethality * _through(wounds, site, profile, worn, "odds")
        rows.append(_thresholds(_with_odds(p, factor) for p in severity.get(site.name, none)))
    return rows


def _names(
    wounds: conditions.Table,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16], Records]:
    """Return the first name by profile, site and AIS, that of burns by AIS, and all names."""
    rows: list[tuple[Any, ...]] = []
    sites, profiles = conditions.sites(), conditions.profiles()
    first = np.full((len(profiles), len(sites), conditions.GRADES + 1), -1, np.int16)
    for profile, _ in enumerate(profiles):
        for number, site in enumerate(sites):
            for ais in range(1, conditions.GRADES + 1):
                run = _run_of_names(profile, number, site.name, ais)
                first[profile, number, ais] = len(rows) if run else -1
                rows.extend(run)
    burns = np.full(conditions.GRADES + 1, -1, np.int16)
    for ais in range(1, conditions.GRADES + 1):
        burns[ais] = len(rows)
        rows.extend(_run_of_burns(wounds["catalogue"]["burns"], ais))
    return first, burns, np.array(rows, NAME)


def _run_of_names(profile: int, number: int, site: str, ais: int) -> list[tuple[Any, ...]]:
    fitting = [
        name
        for name in conditions.wound_names()
        if site in name.sites and name.ais[0] <= ais <= name.ais[1] and name.weights[profile] > 0
    ]
    if not fitting:
        return []
    cumulative = _cumulative([name.weights[profile] for name in fitting])
    severing = [_severs(name, conditions.sites()[number]) for name in fitting]
    return [
        (
            share,
            conditions.concept_numbers()[name.code],
            vocabulary.WOUND_TYPES.index(name.wound_type),
            number,
            name.bleeds,
            severs,
        )
        for share, name, severs in zip(cumulative, fitting, severing, strict=True)
    ]


def _severs(name: conditions.WoundName, site: conditions.Site) -> bool:
    """Whether the wound takes off the limb (a finger does not)."""
    return name.wound_type == "amputation" and site.limb != "none" and name.ais[1] >= 3


def _run_of_burns(burns: list[conditions.Table], ais: int) -> list[tuple[Any, ...]]:
    site_numbers = {site.name: number for number, site in enumerate(conditions.sites())}
    fitting = [burn for burn in burns if burn["ais"][0] <= ais <= burn["ais"][1]]
    cumulative = _cumulative([burn["weight"] for burn in fitting])
    return [
        (
            share,
            conditions.concept_numbers()[burn["code"]],
            vocabulary.WOUND_TYPES.index("burn"),
            site_numbers[burn["site"]],
            False,
            False,
        )
        for share, burn in zip(cumulative, fitting, strict=True)
    ]


def _dose_stay(chemical: conditions.Table) -> FloatArray:
    upper = [*chemical["stay_at_dose"], math.inf]
    return np.array(list(zip(upper, chemical["stay_days"], strict=True)), np.float32)


def _settings_of_warfare() -> npt.NDArray[np.uint8]:
    about = conditions.table("conditions")["about"]
    return np.array([about["settings"].index(about["setting"][w]) for w in _WARFARE], np.uint8)


def _conditions(
    intensity: Intensity, weathers: tuple[frozenset[str], ...]
) -> tuple[npt.NDArray[np.int16], FloatArray, Records, FloatArray]:
    """Return where each kind begins, cumulative shares within it, the conditions, and stays."""
    kinds = [conditions.conditions(kind) for kind in KINDS]
    every = [condition for kind in kinds for condition in kind]
    first = np.cumsum([0, *(len(kind) for kind in kinds)]).astype(np.int16)
    stress = conditions.table("conditions")["about"]["stress_by_intensity"][intensity]
    settings = range(len(conditions.table("conditions")["about"]["settings"]))
    cumulative = np.stack(
        [[_condition_shares(kinds, s, weather, stress) for weather in weathers] for s in settings]
    )
    stay = np.log(np.array([condition.stay_days for condition in every], np.float32))
    return first, cumulative, np.array([_condition(row) for row in every], CONDITION), stay


def _condition_shares(
    kinds: Sequence[tuple[conditions.Condition, ...]],
    setting: int,
    weather: frozenset[str],
    stress: float,
) -> FloatArray:
    def weight(row: conditions.Condition) -> float:
        factor = stress if row.wound_type == "stress_reaction" else 1.0
        return (
            row.weights[setting]
            * factor
            * math.prod(row.environment.get(name, 1.0) for name in weather)
        )

    return np.concatenate([_cumulative([weight(row) for row in kind]) for kind in kinds])


def _condition(row: conditions.Condition) -> tuple[Any, ...]:
    light, moderate, _ = row.severity
    return (
        light,
        light + moderate,
        row.deaths_per_day,
        conditions.concept_numbers()[row.code],
        vocabulary.WOUND_TYPES.index(row.wound_type),
    )


def _disabilities() -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Return the disability that a wound can leave, and in what share, by code, site and AIS."""
    sites = {site.name: number for number, site in enumerate(conditions.sites())}
    shape = (len(conditions.concepts()), len(sites), conditions.GRADES + 1)
    disability, share = np.full(shape, -1, np.int8), np.zeros(shape, np.float32)
    for (code, site, ais), (number, part) in disabilities.left_by().items():
        where = (conditions.concept_numbers()[code], sites[site], ais)
        disability[where], share[where] = number, part
    return disability, share
