from collections.abc import Iterator
from datetime import date
from typing import Any, get_args, get_origin

import pytest

from medgen_pipeline.scenario import wording
from medgen_pipeline.scenario.model import Part, Scenario


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ((), "the scenario"),
        (("fronts", 1, "nations", "POL"), "fronts[1].nations.POL"),
        (("warfare", "a b"), "warfare['a b']"),
        (("warfare", "x" * 500), f"warfare.{'x' * 500}"),
        (("warfare", "\ud800"), "warfare['\\ud800']"),
    ],
)
def test_a_path_reads_as_a_planner_would_write_it(location: wording.Location, text: str) -> None:
    """Keys with dots, places in brackets, and anything odd in quotes."""
    assert wording.path(location) == text


@pytest.mark.parametrize(
    ("got", "text"),
    [
        (None, "empty"),
        (True, "true"),
        (1.5, "1.5"),
        (10**100, "a whole number of many digits"),
        ("a", "'a'"),
        ("a" * 500, f"'{'a' * 59}..."),
        ({}, "an empty mapping"),
        ({"a": 1}, "a mapping"),
        ([], "an empty list"),
        ([1, 2], "a list of 2"),
        (date(2025, 6, 1), "2025-06-01"),
        ({1}, "of type set"),
    ],
)
def test_a_value_is_shown_in_a_few_words(got: object, text: str) -> None:
    """As it stands in a file, and never at length."""
    assert wording.value(got) == text


def parts_in(annotation: Any) -> Iterator[type[Part]]:  # noqa: ANN401  any annotation there is
    bare, _ = wording.unwrapped(annotation)
    if isinstance(bare, type) and issubclass(bare, Part):
        yield bare
    elif get_origin(bare) is tuple:
        yield from parts_in(get_args(bare)[0])


def test_every_field_can_say_what_it_allows() -> None:
    """There is a sentence for each field of each part, so that no fault goes without."""
    waiting: list[type[Part]] = [Scenario]
    seen = set()
    while waiting:
        for name, annotation in wording.hints(waiting.pop()).items():
            assert wording.allowed(annotation).startswith("must be "), name
            seen.add(name)
            waiting.extend(parts_in(annotation))
    assert {"ground_minutes", "T1", "kind", "medic_skill", "maximum"} <= seen


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("days", "must be a whole number, at least 1 and at most 365"),
        ("title", "must be text of 1 to 200 characters"),
        ("fronts", "must be a list of 1 to 64 entries"),
        ("warfare", "must be a mapping of at least 1 entries"),
        ("intensity", "must be one of low, medium, high, extreme"),
        ("schedule", "must be text"),
        ("class_mix", "must be a mapping with keys of battle_injury, non_battle_injury, disease"),
    ],
)
def test_what_is_allowed_is_read_from_the_model(field: str, text: str) -> None:
    """Kind and range, as the field itself has them."""
    assert wording.allowed(wording.hints(Scenario)[field]) == text
