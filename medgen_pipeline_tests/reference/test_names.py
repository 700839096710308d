import re

import pytest

from medgen_pipeline.reference.names import People, people
from medgen_pipeline.reference.nations import nations

KEYS = sorted({key for nation in nations() for key in nation.names})
LATIN = re.compile(r"[ '’.\-A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")  # noqa: RUF001  as written in names


def _given(found: People) -> set[str]:
    return {*found.given[0], *found.given[1]}


@pytest.mark.parametrize("key", KEYS)
def test_every_people_has_names_for_both_sexes_in_latin_letters(key: str) -> None:
    """At least 20 of each kind, each with a positive weight, capitalised, in Latin script."""
    found = people(key)
    for names in (*found.given, *found.family):
        assert len(names) >= 20
        assert min(names.values()) > 0
        assert all(LATIN.fullmatch(name) for name in names)
        assert not any(name.islower() or name.isupper() for name in names)  # but van Dijk


@pytest.mark.parametrize("key", KEYS)
def test_men_and_women_have_other_given_names(key: str) -> None:
    """Few given names serve both sexes."""
    male, female = people(key).given
    assert len(set(male) & set(female)) < 0.2 * min(len(male), len(female))


def test_weights_of_the_source_are_kept() -> None:
    """Smith is the commonest American family name, and Faker knows it."""
    _, family = people("en_US").given, people("en_US").family[0]
    assert max(family, key=family.__getitem__) == "Smith"


@pytest.mark.parametrize(
    ("key", "man", "woman"),
    [
        ("pl_PL", "Kowalski", "Kowalska"),
        ("pl_PL", "Nowak", None),
        ("bg_BG", "Georgiev", "Georgieva"),
        ("et_RU", "Žukov", "Žukova"),
        ("lt_LT", "Kazlauskas", "Kazlauskienė"),
        ("lt_LT", "Pocius", "Pocienė"),
        ("is_IS", "Jónsson", "Jónsdóttir"),
        ("cs_CZ", "Bartoš", "Bartošová"),
    ],
)
def test_family_names_follow_the_sex_where_the_language_does(
    key: str, man: str, woman: str | None
) -> None:
    """The woman's form is in her list, the man's in his and not in hers."""
    male, female = people(key).family
    if woman is None:
        assert (man in male) == (man in female)
        return
    assert man in male
    assert man not in female
    assert woman in female


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("uk_UA", "Yaroslav"),  # ya only at the beginning
        ("uk_UA", "Avdieienko"),  # ie within
        ("mk_MK", "Chulev"),
        ("el_GR", "Avramidou"),  # a digraph
        ("el_GR", "Evangelos"),  # two digraphs, the first before a vowel
        ("el_GR", "Eftychia"),  # the same before a voiceless consonant
    ],
)
def test_other_scripts_are_romanised_as_in_passports(key: str, name: str) -> None:
    """Examples of the rules of names.toml."""
    found = people(key)
    assert name in _given(found) | {*found.family[0], *found.family[1]}


def test_what_is_no_name_is_left_out() -> None:
    """Faker's Turkish list holds one name with a broken letter."""
    assert not any("\N{SMALL TILDE}" in name for name in _given(people("tr_TR")))
