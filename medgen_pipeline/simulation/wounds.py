"""What happens to a body: from a mechanism to wounds, their scores, and how long to get well.

A casualty has a closeness to what hurt them, a standard normal score. The number of wounds and the
AIS of each are drawn from scores that share part of it, so the near have more and graver wounds,
while the distribution of each alone is the table's. `inflict` is called from the event loop; it
allocates nothing and writes into what it is given. Nothing here says what a wound leads to.
"""

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.vocabulary import (
    BLEEDING_SITES,
    CASUALTY_CLASSES,
    MECHANISM_GROUPS,
    MECHANISMS,
    WOUND_TYPES,
)
from medgen_pipeline.simulation import scores, streams
from medgen_pipeline.simulation.compiled import entry_point, jit
from medgen_pipeline.simulation.wound_tables import MOST_WOUNDS, WoundTables

WOUND: Final = np.dtype(
    [
        ("burn_tbsa_percent", np.float32),  # NaN when it is no burn
        ("code", np.int16),  # index in `reference.conditions.concepts()`
        ("body_region", np.uint8),
        ("wound_region", np.uint8),
        ("side", np.int8),  # -1 when the place has none
        ("ais", np.uint8),  # 0 for what AIS does not grade
        ("wound_type", np.uint8),
        ("mechanism", np.uint8),
        ("bleeding_site", np.uint8),
        ("is_lethal", np.uint8),  # 0; physiology decides
        ("site", np.uint8),  # finer than the regions: index in `reference.conditions.sites()`
    ],
    align=True,
)
CASUALTY: Final = np.dtype(
    [
        ("chemical_dose_mg_min_m3", np.float32),  # 0 when there is none
        ("burn_tbsa_percent", np.float32),  # 0 when not burned
        ("stay_days", np.float32),  # until fit, if well treated
        ("deaths_per_day", np.float32),  # of severe disease, under care
        ("primary_code", np.int16),
        ("mechanism", np.uint8),
        ("mechanism_group", np.uint8),
        ("max_ais", np.uint8),
        ("iss", np.uint8),
        ("niss", np.uint8),
        ("condition_severity", np.uint8),  # light, moderate, severe; of injury by its highest AIS
        ("has_armour", np.uint8),
        ("has_helmet", np.uint8),
        ("in_vehicle", np.uint8),
        ("primary_site", np.uint8),  # of the wound or illness of the primary code
        ("disability", np.int8),  # it leaves if the casualty lives; -1 for none
    ],
    align=True,
)

BATTLE_INJURY: Final = CASUALTY_CLASSES.index("battle_injury")
DISEASE_CLASS: Final = CASUALTY_CLASSES.index("disease")
DISEASE: Final = 0  # kinds of condition, in the order of `wound_tables.KINDS`
CHEMICAL: Final = MECHANISM_GROUPS.index("chemical")
NO_MECHANISM: Final = MECHANISMS.index("none")
NO_BLEEDING: Final = BLEEDING_SITES.index("none")
NO_DISABILITY: Final = -1
POISONING: Final = WOUND_TYPES.index("poisoning")
BURN: Final = WOUND_TYPES.index("burn")
ARMOUR: Final = 1
HELMET: Final = 2
LIGHT, MODERATE, SEVERE = 0, 1, 2
GRADES: Final = 5  # thresholds between AIS 1 and 6
SIDE_BIT: Final = np.uint64(1)  # below the 52 bits that make a uniform draw

# Blocks of draws; WOUND_COUNT owns the numbers up to WOUND.
_MECHANISM: Final = streams.WOUND_COUNT
_PROTECTION: Final = streams.WOUND_COUNT + 1
_AGENT: Final = streams.WOUND_COUNT + 2
_BURN: Final = streams.WOUND_COUNT + 3
_CONDITION: Final = streams.WOUND_COUNT + 4
_STAY: Final = streams.WOUND_COUNT + 5
_DISABILITY: Final = streams.WOUND_COUNT + 6


@jit
def inflict(
    tables: WoundTables,
    key_0: int,
    key_1: int,
    subject: int,
    casualty_class: int,
    warfare: int,
    environment: int,
    out: Any,
    casualty: Any,
) -> int:
    """Write a casualty's wounds, gravest first, and what sums them up; return how many."""
    _clear(casualty)
    weather = tables.weather[environment]
    if casualty_class == DISEASE_CLASS:
        return _fall_ill(
            tables, DISEASE, key_0, key_1, subject, warfare, weather, NO_MECHANISM, out, casualty
        )
    u_mechanism, u_close, u_count, u_vehicle = streams.uniforms(key_0, key_1, subject, _MECHANISM)
    in_battle = casualty_class == BATTLE_INJURY
    if in_battle:
        mechanism = _choose(tables.battle, warfare, u_mechanism)
    else:
        mechanism = _choose(tables.accident, weather, u_mechanism)
    cause = tables.mechanisms[mechanism]
    casualty.mechanism = mechanism
    casualty.mechanism_group = cause.group
    if cause.condition_kind >= 0:
        return _fall_ill(
            tables, cause.condition_kind, key_0, key_1, subject, warfare, weather, mechanism,
            out, casualty,
        )  # fmt: skip
    settings = tables.settings[0]
    u_armour, u_helmet, u_burn, u_also = streams.uniforms(key_0, key_1, subject, _PROTECTION)
    if in_battle:
        casualty.has_armour = u_armour < settings.armour_share
        casualty.has_helmet = u_helmet < settings.helmet_share
        casualty.in_vehicle = cause.mounted_profile >= 0 and u_vehicle < settings.vehicle_share
    profile, burn_share = cause.profile, cause.burn_share
    if casualty.in_vehicle:
        profile, burn_share = cause.mounted_profile, cause.mounted_burn_share
    closeness = streams.normal(u_close)
    count = 0
    if cause.group == CHEMICAL:
        count = _poison(tables, key_0, key_1, subject, mechanism, out, casualty)
        if u_also < settings.wounded_too_share:
            profile = np.int8(settings.fragment)
    poisoned = count
    if profile >= 0:
        count = _wound(
            tables, key_0, key_1, subject, profile, mechanism, closeness, u_count, out, count,
            casualty,
        )  # fmt: skip
    if u_burn < burn_share:
        count = _burn(tables, key_0, key_1, subject, mechanism, closeness, out, count, casualty)
    _order(out, poisoned, count)
    _sum_up(tables, key_0, key_1, subject, out, count, casualty)
    return count


@jit
def _clear(casualty: Any) -> None:
    casualty.chemical_dose_mg_min_m3 = 0.0
    casualty.burn_tbsa_percent = 0.0
    casualty.stay_days = 0.0
    casualty.deaths_per_day = 0.0
    casualty.mechanism = NO_MECHANISM
    casualty.mechanism_group = 0
    casualty.max_ais = 0
    casualty.iss = 0
    casualty.niss = 0
    casualty.condition_severity = LIGHT
    casualty.has_armour = 0
    casualty.has_helmet = 0
    casualty.in_vehicle = 0
    casualty.disability = NO_DISABILITY


@jit
def _choose(table: Any, row: int, uniform: float) -> int:
    """Return the first choice of a row whose cumulative share exceeds the draw."""
    choice = 0
    while uniform >= table[row, choice]:
        choice += 1
    return choice


@jit
def _name(names: Any, first: int, uniform: float) -> int:
    """Return the row of the first name of a run whose cumulative share exceeds the draw."""
    row = first
    while uniform >= names[row].cumulative:
        row += 1
    return row


@jit
def _wound(
    tables: WoundTables,
    key_0: int,
    key_1: int,
    subject: int,
    profile: int,
    mechanism: int,
    closeness: float,
    u_count: float,
    out: Any,
    first: int,
    casualty: Any,
) -> int:
    """Write the wounds of a profile from `first` on; return where they end."""
    settings = tables.settings[0]
    loading = settings.ais_loading
    own = math.sqrt(1.0 - loading * loading)
    armour, helmet = int(casualty.has_armour), int(casualty.has_helmet)
    lost_limbs = 0
    end = first + _how_many(tables, profile, closeness, u_count)
    for wound in range(first, end):
        a, b, c, _ = streams.words(key_0, key_1, subject, streams.WOUND + 2 * wound)
        site = _where(tables, profile, armour, helmet, streams.to_unit(a))
        place = tables.sites[site]
        shielded = (place.shield == ARMOUR and armour > 0) or (
            place.shield == HELMET and helmet > 0
        )
        score = loading * closeness + own * streams.normal(streams.to_unit(b))
        ais = _how_grave(tables, profile, int(shielded), site, score)
        row = _name(tables.names, tables.first_name[profile, site, ais], streams.to_unit(c))
        side = _side(place.sided, a)
        if tables.names[row].severs:
            side = _other_if_lost(lost_limbs, place.limb, side)
            if lost_limbs & _limb(place.limb, side):
                row = tables.first_name[profile, site, ais]  # both are gone: a wound of the stump
            lost_limbs |= _limb(place.limb, side)
        _write(tables, out[wound], row, side, ais, mechanism)
    return end


@jit
def _how_many(tables: WoundTables, profile: int, closeness: float, uniform: float) -> int:
    shared = tables.settings[0].count_correlation
    score = shared * closeness + math.sqrt(1.0 - shared * shared) * streams.normal(uniform)
    count = 1
    for threshold in range(tables.more_wounds.shape[1]):
        if score <= tables.more_wounds[profile, threshold]:
            break
        count += 1
    return count


@jit
def _where(tables: WoundTables, profile: int, armour: int, helmet: int, uniform: float) -> int:
    site = 0
    while uniform >= tables.place[profile, armour, helmet, site]:
        site += 1
    return site


@jit
def _how_grave(tables: WoundTables, profile: int, shielded: int, site: int, score: float) -> int:
    ais = 1
    while ais <= GRADES and score > tables.graver[profile, shielded, site, ais - 1]:
        ais += 1
    return ais


@jit
def _side(sided: int, word: int) -> int:
    """Return left or right by a bit that no other draw uses, -1 where there is neither."""
    if not sided:
        return -1
    return 1 if word & SIDE_BIT else 0


@jit
def _limb(limb: int, side: int) -> int:
    """Return the bit of an arm or leg."""
    return 1 << (2 * int(limb) + side)


@jit
def _other_if_lost(lost_limbs: int, limb: int, side: int) -> int:
    return 1 - side if lost_limbs & _limb(limb, side) else side


@jit
def _write(tables: WoundTables, wound: Any, row: int, side: int, ais: int, mechanism: int) -> None:
    name = tables.names[row]
    place = tables.sites[name.site]
    wound.burn_tbsa_percent = np.nan
    wound.code = name.code
    wound.body_region = place.body_region
    wound.wound_region = place.wound_region
    wound.side = side
    wound.ais = ais
    wound.wound_type = name.wound_type
    wound.mechanism = mechanism
    wound.bleeding_site = place.bleeding if name.bleeds else NO_BLEEDING
    wound.is_lethal = 0
    wound.site = name.site


@jit
def _burn(
    tables: WoundTables,
    key_0: int,
    key_1: int,
    subject: int,
    mechanism: int,
    closeness: float,
    out: Any,
    first: int,
    casualty: Any,
) -> int:
    """Write a burn, and smoke inhaled if there was any; return where they end."""
    settings = tables.settings[0]
    logit, inhalation_share = settings.burn_logit, settings.inhalation_share
    if casualty.in_vehicle:
        logit, inhalation_share = settings.mounted_burn_logit, settings.mounted_inhalation_share
    a, b, c, d = streams.words(key_0, key_1, subject, _BURN)
    loading = settings.burn_loading
    own = math.sqrt(1.0 - loading * loading)
    score = loading * closeness + own * streams.normal(streams.to_unit(a))
    percent = 100.0 / (1.0 + math.exp(-logit - settings.burn_spread * score))
    ais = 1
    while ais <= GRADES and percent >= tables.burn_percent[ais - 1]:
        ais += 1
    row = _name(tables.names, tables.first_burn[ais], streams.to_unit(b))
    side = _side(tables.sites[tables.names[row].site].sided, b)
    _write(tables, out[first], row, side, ais, mechanism)
    out[first].burn_tbsa_percent = percent
    casualty.burn_tbsa_percent = percent
    if streams.to_unit(c) >= inhalation_share:
        return first + 1
    score = loading * closeness + own * streams.normal(streams.to_unit(d))
    ais = 1
    while ais <= GRADES and score > tables.graver_airway[ais - 1]:
        ais += 1
    _write_at(tables, out[first + 1], settings.airway, settings.inhalation, BURN, ais, mechanism)
    return first + 2


@jit
def _write_at(
    tables: WoundTables,
    wound: Any,
    site: int,
    code: int,
    wound_type: int,
    ais: int,
    mechanism: int,
) -> None:
    """Write what has no name in the catalogue."""
    place = tables.sites[site]
    wound.burn_tbsa_percent = np.nan
    wound.code = code
    wound.body_region = place.body_region
    wound.wound_region = place.wound_region
    wound.side = -1
    wound.ais = ais
    wound.wound_type = wound_type
    wound.mechanism = mechanism
    wound.bleeding_site = NO_BLEEDING
    wound.is_lethal = 0
    wound.site = site


@jit
def _poison(
    tables: WoundTables,
    key_0: int,
    key_1: int,
    subject: int,
    mechanism: int,
    out: Any,
    casualty: Any,
) -> int:
    """Write a poisoning by nerve agent, which AIS does not grade; return 1."""
    settings = tables.settings[0]
    u_distance, u_dose, _, _ = streams.uniforms(key_0, key_1, subject, _AGENT)
    distance = 0
    while u_distance >= tables.distance[distance]:
        distance += 1
    above = math.exp(tables.dose[distance] + settings.dose_spread * streams.normal(u_dose))
    dose = settings.dose_threshold + above
    code = settings.severe_agent if dose >= settings.severe_dose else settings.light_agent
    _write_at(tables, out[0], settings.skin, code, POISONING, 0, mechanism)
    casualty.chemical_dose_mg_min_m3 = dose
    return 1


@jit
def _fall_ill(
    tables: WoundTables,
    kind: int,
    key_0: int,
    key_1: int,
    subject: int,
    warfare: int,
    weather: int,
    mechanism: int,
    out: Any,
    casualty: Any,
) -> int:
    """Write a disease, stress reaction, or harm by heat or cold; return 1."""
    settings = tables.settings[0]
    u_condition, u_severity, u_stay, _ = streams.uniforms(key_0, key_1, subject, _CONDITION)
    setting = tables.settings_of[warfare]
    number = tables.first_condition[kind]
    while u_condition >= tables.condition_cumulative[setting, weather, number]:
        number += 1
    condition = tables.conditions[number]
    severity = LIGHT
    if u_severity >= condition.light:
        severity = MODERATE if u_severity < condition.light_or_moderate else SEVERE
    _write_at(tables, out[0], settings.skin, condition.code, condition.wound_type, 0, mechanism)
    casualty.condition_severity = severity
    casualty.primary_code = condition.code
    casualty.primary_site = settings.skin
    casualty.stay_days = math.exp(
        tables.condition_stay[number, severity]
        + settings.condition_stay_spread * streams.normal(u_stay)
    )
    if severity == SEVERE:
        casualty.deaths_per_day = condition.deaths_per_day
    return 1


@jit
def _order(out: Any, first: int, end: int) -> None:
    """Put wounds in order of falling AIS, those of equal AIS as they were; a stable insertion."""
    for index in range(first + 1, end):
        place = index
        while place > first and out[place - 1].ais < out[place].ais:
            _swap(out[place - 1], out[place])
            place -= 1


@jit
def _swap(one: Any, other: Any) -> None:
    one.burn_tbsa_percent, other.burn_tbsa_percent = other.burn_tbsa_percent, one.burn_tbsa_percent
    one.code, other.code = other.code, one.code
    one.body_region, other.body_region = other.body_region, one.body_region
    one.wound_region, other.wound_region = other.wound_region, one.wound_region
    one.side, other.side = other.side, one.side
    one.ais, other.ais = other.ais, one.ais
    one.wound_type, other.wound_type = other.wound_type, one.wound_type
    one.mechanism, other.mechanism = other.mechanism, one.mechanism
    one.bleeding_site, other.bleeding_site = other.bleeding_site, one.bleeding_site
    one.site, other.site = other.site, one.site


@jit
def _sum_up(
    tables: WoundTables, key_0: int, key_1: int, subject: int, out: Any, count: int, casualty: Any
) -> None:
    """Write the scores, the severity and the stay of an injury."""
    ais = out["ais"]
    worst = 0
    for wound in range(count):
        worst = max(worst, int(ais[wound]))
    casualty.primary_code = out[0].code
    casualty.primary_site = out[0].site
    casualty.max_ais = worst
    casualty.iss = scores.iss(ais, out["body_region"], count)
    casualty.niss = scores.niss(ais, count)
    casualty.condition_severity = min(max(worst - 1, LIGHT), SEVERE)
    u_stay, _, _, _ = streams.uniforms(key_0, key_1, subject, _STAY)
    spread = math.exp(tables.settings[0].stay_spread * streams.normal(u_stay))
    days = math.exp(tables.stay[worst])
    if casualty.chemical_dose_mg_min_m3 > 0.0:
        days = max(days, _days_after_dose(tables, casualty.chemical_dose_mg_min_m3))
    casualty.disability = _lasting(tables, key_0, key_1, subject, out, count)
    casualty.stay_days = days * spread
    if casualty.disability != NO_DISABILITY:
        casualty.stay_days = max(casualty.stay_days, tables.least_stay[casualty.disability])


@jit
def _lasting(
    tables: WoundTables, key_0: int, key_1: int, subject: int, out: Any, count: int
) -> int:
    """Return the gravest disability that the wounds leave, if the casualty lives."""
    chance, _, _, _ = streams.uniforms(key_0, key_1, subject, _DISABILITY)
    gravest = NO_DISABILITY
    for wound in range(count):
        code, site, ais = out[wound].code, out[wound].site, out[wound].ais
        left = tables.disability[code, site, ais]
        is_left = left != NO_DISABILITY and chance < tables.disability_share[code, site, ais]
        if is_left and (gravest == NO_DISABILITY or left < gravest):
            gravest = left
    return gravest


@jit
def _days_after_dose(tables: WoundTables, dose: float) -> float:
    step = 0
    while dose > tables.dose_stay[step, 0]:
        step += 1
    return float(tables.dose_stay[step, 1])


@entry_point
def _inflict_into(
    tables: WoundTables,
    key_0: int,
    key_1: int,
    subjects: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    warfare: npt.NDArray[np.uint8],
    environment: npt.NDArray[np.uint16],
    casualties: Any,
    wounds: Any,
    offsets: npt.NDArray[np.int64],
) -> None:
    for index in range(len(subjects)):
        start = offsets[index]
        offsets[index + 1] = start + inflict(
            tables,
            key_0,
            key_1,
            subjects[index],
            classes[index],
            warfare[index],
            environment[index],
            wounds[start : start + MOST_WOUNDS],
            casualties[index],
        )


def inflict_many(
    tables: WoundTables,
    key_0: int,
    key_1: int,
    subjects: npt.NDArray[np.int64],
    classes: npt.NDArray[np.uint8],
    warfare: npt.NDArray[np.uint8],
    environment: npt.NDArray[np.uint16],
) -> tuple[npt.NDArray[np.void], npt.NDArray[np.void], npt.NDArray[np.int64]]:
    """Return casualties, all their wounds, and where each one's begin, with the end of the last."""
    count = len(subjects)
    casualties = np.zeros(count, CASUALTY)
    wounds = np.zeros(count * MOST_WOUNDS, WOUND)
    offsets = np.zeros(count + 1, np.int64)
    _inflict_into(
        tables, key_0, key_1, subjects, classes, warfare, environment, casualties, wounds, offsets
    )
    return casualties, wounds[: offsets[-1]].copy(), offsets
