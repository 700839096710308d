import datetime as dt
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.reference.demographics import demographics
from medgen_pipeline.reference.names import people as people_names
from medgen_pipeline.reference.nations import nations
from medgen_pipeline.reference.vocabulary import BLOOD_GROUPS, NATIONS, SEXES
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation.person import PeopleTables, people, people_tables
from medgen_pipeline.simulation.rows import Column, Lists, Strings
from medgen_pipeline.simulation.streams import replicate_key
from medgen_pipeline_tests.proportions import chi_square_z

START = dt.datetime(2024, 2, 20, 18, tzinfo=dt.UTC)
DAYS = 400  # leap day and all
FRONTS = ({"POL": 0.5, "USA": 0.3, "LTU": 0.2}, dict.fromkeys(NATIONS, 1 / len(NATIONS)))
DOUBTED = 3.7  # wrong once in 10,000
KEY = replicate_key(1, 0)


def scenario(**force: Any) -> Scenario:  # noqa: ANN401  any part of a force profile
    """Return a scenario with the two fronts above."""
    leg = {"ground_minutes": 30.0}
    group = {"units": 1, "beds": 10, "hold_hours": {"T1": 1.0, "T2": 2.0, "T3": 3.0}}
    legs = (
        "point_of_injury_to_role1",
        "point_of_injury_to_role2",
        "role1_to_role2",
        "role2_to_role3",
        "role3_to_role4",
    )
    return Scenario.model_validate(
        {
            "id": "people",
            "title": "People",
            "start": START,
            "days": 365,
            "patients": 1_000,
            "warfare": {"conventional": 1.0},
            "fronts": tuple(
                {"id": f"front-{i}", "share": 0.5, "nations": shares}
                for i, shares in enumerate(FRONTS)
            ),
            "facilities": {"role1": group, "role2": group, "role3": group},
            "evacuation": dict.fromkeys(legs, leg),
            "force": force,
        }
    )


@functools.cache
def default_tables() -> PeopleTables:
    return people_tables(scenario())


@pytest.fixture
def tables() -> PeopleTables:
    return default_tables()


def drawn(
    tables: PeopleTables,
    subjects: npt.NDArray[np.int64],
    *,
    front: int = 1,
    casualty_class: int = 0,
    key: tuple[np.uint64, np.uint64] = KEY,
) -> dict[str, Column]:
    """Return people who were hurt at times that follow from their numbers."""
    count = len(subjects)
    return people(
        tables,
        *key,
        subjects,
        np.full(count, front, np.int16),
        np.full(count, casualty_class, np.uint8),
        (subjects * 7_919 % (DAYS * 86_400)).astype(np.int32),
    )


def row(columns: dict[str, Column], index: int) -> tuple[Any, ...]:
    """Return one person, all columns."""
    cells: list[Any] = []
    for column in columns.values():
        if isinstance(column, Strings):
            cells.append(column.data[column.offsets[index] : column.offsets[index + 1]].tobytes())
        elif isinstance(column, Lists):
            cells.append(column.codes[column.offsets[index] : column.offsets[index + 1]].tolist())
        else:
            cells.append(column[index])
    return tuple(cells)


def array(column: Column) -> npt.NDArray[Any]:
    assert isinstance(column, np.ndarray)
    return column


@given(st.lists(st.integers(0, 99_999_999), min_size=1, max_size=30), st.integers(0, 2))
def test_a_person_is_the_same_in_any_company(subjects: list[int], casualty_class: int) -> None:
    """Alone, in any subset and in any order, a subject number gives the same person."""
    together = drawn(default_tables(), np.array(subjects, np.int64), casualty_class=casualty_class)
    for index, subject in enumerate(subjects):
        alone = drawn(
            default_tables(), np.array([subject], np.int64), casualty_class=casualty_class
        )
        assert row(alone, 0) == row(together, index)


def test_nobody_is_drawn_from_no_subjects(tables: PeopleTables) -> None:
    """An empty block has empty columns."""
    assert all(len(column) == 0 for column in drawn(tables, np.empty(0, np.int64)).values())


def test_another_replicate_holds_other_people(tables: PeopleTables) -> None:
    """Hardly any of the same subjects have the same birth date in two replicates."""
    subjects = np.arange(1_000)
    first = drawn(tables, subjects)
    second = drawn(tables, subjects, key=replicate_key(1, 1))
    same = np.count_nonzero(array(first["birth_date"]) == array(second["birth_date"]))
    assert same < 20


def test_columns_are_as_wide_as_they_need_to_be(tables: PeopleTables) -> None:
    """A million people take little memory."""
    kinds = {
        name: column.dtype.name
        for name, column in drawn(tables, np.arange(3)).items()
        if isinstance(column, np.ndarray)
    }
    assert kinds == {
        "nationality": "int8",
        "sex": "int8",
        "age_years": "uint8",
        "birth_date": "int32",
        "given_name": "int32",
        "family_name": "int32",
        "blood_group": "int8",
        "weight_kg": "float32",
        "religion": "int8",
    }


def test_age_is_exact_on_the_day_of_the_injury(tables: PeopleTables) -> None:
    """Birthdays had until that UTC date, counted as the calendar does, are the age in years."""
    subjects = np.arange(20_000)
    columns = drawn(tables, subjects)
    epoch = dt.date(1970, 1, 1)
    injured_s = subjects * 7_919 % (DAYS * 86_400)
    for age, birth, second in zip(
        array(columns["age_years"]), array(columns["birth_date"]), injured_s, strict=True
    ):
        born = epoch + dt.timedelta(int(birth))
        today = (START + dt.timedelta(seconds=int(second))).date()
        had_birthday = (today.month, today.day) >= (born.month, born.day)
        assert age == today.year - born.year - (not had_birthday)


def test_birthdays_fall_on_every_day_alike(tables: PeopleTables) -> None:
    """Months are as frequent as they are long; one a tenth longer would be found out."""
    columns = drawn(tables, np.arange(200_000))
    dates = array(columns["birth_date"]).astype("datetime64[D]")
    months = np.bincount(dates.astype("datetime64[M]").astype(int) % 12, minlength=12)
    lengths = [31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    assert chi_square_z(months, lengths) < DOUBTED
    assert chi_square_z(months, [34.1, *lengths[1:]]) > DOUBTED


def test_ages_are_those_of_the_wounded(tables: PeopleTables) -> None:
    """Mean 26.0 (Belmont 2012; standard error here 0.014) between 18 and 60, mostly young."""
    ages = array(drawn(tables, np.arange(200_000))["age_years"])
    assert ages.min() == 18
    assert 55 <= ages.max() <= 60
    assert ages.mean() == pytest.approx(25.97, abs=0.06)
    assert ages.std() == pytest.approx(4.7 * np.sqrt(1.7), abs=0.1)  # of the gamma, little cut off


@pytest.mark.parametrize(
    ("shape", "scale"), [(0.05, 0.01), (1.7, 4.7), (20.0, 0.02), (20.0, 40.0), (0.1, 40.0)]
)
def test_any_legal_age_profile_gives_legal_ages(shape: float, scale: float) -> None:
    """At the corners of what a scenario may say, ages stay between minimum and maximum."""
    tables = people_tables(
        scenario(age={"minimum": 17, "maximum": 75, "shape": shape, "scale": scale})
    )
    ages = array(drawn(tables, np.arange(5_000))["age_years"])
    assert 17 <= ages.min() <= ages.max() <= 75
    if shape * scale < 1:
        assert ages.mean() < 20
    if shape * scale > 75:
        assert ages.mean() > 70


def test_a_force_of_one_age_is_of_that_age() -> None:
    """Minimum and maximum may be the same."""
    tables = people_tables(scenario(age={"minimum": 21, "maximum": 21}))
    assert set(array(drawn(tables, np.arange(100))["age_years"]).tolist()) == {21}


def test_fronts_have_their_nations(tables: PeopleTables) -> None:
    """Front 0 sends three nations in its shares; one percent point more would be found out."""
    nation = array(drawn(tables, np.arange(200_000), front=0)["nationality"])
    counts = [int(np.count_nonzero(nation == NATIONS.index(iso3))) for iso3 in FRONTS[0]]
    assert sum(counts) == 200_000
    assert chi_square_z(counts, [0.5, 0.3, 0.2]) < DOUBTED
    assert chi_square_z(counts, [0.5, 0.31, 0.19]) > DOUBTED


@pytest.mark.parametrize(("casualty_class", "share"), [(0, 0.02), (1, 0.10), (2, 0.10)])
def test_women_are_as_many_as_the_force_says(
    tables: PeopleTables, casualty_class: int, share: float
) -> None:
    """By class of casualty; a share a tenth greater would be found out."""
    sex = array(drawn(tables, np.arange(300_000), casualty_class=casualty_class)["sex"])
    counts = np.bincount(sex, minlength=len(SEXES))
    assert chi_square_z(counts, [1 - share, share]) < DOUBTED
    assert chi_square_z(counts, [1 - 1.1 * share, 1.1 * share]) > DOUBTED


def test_blood_groups_are_the_nations(tables: PeopleTables) -> None:
    """Of 100,000 Poles; one percent point from O+ to A+ would be found out."""
    columns = drawn(tables, np.arange(200_000), front=0)
    poles = array(columns["nationality"]) == NATIONS.index("POL")
    counts = np.bincount(array(columns["blood_group"])[poles], minlength=len(BLOOD_GROUPS))
    shares = nations()[NATIONS.index("POL")].blood
    assert chi_square_z(counts, shares) < DOUBTED
    assert chi_square_z(counts, [shares[0] - 1, shares[1] + 1, *shares[2:]]) > DOUBTED


def test_faiths_are_the_nations(tables: PeopleTables) -> None:
    """Poland's: two stated faiths, the rest none."""
    columns = drawn(tables, np.arange(200_000), front=0)
    poles = array(columns["nationality"]) == NATIONS.index("POL")
    counts = np.bincount(array(columns["religion"])[poles] + 1)
    shares = nations()[NATIONS.index("POL")].religion
    expected = [100 - sum(shares.values()), *(shares.get(f, 0) for f in demographics().religions)]
    stated = [i for i, share in enumerate(expected) if share]
    assert counts.sum() == counts[stated].sum()
    assert chi_square_z(counts[stated], [expected[i] for i in stated]) < DOUBTED


def test_names_are_those_of_the_nation_and_sex(tables: PeopleTables) -> None:
    """Every nation and sex turns up, each with names of one people of that nation."""
    words = tables.dictionaries
    peoples = {n.iso3: [people_names(key) for key in n.names] for n in nations()}
    columns = drawn(tables, np.arange(3_000), casualty_class=1)
    seen = set()
    for nation, sex, given_code, family_code in zip(
        *(array(columns[name]) for name in ("nationality", "sex", "given_name", "family_name")),
        strict=True,
    ):
        given = words["given_name"][given_code]
        family = words["family_name"][family_code]
        assert any(
            given in p.given[sex] and family in p.family[sex] for p in peoples[NATIONS[nation]]
        )
        seen.add((nation, sex))
    assert {nation for nation, _ in seen} == set(range(len(NATIONS)))
    assert {sex for _, sex in seen} == {0, 1}


def test_common_names_are_common(tables: PeopleTables) -> None:
    """Smith is drawn as often as its weight among American names says."""
    columns = drawn(tables, np.arange(300_000), front=0)
    americans = array(columns["nationality"]) == NATIONS.index("USA")
    smith = tables.dictionaries["family_name"].index("Smith")
    smiths = int(np.count_nonzero(array(columns["family_name"])[americans] == smith))
    weights = people_names("en_US").family[0]
    share = weights["Smith"] / sum(weights.values())
    counts = [smiths, int(americans.sum()) - smiths]
    assert chi_square_z(counts, [share, 1 - share]) < DOUBTED
    assert chi_square_z(counts, [1.2 * share, 1 - 1.2 * share]) > DOUBTED


def test_only_the_names_of_the_scenarios_nations_are_loaded(tables: PeopleTables) -> None:
    """The dictionaries hold no word that no front can draw."""
    one = scenario().model_copy(
        update={"fronts": (scenario().fronts[0].model_copy(update={"nations": {"ISL": 1.0}}),)}
    )
    words = people_tables(one).dictionaries["family_name"]
    assert all(word.endswith(("son", "dóttir")) for word in words)
    assert len(tables.dictionaries["family_name"]) > len(words)


def test_weights_follow_the_sex_within_bounds(tables: PeopleTables) -> None:
    """Normal, cut off at 45 and 140 kg (which lifts women's mean by 0.6), to 0.1 kg."""
    columns = drawn(tables, np.arange(300_000), casualty_class=1)
    weight, sex = array(columns["weight_kg"]), array(columns["sex"])
    assert weight.min() >= 45
    assert weight.max() <= 140
    assert weight[sex == 0].mean() == pytest.approx(80.07, abs=0.1)
    assert weight[sex == 0].std() == pytest.approx(11.9, abs=0.1)
    assert weight[sex == 1].mean() == pytest.approx(65.55, abs=0.25)
    np.testing.assert_allclose(weight * 10, np.round(weight * 10), atol=1e-4)


def test_one_in_twenty_is_allergic(tables: PeopleTables) -> None:
    """5 % to something, few of them to two things, never twice to the same."""
    lists = drawn(tables, np.arange(300_000))["allergy_codes"]
    assert isinstance(lists, Lists)
    counts = np.bincount(np.diff(lists.offsets))
    assert chi_square_z([counts[0], counts[1:].sum()], [0.95, 0.05]) < DOUBTED
    assert 0.06 < counts[2] / counts[1:].sum() < 0.10  # 10 %, less those whose two coincide
    pairs = np.flatnonzero(np.diff(lists.offsets) == 2)
    first = lists.codes[lists.offsets[pairs]]
    assert (first != lists.codes[lists.offsets[pairs] + 1]).all()
    assert lists.codes.min() >= 0
    assert lists.codes.max() < len(tables.dictionaries["allergy_codes"])
