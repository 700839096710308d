import re
import string

import pytest

from medgen_pipeline.reference.demographics import demographics
from medgen_pipeline.reference.nations import Nation, nations
from medgen_pipeline.reference.vocabulary import BLOOD_GROUPS, NATIONS

EACH = pytest.mark.parametrize("nation", nations(), ids=NATIONS)


def test_nations_are_natos_and_three_partners() -> None:
    """32 members and Australia, New Zealand, Ukraine, without repetition."""
    assert len(NATIONS) == len(set(NATIONS)) == 35
    assert {"AUS", "NZL", "UKR"} < set(NATIONS)
    assert tuple(nation.iso3 for nation in nations()) == NATIONS


@EACH
def test_shares_are_shares(nation: Nation) -> None:
    """Names and blood groups add up to a whole, religions to no more than one."""
    assert sum(nation.names.values()) == pytest.approx(1)
    assert len(nation.blood) == len(BLOOD_GROUPS)
    assert sum(nation.blood) == pytest.approx(100, abs=1.5)  # published figures are rounded
    assert 0 < sum(nation.religion.values()) <= 100
    assert set(nation.religion) <= set(demographics().religions)


@EACH
def test_templates_name_only_what_is_defined(nation: Nation) -> None:
    """Every lower-case letter is a date, a serial character, a check or a set; all are used."""
    identifier = nation.identifier
    used = {letter for letter in identifier.template if letter in string.ascii_lowercase}
    assert used - set("dmyjnac") == set(identifier.sets)
    written = sum(1 if check.characters else 2 for check in identifier.checks)
    assert identifier.template.count("c") == written
    for characters in identifier.sets.values():
        assert len({len(part) for part in characters}) == 1


@EACH
def test_every_identifier_says_why_nobody_holds_it(nation: Nation) -> None:
    """A mark is a wrong check or, with right checks or none, a reserved part of the template."""
    identifier = nation.identifier
    is_wrong = any(check.wrong for check in identifier.checks)
    assert ("wrong" in identifier.mark) == is_wrong
    assert re.compile(identifier.pattern)
    if not is_wrong:
        assert identifier.mark
