import copy
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.errors import ScenarioError
from medgen_pipeline.scenario import wording
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.scenario.validation import check, parse
from medgen_pipeline_tests.scenario.examples import Path, data_of, paths, put, smallest

DEMO: Final = data_of("demo")
DEMO_PATHS: Final = tuple(paths(DEMO))
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS: Final = st.sampled_from([*Scenario.model_fields, "[key]", "units", "nations"]) | st.text()


def wrong_for(value: object) -> list[object]:
    """Return values of other types than the one that is right."""
    if isinstance(value, bool):
        return ["true", 1, None, []]
    if isinstance(value, int | float):
        return [True, str(value), float("nan"), float("inf"), 10**400, {}, []]
    if isinstance(value, str):
        return [5, True, [], {"a": 1}]
    return ["text", 5, True]


def faults_of(data: object) -> dict[str, str]:
    return {fault.path: str(fault) for fault in check(data).faults}


def test_a_scenario_that_says_the_least_is_valid() -> None:
    """Whatever has a default may be left out, and the default is then there."""
    scenario = parse(smallest())
    assert scenario.follow_up_days == 14
    assert scenario.evacuation.vehicles.helicopters == 2


def test_five_faults_are_reported_at_once() -> None:
    """A shape, a range, a sum, an unknown key and a chain with no way forward, each by its path."""
    data = smallest()
    data["days"] = "two"
    data["fronts"][0]["share"] = 0.4
    data["fronts"][0]["strenght"] = 100
    data["evacuation"]["role1_to_role2"]["ground_minutes"] = -5
    data["facilities"]["role3"]["units"] = 0
    with pytest.raises(ScenarioError) as raised:
        parse(data, "five.yaml")
    assert str(raised.value) == (
        "scenario five.yaml has 5 faults:\n"
        "  days is 'two'; must be a whole number, at least 1 and at most 365\n"
        "  fronts[0].strenght is not a known key; did you mean strength?\n"
        "  evacuation.role1_to_role2.ground_minutes is -5; "
        "must be a number, above 0 and at most 10080\n"
        "  fronts[].share is 0.4 in sum; must sum to 1, give or take 0.01\n"
        "  facilities.role3.units is 0; must be at least 1: nothing leads on from Role 2"
    )


def test_faults_and_a_scenario_exclude_each_other() -> None:
    """A check has either a scenario or faults; warnings refuse nothing."""
    good = check(put(smallest(), ("patients",), 40_000))
    assert good.scenario is not None
    assert good.faults == ()
    assert good.warnings
    bad = check({})
    assert bad.scenario is None
    assert bad.faults
    assert bad.warnings == ()


@pytest.mark.parametrize("path", [path for path, _ in DEMO_PATHS], ids=wording.path)
def test_a_value_of_the_wrong_type_is_refused_by_its_path(path: Path) -> None:
    """Every field there is takes its own type only, and says where it stands."""
    value = dict(DEMO_PATHS)[path]
    for wrong in wrong_for(value):
        found = faults_of(put(copy.deepcopy(DEMO), path, wrong))
        assert wording.path(path) in found, (path, wrong)


def test_a_key_nobody_knows_is_refused_in_every_part() -> None:
    """In each part of a scenario a stray key is a fault, and a mistyped one finds its name."""
    parts = [path for path, value in DEMO_PATHS if isinstance(value, dict)]
    for path in [(), *parts]:
        data = copy.deepcopy(DEMO)
        found = faults_of(put(data, (*path, "qqqq"), 1))
        text = found[wording.path((*path, "qqqq"))]
        assert "is not a known key; " in text
        assert "did you mean" not in text


def test_an_unknown_key_is_answered_with_the_nearest_known_one() -> None:
    """A slip of the fingers is recognised, and so is a name that the predecessor used."""
    data = smallest() | {"pateints": 5, "base_date": "2025-06-01"}
    found = faults_of(data)
    assert found["pateints"] == "pateints is not a known key; did you mean patients?"
    assert found["base_date"] == "base_date is not a known key; did you mean start?"


def test_an_unknown_word_is_answered_with_the_words_there_are() -> None:
    """For a value and for a key alike, with the nearest word as a question."""
    data = smallest() | {"tempo": "escalate", "warfare": {"conventionel": 1}}
    found = faults_of(data)
    assert found["tempo"] == (
        "tempo is 'escalate'; must be one of sustained, escalating, surge, declining, "
        "intermittent; did you mean escalating?"
    )
    assert found["warfare.conventionel"].endswith("did you mean conventional?")


def test_what_is_missing_is_named_with_what_belongs_there() -> None:
    """An empty scenario is told of every field it needs, in plain words."""
    found = faults_of({})
    assert found["days"] == "days is missing; must be a whole number, at least 1 and at most 365"
    assert set(found) == {
        *("id", "title", "start", "days", "patients", "warfare", "fronts", "facilities"),
        "evacuation",
    }


@pytest.mark.parametrize(
    "start", ["2025-06-01", "2025-06-01T00:00:00", "tomorrow", "0001-01-01T00:00:00Z", 1748736000]
)
def test_a_start_without_a_zone_is_no_start(start: object) -> None:
    """A date, a time without a zone, a year far off and a bare number are refused alike."""
    text = faults_of(put(smallest(), ("start",), start))["start"]
    assert "must be a time with its zone, such as 2025-06-01T06:00:00Z" in text


def test_another_schema_version_is_refused_by_naming_ours() -> None:
    """A file of a later release says so, rather than failing at whatever it brings along."""
    text = faults_of(put(smallest(), ("schema_version",), 2))["schema_version"]
    assert text == "schema_version is 2; must be a whole number equal to 1"


@pytest.mark.parametrize("data", [None, 5, "text", [], [1], True])
def test_data_that_is_no_mapping_is_refused(data: object) -> None:
    """The top of a scenario is a mapping."""
    assert list(faults_of(data)) == ["the scenario"]


@given(ANYTHING)
def test_no_data_does_more_than_be_refused(data: object) -> None:
    """Whatever comes in, a check returns and its faults can be printed."""
    checked = check(data)
    assert checked.scenario is None
    assert all(str(fault).encode() for fault in checked.faults)


@given(st.dictionaries(KEYS, ANYTHING, max_size=8))
def test_no_mapping_does_more_than_be_refused(data: dict[str, object]) -> None:
    """Known keys over any data do no harm, and pydantic's own words never reach a planner."""
    text = "\n".join(str(fault) for fault in check(data).faults)
    assert "Input should" not in text


@given(st.sampled_from(DEMO_PATHS), ANYTHING)
def test_no_value_anywhere_does_more_than_be_refused(
    place: tuple[Path, object], value: object
) -> None:
    """A good scenario with anything put anywhere is parsed, or refused by ScenarioError."""
    data = put(copy.deepcopy(DEMO), place[0], value)
    try:
        parse(data)
    except ScenarioError as error:
        assert error.faults  # noqa: PT017  the point is that nothing else is raised


@given(st.sampled_from([((), DEMO), *DEMO_PATHS]), KEYS)
def test_no_key_anywhere_does_more_than_be_refused(place: tuple[Path, object], key: str) -> None:
    """A key added to any part is known there, or a fault that names it."""
    path, part = place
    if not isinstance(part, dict) or key in part:
        return
    found = faults_of(put(copy.deepcopy(DEMO), (*path, key), "not what is wanted"))
    assert wording.path((*path, key)) in found
