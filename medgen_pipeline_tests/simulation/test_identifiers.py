"""Identifiers are held against python-stdnum, which knows the real rules of each nation."""

import datetime as dt
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.be import nn
from stdnum.bg import egn
from stdnum.ca import sin
from stdnum.cz import rc
from stdnum.dk import cpr
from stdnum.ee import ik
from stdnum.es import dni
from stdnum.fr import nir
from stdnum.hr import oib
from stdnum.is_ import kennitala
from stdnum.lt import asmens
from stdnum.lv import pvn
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.ro import cnp
from stdnum.se import personnummer
from stdnum.si import emso
from stdnum.tr import tckimlik
from stdnum.ua import rntrc
from stdnum.us import ssn

from medgen_pipeline.reference.nations import Nation, nations
from medgen_pipeline.reference.vocabulary import NATIONS
from medgen_pipeline.simulation.identifiers import formats, render

FORMATS = formats([nation.identifier for nation in nations()])
EPOCH = dt.date(1970, 1, 1)
KEY = np.array([1, 2], np.uint64)


@dataclass(frozen=True)
class Person:
    """What an identifier may tell of someone."""

    subject: int
    is_female: bool
    born: dt.date


persons = st.builds(
    Person,
    st.integers(0, 89_999_999),
    st.booleans(),
    st.dates(dt.date(1955, 1, 1), dt.date(2008, 12, 31)),
)


def identifiers(iso3: str, people: Sequence[Person]) -> list[str]:
    """Return the identifiers of some people of one nation."""
    rendered = render(
        FORMATS,
        KEY,
        np.array([person.subject for person in people], np.int64),
        np.full(len(people), NATIONS.index(iso3), np.int8),
        np.array([person.is_female for person in people], np.int8),
        np.array([(person.born - EPOCH).days for person in people], np.int32),
    )
    data, offsets = rendered.data.tobytes(), rendered.offsets
    return [data[a:b].decode("ascii") for a, b in itertools.pairwise(offsets)]


def identifier(iso3: str, person: Person) -> str:
    return identifiers(iso3, [person])[0]


@pytest.mark.parametrize("nation", nations(), ids=NATIONS)
@given(person=persons)
def test_every_identifier_has_its_nations_shape(nation: Nation, person: Person) -> None:
    """The pattern of nations.toml matches the whole identifier, for anyone."""
    assert re.fullmatch(nation.identifier.pattern, identifier(nation.iso3, person))


def _last_digit(is_valid: Callable[[str], bool], place: int = -1) -> Callable[[str], list[str]]:
    """Return a function that lists the digits at a place with which a number would be real."""

    def real(number: str) -> list[str]:
        at = place % len(number)
        return [d for d in "0123456789" if is_valid(number[:at] + d + number[at + 1 :])]

    return real


WRONG = {  # nation: the digits with which the number would be real, the place of the check digit
    "BGR": (_last_digit(egn.is_valid), -1),
    "CAN": (_last_digit(sin.is_valid), -1),
    "CZE": (_last_digit(rc.is_valid), -1),
    "EST": (_last_digit(ik.is_valid), -1),
    "HRV": (_last_digit(oib.is_valid), -1),
    "ISL": (_last_digit(kennitala.is_valid, -2), -2),
    "LTU": (_last_digit(asmens.is_valid), -1),
    "LUX": (_last_digit(lambda number: luhn.is_valid(number[:-1]), -2), -2),
    "LVA": (_last_digit(pvn.is_valid), -1),
    "MKD": (_last_digit(emso.is_valid), -1),
    "MNE": (_last_digit(emso.is_valid), -1),
    "NLD": (_last_digit(bsn.is_valid), -1),
    "POL": (_last_digit(pesel.is_valid), -1),
    "SVK": (_last_digit(rc.is_valid), -1),
    "SVN": (_last_digit(emso.is_valid), -1),
    "SWE": (_last_digit(personnummer.is_valid), -1),
    "AUS": (_last_digit(luhn.is_valid), -1),
    "UKR": (_last_digit(rntrc.is_valid), -1),
}


@pytest.mark.parametrize("iso3", WRONG)
@given(person=persons)
def test_a_wrong_check_digit_is_the_one_after_the_right_one(iso3: str, person: Person) -> None:
    """The number is never real; what would make it so is the digit before, if any digit does."""
    real, place = WRONG[iso3]
    number = identifier(iso3, person)
    right = real(number)
    assert right in ([], [str((int(number[place]) - 1) % 10)])


@pytest.mark.parametrize("iso3", WRONG)
def test_most_numbers_have_a_right_check_digit(iso3: str) -> None:
    """Ten in eleven or more would be real with another check digit: the rest is in order."""
    real, _ = WRONG[iso3]
    people = [Person(i, i % 3 == 0, dt.date(1990, 1 + i % 12, 1 + i % 28)) for i in range(99)]
    assert sum(bool(real(number)) for number in identifiers(iso3, people)) > 70


@given(persons)
def test_belgian_check_digits_are_one_above_the_right_ones(person: Person) -> None:
    """The two digits are 97 minus the remainder, plus one, within 01 to 97."""
    number = identifier("BEL", person)
    right = [c for c in range(1, 98) if nn.is_valid(f"{number[:-2]}{c:02}")]
    assert int(number[-2:]) in [c % 97 + 1 for c in right]
    assert not nn.is_valid(number)


@given(persons)
def test_portuguese_check_digits_are_one_above_the_right_ones(person: Person) -> None:
    """Weights 9 to 2, eleven minus the remainder, 10 and 11 written 0; plus one."""
    number = identifier("PRT", person)
    total = sum(w * int(d) for w, d in zip(range(9, 1, -1), number, strict=False))
    right = {10: 0, 11: 0}.get(11 - total % 11, 11 - total % 11)
    assert int(number[-1]) == (right + 1) % 10


@given(persons)
def test_check_characters_are_right_where_a_reserved_range_is_the_mark(person: Person) -> None:
    """Spain, France, Norway, Romania and Türkiye pass their real check."""
    spain, france, norway, romania, turkey = (
        identifier(iso3, person) for iso3 in ("ESP", "FRA", "NOR", "ROU", "TUR")
    )
    assert dni.is_valid(spain)
    assert nir.is_valid(france)
    assert fodselsnummer.calc_check_digit1(norway) == norway[-2]
    assert fodselsnummer.calc_check_digit2(norway) == norway[-1]
    assert cnp.calc_check_digit(romania[:-1]) == romania[-1]
    assert tckimlik.calc_check_digits(turkey[:-2]) == turkey[-2:]


@given(persons)
def test_new_zealand_numbers_pass_their_check(person: Person) -> None:
    """Letters count from A = 1 without I and O, weights 7 to 2; 0 is no remainder of a number."""
    number = identifier("NZL", person)
    values = ["_ABCDEFGHJKLMNPQRSTUVWXYZ".index(c) for c in number[:3]] + [*map(int, number[3:])]
    remainder = sum(w * v for w, v in zip(range(7, 1, -1), values, strict=False)) % 11
    assert remainder != 0
    assert values[-1] == (11 - remainder) % 10


def test_the_health_ministrys_example_has_the_check_digit_we_compute() -> None:
    """ZZZ0016, the example of New Zealand's HISO 10046, obeys the rule tested above."""
    weighted = 7 * 24 + 6 * 24 + 5 * 24 + 4 * 0 + 3 * 0 + 2 * 1
    assert (11 - weighted % 11) % 10 == 6


@given(persons)
def test_reserved_ranges_are_kept(person: Person) -> None:
    """Numbers without a check character are marked by a range that nobody is given."""
    starts = {"DEU": "Q", "GBR": "QQ", "GRC": "Q", "ESP": "99", "TUR": "0", "NZL": "Z", "FIN": "39"}
    for iso3, start in starts.items():
        assert identifier(iso3, person).startswith(start)
    assert identifier("ALB", person)[2:4] == "00"
    assert identifier("FRA", person)[8:10] == "00"
    assert identifier("HUN", person)[6] == "Q"
    assert len(identifier("ITA", person)) == 17
    assert 60 <= int(identifier("ROU", person)[7:9]) <= 69
    american = identifier("USA", person)
    assert not ssn.is_valid(american)
    assert int(american[4:6]) < 50


BIRTH_DATES: dict[str, Callable[[str], dt.date | None]] = {
    "BEL": lambda number: nn.get_birth_date(
        f"{number[:-2]}{(int(number[-2:]) - 2) % 97 + 1:02}"  # the right check tells the century
    ),
    "BGR": egn.get_birth_date,
    "CZE": rc.get_birth_date,
    "DNK": lambda number: cpr.get_birth_date(f"{int(number[:2]) - 60:02}{number[2:]}"),
    "EST": ik.get_birth_date,
    "LTU": ik.get_birth_date,
    "LUX": lambda number: dt.date.fromisoformat(number[:8]),
    "LVA": pvn.get_birth_date,
    "MKD": emso.get_birth_date,
    "MNE": emso.get_birth_date,
    "NOR": lambda number: fodselsnummer.get_birth_date(
        f"{number[:2]}{int(number[2:4]) - 80:02}{number[4:]}"
    ),
    "POL": pesel.get_birth_date,
    "ROU": cnp.get_birth_date,
    "SVK": rc.get_birth_date,
    "SVN": emso.get_birth_date,
    "SWE": personnummer.get_birth_date,
    "UKR": lambda number: dt.date(1899, 12, 31) + dt.timedelta(int(number[:5])),
    "ISL": lambda number: dt.date(
        {"9": 1900, "0": 2000}[number[10]] + int(number[4:6]), int(number[2:4]), int(number[:2])
    ),
}


@pytest.mark.parametrize("iso3", BIRTH_DATES)
@given(person=persons)
def test_birth_dates_within_identifiers_are_the_persons(iso3: str, person: Person) -> None:
    """Read by the nation's own rule, the identifier gives the birth date back."""
    assert BIRTH_DATES[iso3](identifier(iso3, person)) == person.born


def test_every_format_with_a_birth_date_is_held_against_it() -> None:
    """No nation whose template writes a day of birth is left out above."""
    dated = {
        n.iso3 for n in nations() if "dd" in n.identifier.template or "j" in n.identifier.template
    }
    assert dated == set(BIRTH_DATES)


SEXES: dict[str, Callable[[str], bool]] = {  # whether the number is a woman's
    "BEL": lambda number: nn.get_gender(number) == "F",
    "BGR": lambda number: int(number[8]) % 2 == 1,
    "CZE": lambda number: int(number[2]) >= 5,
    "DNK": lambda number: int(number[-1]) % 2 == 0,
    "EST": lambda number: ik.get_gender(number) == "F",
    "FRA": lambda number: number[0] == "2",
    "LTU": lambda number: ik.get_gender(number) == "F",
    "MKD": lambda number: emso.get_gender(number) == "F",
    "MNE": lambda number: emso.get_gender(number) == "F",
    "NOR": lambda number: fodselsnummer.get_gender(number) == "F",
    "POL": lambda number: pesel.get_gender(number) == "F",
    "ROU": lambda number: number[0] in "246",
    "SVK": lambda number: int(number[2]) >= 5,
    "SVN": lambda number: emso.get_gender(number) == "F",
    "SWE": lambda number: personnummer.get_gender(number) == "F",
    "UKR": lambda number: int(number[8]) % 2 == 0,
}


@pytest.mark.parametrize("iso3", SEXES)
@given(person=persons)
def test_sexes_within_identifiers_are_the_persons(iso3: str, person: Person) -> None:
    """Read by the nation's own rule, the identifier gives the sex back."""
    assert SEXES[iso3](identifier(iso3, person)) == person.is_female


@pytest.mark.parametrize("iso3", ["USA", "DEU", "GBR", "TUR", "NLD", "HRV"])
def test_people_whose_format_has_room_never_share_an_identifier(iso3: str) -> None:
    """100,000 people of one nation and one birth date, a thousand numbers apart, all differ."""
    people = [Person(1_000 + i, i % 2 == 0, dt.date(2000, 1, 1)) for i in range(100_000)]
    assert len(set(identifiers(iso3, people))) == len(people)


@pytest.mark.parametrize("iso3", ["SWE", "POL", "EST"])
def test_neighbours_born_on_one_day_never_share_an_identifier(iso3: str) -> None:
    """Where the format is smaller, as many subjects in a row differ as it has serial numbers."""
    space = int(FORMATS.spaces[NATIONS.index(iso3)])
    people = [Person(7_777 + i, False, dt.date(1999, 9, 9)) for i in range(space)]  # noqa: FBT003
    assert len(set(identifiers(iso3, people))) == space


def test_another_replicate_numbers_the_same_subjects_otherwise() -> None:
    """The permutation is keyed by replicate."""
    subjects = np.arange(100, dtype=np.int64)
    nation = np.full(100, NATIONS.index("USA"), np.int8)
    sex, birth = np.zeros(100, np.int8), np.full(100, 10_000, np.int32)
    first, second = (
        render(FORMATS, np.array(key, np.uint64), subjects, nation, sex, birth).data.tobytes()
        for key in ([1, 2], [3, 4])
    )
    assert first != second
