import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.scenario.documents import BrokenTextError, read, write

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def broken(text: str, suffix: str = ".yaml") -> str:
    with pytest.raises(BrokenTextError) as raised:
        read(text, suffix)
    return str(raised.value)


@given(st.dictionaries(st.text(), PLAIN, max_size=5))
def test_what_is_written_is_read_back(data: dict[str, Any]) -> None:
    """Text that looks like a number, a boolean or a date comes back as text, a number as itself."""
    assert read(write(data), ".yaml") == data


@given(st.text())
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Any text is data or is broken at a place that is named; nothing else happens."""
    for suffix in (".yaml", ".json"):
        try:
            read(text, suffix)
        except BrokenTextError as error:
            assert error.fault.path  # noqa: PT017  the point is that nothing else is raised


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("off", "off"),
        ("010", 10),
        ("12:30", "12:30"),
        ("1_000_000", 1_000_000),
        ("1e6", 1_000_000.0),
        ("2025-06-01", "2025-06-01"),
        ("0x1F", "0x1F"),
        ("true", True),
        ("~", None),
    ],
)
def test_yaml_is_read_as_it_looks(text: str, value: object) -> None:
    """A word is a word and a number a number, without the surprises of YAML 1.1."""
    assert read(f"key: {text}", ".yaml") == {"key": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: c: d", "line 2, column 5 is not YAML; mapping values are not allowed here"),
        ("a: 1\na: 2", "line 2, column 1 is a second 'a'; a key may stand once; see line 1"),
        ("a: &x 1\nb: *x", "line 2, column 4 is an alias, *x; write the values out"),
        ("a: !!python/name:os 1", "line 1, column 4 is a tag; leave it out"),
        ("a: 1\n \x07", "line 2, column 2 is a character that YAML does not allow; leave it out"),
        ("[" * 5000, "the text is nested too deeply; a scenario has six levels"),
        ("a: " + "9" * 5000, "the text is not readable; no number here has so many digits"),
        ("--- 1\n--- 2", "line 2, column 1 is not YAML; but found another document"),
    ],
)
def test_broken_yaml_is_refused_at_its_place(text: str, message: str) -> None:
    """By line and column, from one, and with the reason."""
    assert broken(text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "line 2, column 6 is not JSON; expecting ':' delimiter"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice in a mapping; a key may stand once"),
        ("[" * 100_000, "the text is nested too deeply; a scenario has six levels"),
        ("9" * 5000, "the text is not readable; no number here has so many digits"),
    ],
)
def test_broken_json_is_refused_at_its_place(text: str, message: str) -> None:
    """By line and column, from one, and with the reason."""
    assert broken(text, ".json") == message


@given(st.dictionaries(st.text(), PLAIN, max_size=5))
def test_json_is_read_as_the_standard_library_reads_it(data: dict[str, Any]) -> None:
    """The refusals change nothing for text that is well formed."""
    assert read(json.dumps(data), ".json") == data
