"""Given and family names of a people, in Latin letters, with how common each is.

They come from the locale data of Faker, read straight from its class attributes: a draw is then an
index, not a call. Only the modules of the peoples asked for are imported. Scripts other than Latin
are romanised as in the nation's passports, because that is what identity tags, casualty cards and
NATO messages carry; the diacritics of Latin scripts stay.
"""

import functools
import importlib
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

Names = Mapping[str, float]  # how common each is, relative to the others

_APOSTROPHES: Final = "'\N{RIGHT SINGLE QUOTATION MARK}"
_USABLE: Final = re.compile(  # not "van Dam (jr)", not "Dam, van"
    rf"[{_APOSTROPHES}]?[^\W\d_]+(?:[{_APOSTROPHES}. -]+[^\W\d_]+)*"
)


@dataclass(frozen=True, slots=True)
class People:
    """The names of a people: for men, for women."""

    given: tuple[Names, Names]
    family: tuple[Names, Names]


def people(key: str) -> People:
    """Return the names of a people of names.toml, in the source's order.

    Faker's weights are kept where a locale has them: that Smith and Jensen come up often is what
    makes matching patients by name hard.
    """
    rules = _rules()[key]
    return People(
        given=(_given(rules, "male"), _given(rules, "female")),
        family=(_family(rules, "male"), _family(rules, "female")),
    )


@functools.cache
def _rules() -> dict[str, dict[str, Any]]:
    text = resources.files("medgen_pipeline.reference").joinpath("names.toml").read_text("utf-8")
    return tomllib.loads(text)


def _given(rules: Mapping[str, Any], sex: str) -> Names:
    endings = tuple(rules.get(f"{sex}_given_ends", ("",)))
    names = _source(rules, f"{sex}_given", f"first_names_{sex}")
    return _merged(rules, ((name, weight) for name, weight in names if name.endswith(endings)))


def _family(rules: Mapping[str, Any], sex: str) -> Names:
    endings = rules.get(f"{sex}_family", ())
    names = _source(rules, "family", f"last_names_{sex}", "last_names")
    return _merged(rules, ((_inflected(name, endings), weight) for name, weight in names))


def _source(rules: Mapping[str, Any], key: str, *attributes: str) -> Iterable[tuple[str, float]]:
    """Return the names and weights of the list that `key` names, else of the first attribute."""
    if "module" not in rules:
        return ((name, 1.0) for name in rules[key].split())
    provider = importlib.import_module(f"faker.providers.person.{rules['module']}").Provider
    found = next(name for name in (rules.get(key), *attributes) if name and hasattr(provider, name))
    names = getattr(provider, found)
    return names.items() if isinstance(names, Mapping) else ((name, 1.0) for name in names)


def _inflected(name: str, endings: Iterable[tuple[str, str]]) -> str:
    for old, new in endings:
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _merged(rules: Mapping[str, Any], names: Iterable[tuple[str, float]]) -> Names:
    """Return usable names in Latin letters; one that is listed twice is twice as common."""
    table = _rules()["romanisation"].get(rules.get("romanise", ""), ())
    merged: dict[str, float] = {}
    for name, weight in names:
        if _USABLE.fullmatch(name) and not name.isupper():  # "VI" is no name
            latin = _romanised(unicodedata.normalize("NFC", name), table)
            latin = latin.title() if latin.islower() else latin
            merged[latin] = merged.get(latin, 0.0) + weight
    return merged


def _romanised(name: str, table: Iterable[tuple[str, str]]) -> str:
    if not table:
        return name
    name = name.lower()
    for pattern, letters in table:
        name = re.sub(pattern, letters, name)
    return re.sub(r"\b\w", lambda first: first[0].upper(), name)
