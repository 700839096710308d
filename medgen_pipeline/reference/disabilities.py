"""What wounds leave for life: the rules of `disabilities.toml`, read and checked once."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medgen_pipeline.reference import conditions, snomed, vocabulary

BURN = "burn"


@dataclass(frozen=True, slots=True)
class LastingWound:
    """Wounds that leave a disability, and in what share of those who live."""

    sites: frozenset[str]
    types: frozenset[str]
    codes: frozenset[str]
    ais: int  # and graver
    share: float

    def holds(self, code: str, wound_type: str, site: str, ais: int) -> bool:
        """Whether a wound is one of these."""
        is_named = code in self.codes or wound_type in self.types
        return is_named and site in self.sites and ais >= self.ais


@dataclass(frozen=True, slots=True)
class Disability:
    """A lasting disability."""

    code: str  # SNOMED CT
    term: str
    least_stay_days: float
    wounds: tuple[LastingWound, ...]


@functools.cache
def disabilities() -> tuple[Disability, ...]:
    """Return every disability, the gravest first; its index is its code inside."""
    found = tuple(
        Disability(
            row["code"],
            row["term"],
            row["least_stay_days"],
            tuple(_wound(row["code"], wound) for wound in row["wounds"]),
        )
        for row in conditions.table("disabilities")["disability"]
    )
    for disability in found:
        if not snomed.is_valid(disability.code):
            raise ValueError(f"disabilities.toml: {disability.code} has a wrong check digit")
    return found


def _wound(code: str, row: Mapping[str, Any]) -> LastingWound:
    wound = LastingWound(
        sites=frozenset(row["sites"]),
        types=frozenset(row.get("types", ())),
        codes=frozenset(row.get("codes", ())),
        ais=row["ais"],
        share=row["share"],
    )
    unknown = wound.sites - {site.name for site in conditions.sites()}
    unknown |= wound.types - set(vocabulary.WOUND_TYPES)
    unknown |= wound.codes - set(conditions.concept_numbers())
    if unknown:
        raise ValueError(f"disabilities.toml: {code} names {', '.join(sorted(unknown))}")
    return wound


@functools.cache
def left_by() -> Mapping[tuple[str, str, int], tuple[int, float]]:
    """Return the disability that a wound can leave, and in what share, by code, site and AIS."""
    found: dict[tuple[str, str, int], tuple[int, float]] = {}
    for code, wound_type, site, (least, most) in _catalogue():
        for ais in range(least, most + 1):
            left = _left_by(code, wound_type, site, ais)
            if left is not None:
                here = found.get((code, site, ais), left)
                found[code, site, ais] = min(left, here)
    return found


def _left_by(code: str, wound_type: str, site: str, ais: int) -> tuple[int, float] | None:
    for number, disability in enumerate(disabilities()):
        for wound in disability.wounds:
            if wound.holds(code, wound_type, site, ais):
                return number, wound.share
    return None


def _catalogue() -> list[tuple[str, str, str, tuple[int, int]]]:
    """Return code, type, site and range of AIS of all that the catalogue of wounds can name."""
    wounds = [
        (name.code, name.wound_type, site, name.ais)
        for name in conditions.wound_names()
        for site in name.sites
    ]
    burns = [
        (row["code"], BURN, row["site"], (row["ais"][0], row["ais"][1]))
        for row in conditions.table("wounds")["catalogue"]["burns"]
    ]
    return wounds + burns
