"""What is written down as a diagnosis: the figures of `diagnoses.toml`, read and checked once."""

import functools
from collections.abc import Mapping
from typing import Final, Literal, get_args

from medgen_pipeline.reference import conditions

Level = Literal["POI", "ROLE1", "ROLE2", "ROLE3"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)  # in the order of the chain

Range = tuple[int, int]


@functools.cache
def accuracy() -> Mapping[Level, float]:
    """Return the share of recorded diagnoses that are right, by the level that made the last."""
    row = conditions.table("diagnoses")["accuracy"]
    return {level: row[level] for level in LEVELS}


def mistaken_for(code: str, site: str) -> tuple[str, ...]:
    """Return what a wound at a site, or an illness, may be taken for: never itself."""
    at_site = _grades_at(site)
    if code not in at_site:
        return _alike(code)
    apart = conditions.table("diagnoses")["wounds"]["most_grades_apart"]
    return tuple(
        other
        for other, ranges in at_site.items()
        if other != code and _distance(at_site[code], ranges) <= apart
    )


@functools.cache
def _grades_at(site: str) -> Mapping[str, tuple[Range, ...]]:
    """Return what the catalogue calls wounds at a site, each with its ranges of AIS."""
    found: dict[str, tuple[Range, ...]] = {}
    for name in conditions.wound_names():
        if site in name.sites:
            found[name.code] = (*found.get(name.code, ()), name.ais)
    return found


def _distance(some: tuple[Range, ...], others: tuple[Range, ...]) -> int:
    """Return how many grades lie between the nearest of two sets of ranges, 0 if they overlap."""
    return min(
        max(0, low - other_high, other_low - high)
        for low, high in some
        for other_low, other_high in others
    )


@functools.cache
def _alike(code: str) -> tuple[str, ...]:
    lists = [codes for kind in conditions.table("diagnoses")["alike"].values() for codes in kind]
    unknown = {other for codes in lists for other in codes} - set(conditions.concept_numbers())
    if unknown:
        raise ValueError(f"diagnoses.toml names {', '.join(sorted(unknown))}, not in concepts.toml")
    found = dict.fromkeys(other for codes in lists if code in codes for other in codes)
    return tuple(other for other in found if other != code)
