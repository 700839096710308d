import pytest
from hypothesis import given
from hypothesis import strategies as st

from medgen_pipeline.reference.snomed import is_valid

CODES = (
    "138875005",  # SNOMED CT concept, the root
    "404684003",  # clinical finding
    "22298006",  # myocardial infarction
    "73211009",  # diabetes mellitus
    "900000000000207008",  # core module: the longest short form
    "999480561000087100",  # long form, namespace 1000087
)


@pytest.mark.parametrize("code", CODES[:5])
def test_published_codes_are_valid(code: str) -> None:
    """Codes printed in SNOMED International's own documents pass."""
    assert is_valid(code)


def test_the_long_form_is_valid() -> None:
    """A concept of an extension carries its namespace and partition 10."""
    assert is_valid(CODES[5])


@given(st.sampled_from(CODES), st.data())
def test_any_one_wrong_digit_is_caught(code: str, data: st.DataObject) -> None:
    """Verhoeff's check digit catches every single substitution."""
    place = data.draw(st.integers(0, len(code) - 1))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != code[place]))
    assert not is_valid(code[:place] + digit + code[place + 1 :])


@given(st.sampled_from(CODES), st.data())
def test_any_swap_of_neighbours_is_caught(code: str, data: st.DataObject) -> None:
    """Verhoeff's check digit catches every transposition of two different neighbours."""
    places = [i for i in range(len(code) - 1) if code[i] != code[i + 1]]
    i = data.draw(st.sampled_from(places))
    assert not is_valid(code[:i] + code[i + 1] + code[i] + code[i + 2 :])


@pytest.mark.parametrize(
    "code",
    [
        "",
        "0138875005",  # leading zero
        "680946014",  # a description: partition 01
        "138875005 ",
        "１３８８７５００５",  # noqa: RUF001  full-width digits
        "13887500x",
        "1388750051388750051",  # too long
    ],
)
def test_what_has_not_the_shape_of_a_concept_is_refused(code: str) -> None:
    """Only ASCII digits, 6 to 18 of them, of a concept's partition, are a concept."""
    assert not is_valid(code)
