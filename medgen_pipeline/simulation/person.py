"""Stage 2, who: nation, sex, age, names, identifier, blood, weight, faith and allergies.

A person follows from the key of the replicate and the subject number alone (and, as to nation, sex
and birth date, from the front, class and time of the injury), so any subjects in any order give the
same people.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference.demographics import Weight, demographics
from medgen_pipeline.reference.names import Names
from medgen_pipeline.reference.names import people as people_names
from medgen_pipeline.reference.nations import nations
from medgen_pipeline.reference.vocabulary import CASUALTY_CLASSES, NATIONS
from medgen_pipeline.scenario.model import Age, Scenario
from medgen_pipeline.simulation.calendar import date_of, days_to, is_leap
from medgen_pipeline.simulation.choices import Choices, choices, pick
from medgen_pipeline.simulation.compiled import entry_point, jit
from medgen_pipeline.simulation.identifiers import Formats, formats, render
from medgen_pipeline.simulation.rows import Column, Lists, Vocabulary
from medgen_pipeline.simulation.streams import NATION, PERSON, normal, uniforms

_BATTLE: Final = CASUALTY_CLASSES.index("battle_injury")
_SECONDS_A_DAY: Final = 86_400
_NOBODY: Final = -1  # no religion, no allergy


class _Draws(NamedTuple):
    """What the draws need, as arrays."""

    start_s: int  # the scenario's start, seconds since 1970
    female_shares: npt.NDArray[np.float64]  # battle, other
    allergic_shares: npt.NDArray[np.float64]  # any, two of those
    weight_kg: npt.NDArray[np.float64]  # sex x (mean, sd, lowest and highest probability)
    nations: Choices  # by front
    ages: Choices  # one row
    peoples: Choices  # by nation
    given: Choices  # by people and sex
    family: Choices  # by people and sex
    blood: Choices  # by nation
    religions: Choices  # by nation
    allergies: Choices  # one row


@dataclass(frozen=True, slots=True)
class PeopleTables:
    """All that decides who the casualties of a scenario are, built once."""

    draws: _Draws
    formats: Formats
    dictionaries: Mapping[str, tuple[str, ...]]  # words of the coded columns
    words: Mapping[str, Vocabulary]  # the same, as rows hand them out


def people_tables(scenario: Scenario) -> PeopleTables:
    """Return the tables of a scenario; only the names of its nations are loaded."""
    facts, known = demographics(), nations()
    present = {nation for front in scenario.fronts for nation in front.nations}
    keys = tuple(sorted({key for n in known if n.iso3 in present for key in n.names}))
    peoples = [people_names(key) for key in keys]
    given, given_names = _names([p.given for p in peoples])
    family, family_names = _names([p.family for p in peoples])
    faiths = tuple(facts.religions)
    draws = _Draws(
        start_s=int(scenario.start.timestamp()),
        female_shares=np.array(
            [scenario.force.female_share_battle, scenario.force.female_share_other]
        ),
        allergic_shares=np.array([facts.allergic.share, facts.allergic.share_with_two]),
        weight_kg=_weights(facts.weight_kg),
        nations=choices(
            {NATIONS.index(nation): share for nation, share in front.nations.items()}
            for front in scenario.fronts
        ),
        ages=choices([_ages(scenario.force.age)]),
        peoples=choices(
            {keys.index(key): share for key, share in n.names.items() if n.iso3 in present}
            for n in known
        ),
        given=given,
        family=family,
        blood=choices(dict(enumerate(n.blood)) for n in known),
        religions=choices(_religions(n.religion, faiths) for n in known),
        allergies=choices([{i: allergy.share for i, allergy in enumerate(facts.allergies)}]),
    )
    dictionaries = {
        "nationality": NATIONS,
        "given_name": given_names,
        "family_name": family_names,
        "religion": tuple(facts.religions.values()),
        "allergy_codes": tuple(allergy.code for allergy in facts.allergies),
    }
    return PeopleTables(
        draws=draws,
        formats=formats([n.identifier for n in known]),
        dictionaries=dictionaries,
        words={name: Vocabulary.of(words) for name, words in dictionaries.items()},
    )


def _names(lists: Iterable[tuple[Names, Names]]) -> tuple[Choices, tuple[str, ...]]:
    """Return a row for each people and sex, and the dictionary that their codes index."""
    rows = [names for pair in lists for names in pair]
    words = tuple(sorted({name for names in rows for name in names}))
    codes = {word: code for code, word in enumerate(words)}
    table = choices({codes[name]: weight for name, weight in names.items()} for names in rows)
    return table, words


def _religions(percents: Mapping[str, float], faiths: tuple[str, ...]) -> dict[int, float]:
    shares = {faiths.index(faith): percent for faith, percent in percents.items()}
    return {**shares, _NOBODY: 100 - sum(percents.values())}


def _weights(weight: Weight) -> npt.NDArray[np.float64]:
    bounds = weight.minimum, weight.maximum
    return np.array(
        [
            (by.mean, by.sd, *(_normal_share((bound - by.mean) / by.sd) for bound in bounds))
            for by in (weight.male, weight.female)
        ]
    )


def _normal_share(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _ages(age: Age) -> dict[int, float]:
    """Return the share of each age in whole years.

    minimum + gamma(shape, scale), given that it is at most `maximum`, to the nearest year: ages are
    published in whole years, and so the mean of ours is the published one.
    """
    if age.minimum == age.maximum:
        return {age.minimum: 1.0}
    bounds = [age.minimum, *(year + 0.5 for year in range(age.minimum, age.maximum)), age.maximum]
    below = [_gamma_share(age.shape, (bound - age.minimum) / age.scale) for bound in bounds]
    return {age.minimum + i: high - low for i, (low, high) in enumerate(itertools.pairwise(below))}


def _gamma_share(shape: float, x: float) -> float:
    """Return the share of a gamma distribution of scale 1 that lies below x, shape at most 20.

    The series of Abramowitz and Stegun 6.5.29; beyond 500, nothing is left.
    """
    if x >= 500:
        return 1.0
    term = total = 1.0
    n = 0
    while term > total * 1e-17:
        n += 1
        term *= x / (shape + n)
        total += term
    return total * math.exp(shape * math.log(x) - x - math.lgamma(shape + 1)) if x > 0 else 0.0


def people(
    tables: PeopleTables,
    key_0: np.uint64,
    key_1: np.uint64,
    subjects: npt.NDArray[np.int64],
    front: npt.NDArray[np.int16],
    casualty_class: npt.NDArray[np.uint8],
    injured_s: npt.NDArray[np.int32],
) -> dict[str, Column]:
    """Return the columns of the table patients that say who, for some subjects of a replicate.

    `injured_s` is in seconds from the scenario's start. `age_years` is the age on the (UTC) date of
    the injury. Coded columns index `tables.dictionaries`, sex and blood group the vocabulary.
    """
    key = np.array([key_0, key_1], np.uint64)
    subjects = np.ascontiguousarray(subjects, np.int64)
    columns = _draw(
        tables.draws,
        key,
        subjects,
        np.ascontiguousarray(front, np.int16),
        np.ascontiguousarray(casualty_class, np.uint8),
        np.ascontiguousarray(injured_s, np.int32),
    )
    nation, sex, age, birth, given, family, blood, weight, religion, allergies = columns
    has = allergies != _NOBODY
    offsets = np.zeros(len(subjects) + 1, np.int32)
    np.cumsum(has.sum(axis=1), out=offsets[1:])
    return {
        "nationality": nation,
        "sex": sex,
        "age_years": age,
        "birth_date": birth,
        "given_name": given,
        "family_name": family,
        "service_number": render(tables.formats, key, subjects, nation, sex, birth),
        "blood_group": blood,
        "weight_kg": weight,
        "religion": religion,
        "allergy_codes": Lists(offsets, allergies[has]),
    }


@entry_point
def _draw(
    tables: _Draws,
    key: npt.NDArray[np.uint64],
    subjects: npt.NDArray[np.int64],
    front: npt.NDArray[np.int16],
    casualty_class: npt.NDArray[np.uint8],
    injured_s: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[Any], ...]:
    key_0, key_1 = key[0], key[1]
    count = len(subjects)
    nation = np.empty(count, np.int8)
    sex = np.empty(count, np.int8)
    age = np.empty(count, np.uint8)
    birth = np.empty(count, np.int32)
    given = np.empty(count, np.int32)
    family = np.empty(count, np.int32)
    blood = np.empty(count, np.int8)
    weight = np.empty(count, np.float32)
    religion = np.empty(count, np.int8)
    allergies = np.empty((count, 2), np.int16)
    for i in range(count):
        subject = subjects[i]
        u_nation, u_people, u_sex, u_age = uniforms(key_0, key_1, subject, NATION)
        of_nation = pick(tables.nations, int(front[i]), u_nation)
        of_people = pick(tables.peoples, of_nation, u_people)
        is_female = int(u_sex < tables.female_shares[int(casualty_class[i] != _BATTLE)])
        age_years = pick(tables.ages, 0, u_age)

        u_given, u_family, u_birth, u_weight = uniforms(key_0, key_1, subject, PERSON)
        given[i] = pick(tables.given, 2 * of_people + is_female, u_given)
        family[i] = pick(tables.family, 2 * of_people + is_female, u_family)
        today = (tables.start_s + injured_s[i]) // _SECONDS_A_DAY
        birth[i] = _birth_date(today, age_years, u_birth)
        weight[i] = _weight_kg(tables.weight_kg, is_female, u_weight)

        u_blood, u_religion, u_allergic, u_two = uniforms(key_0, key_1, subject, PERSON + 1)
        blood[i] = pick(tables.blood, of_nation, u_blood)
        religion[i] = pick(tables.religions, of_nation, u_religion)
        nation[i], sex[i], age[i] = of_nation, is_female, age_years
        allergies[i, 0] = allergies[i, 1] = _NOBODY
        if u_allergic < tables.allergic_shares[0]:
            u_first, u_second, _, _ = uniforms(key_0, key_1, subject, PERSON + 2)
            allergies[i, 0] = pick(tables.allergies, 0, u_first)
            second = pick(tables.allergies, 0, u_second)
            if u_two < tables.allergic_shares[1] and second != allergies[i, 0]:
                allergies[i, 1] = second
    return nation, sex, age, birth, given, family, blood, weight, religion, allergies


@jit
def _birth_date(today: int, age_years: int, uniform: float) -> int:
    """Return one of the days on which someone of that age today may have been born."""
    year, month, day = date_of(today)
    latest = _anniversary(year - age_years, month, day)
    earliest = _anniversary(year - age_years - 1, month, day) + 1
    return int(earliest + min(int(uniform * (latest - earliest + 1)), latest - earliest))


@jit
def _anniversary(year: int, month: int, day: int) -> int:
    """Return the day number of a date, 28 February where there is no 29th."""
    if month == 2 and day == 29 and not is_leap(year):
        day = 28
    return days_to(year, month, day)


@jit
def _weight_kg(table: npt.NDArray[np.float64], sex: int, uniform: float) -> float:
    """Return a weight from a normal distribution cut off at the bounds, to 0.1 kg."""
    mean, sd, lowest, highest = table[sex, 0], table[sex, 1], table[sex, 2], table[sex, 3]
    kilograms = mean + sd * normal(lowest + uniform * (highest - lowest))
    return float(math.floor(kilograms * 10 + 0.5) / 10)
