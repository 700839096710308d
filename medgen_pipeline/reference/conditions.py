"""Wounds, disease, and what causes them: the tables of TOML files beside this module, checked.

Nothing here draws or simulates; `simulation.wound_tables` turns these into arrays. Every table
carries its `source`, marked [V] read, [V2] read second-hand, [M] from memory, [X] our own choice.
"""

import functools
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from medgen_pipeline.reference import snomed, vocabulary

Table = dict[str, Any]

SEVERITIES: Final = ("light", "moderate", "severe")
SHIELDS: Final = ("none", "armour", "helmet")
LIMBS: Final = ("none", "upper", "lower")
GRADES: Final = 6  # AIS 1 to 6


@dataclass(frozen=True, slots=True)
class Concept:
    """A SNOMED CT concept: where its meaning was read, and how sure that makes us."""

    code: str
    term: str
    source: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Site:
    """A place on the body that can be wounded, finer than the regions of the output."""

    name: str
    wound_region: str
    body_region: str
    bleeding: str
    shield: str = "none"
    sided: bool = False
    limb: str = "none"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """What hurts someone: its group, the profile of the wounds it makes, and the burns."""

    name: str
    group: str
    profile: str = ""
    mounted: str = ""  # the profile inside an armoured vehicle
    burn: float = 0.0  # share of casualties
    mounted_burn: float = 0.0
    condition: str = ""  # "heat" or "cold" when it does not wound


@dataclass(frozen=True, slots=True)
class WoundName:
    """A way to name a wound: where and how grave it may be, and how often for each profile."""

    code: str
    sites: tuple[str, ...]
    wound_type: str
    ais: tuple[int, int]  # least and most
    weights: tuple[float, ...]  # one for each profile
    bleeds: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """A disease, stress reaction, or harm by heat or cold."""

    code: str
    wound_type: str
    weights: tuple[float, ...]  # one for each setting
    severity: tuple[float, float, float]
    stay_days: tuple[float, float, float]  # median, by severity
    deaths_per_day: float
    environment: Mapping[str, float]


@functools.cache
def table(name: str) -> Table:
    """Return one of the TOML files beside this module."""
    text = resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def concepts() -> tuple[Concept, ...]:
    """Return every concept a wound or condition can be coded as; its index is its code inside."""
    found = tuple(
        Concept(code, term, entry["source"], entry["confidence"])
        for entry in table("concepts")["list"]
        for code, term in entry["concepts"]
    )
    _expect("a code stands twice in concepts.toml", len({c.code for c in found}) == len(found))
    for concept in found:
        _expect(f"{concept.code} has a wrong check digit", snomed.is_valid(concept.code))
    return found


@functools.cache
def concept_numbers() -> Mapping[str, int]:
    """Return the index of each code in `concepts()`."""
    return {concept.code: number for number, concept in enumerate(concepts())}


@functools.cache
def sites() -> tuple[Site, ...]:
    """Return every place that can be wounded; its index is its code inside."""
    rows = {k: v for k, v in table("wounds")["site"].items() if k != "source"}
    found = tuple(Site(name, **row) for name, row in rows.items())
    for site in found:
        _expect_words(site.name, [site.wound_region], vocabulary.WOUND_REGIONS)
        _expect_words(site.name, [site.body_region], vocabulary.BODY_REGIONS)
        _expect_words(site.name, [site.bleeding], vocabulary.BLEEDING_SITES)
        _expect_words(site.name, [site.shield], SHIELDS)
        _expect_words(site.name, [site.limb], LIMBS)
    return found


@functools.cache
def profiles() -> tuple[str, ...]:
    """Return the wounding profiles: mechanisms that make the same wounds share one."""
    return tuple(table("wounds")["catalogue"]["profiles"])


@functools.cache
def mechanisms() -> tuple[Mechanism, ...]:
    """Return every mechanism, in the order of the vocabulary."""
    rows = table("mechanisms")["mechanism"]
    found = tuple(Mechanism(name, **rows[name]) for name in vocabulary.MECHANISMS)
    for mechanism in found:
        _expect_words(mechanism.name, [mechanism.group], vocabulary.MECHANISM_GROUPS)
        named = [name for name in (mechanism.profile, mechanism.mounted) if name]
        _expect_words(mechanism.name, named, profiles())
    return found


@functools.cache
def battle_shares() -> Mapping[str, Mapping[str, float]]:
    """Return, for each kind of fighting, the share of battle injuries by mechanism."""
    shares: Mapping[str, Mapping[str, float]] = table("mechanisms")["battle"]["share"]
    _expect("a kind of fighting has no mechanisms", set(shares) == set(vocabulary.WARFARE_TYPES))
    for warfare, row in shares.items():
        _expect_words(warfare, row, vocabulary.MECHANISMS)
        _expect(f"mechanisms of {warfare} do not sum to 1", _is_one(row.values()))
    return shares


@functools.cache
def wound_names() -> tuple[WoundName, ...]:
    """Return the catalogue of wounds."""
    found = tuple(
        WoundName(
            row["code"],
            tuple(row["sites"]),
            row["type"],
            (row["ais"][0], row["ais"][1]),
            tuple(row["weights"]),
            row.get("bleeds", False),
        )
        for row in table("wounds")["catalogue"]["rows"]
    )
    for name in found:
        _expect_words(name.code, [name.code], concept_numbers())
        _expect_words(name.code, name.sites, [site.name for site in sites()])
        _expect_words(name.code, [name.wound_type], vocabulary.WOUND_TYPES)
        _expect(f"{name.code} needs a weight a profile", len(name.weights) == len(profiles()))
    return found


@functools.cache
def conditions(kind: str) -> tuple[Condition, ...]:
    """Return the conditions of a kind: "disease" (stress reactions included), "heat" or "cold"."""
    found = tuple(
        Condition(
            row["code"],
            row.get("type", "disease"),
            tuple(row["weights"]),
            tuple(row["severity"]),
            tuple(row["stay_days"]),
            row.get("deaths_per_day", 0.0),
            row.get("environment", {}),
        )
        for row in table("conditions")[kind]["rows"]
    )
    for condition in found:
        _expect_words(condition.code, [condition.code], concept_numbers())
        _expect_words(condition.code, condition.environment, vocabulary.ENVIRONMENT_CONDITIONS)
        _expect_words(condition.code, [condition.wound_type], vocabulary.WOUND_TYPES)
        _expect(f"severities of {condition.code} do not sum to 1", _is_one(condition.severity))
    return found


def _is_one(shares: Iterable[float]) -> bool:
    return math.isclose(sum(shares), 1.0)


def _expect_words(where: str, words: Iterable[str], allowed: Iterable[str]) -> None:
    unknown = sorted(set(words) - set(allowed))
    _expect(f"{where} names {', '.join(unknown)}, which nothing defines", not unknown)


def _expect(fault: str, holds: bool) -> None:  # noqa: FBT001  an assertion
    if not holds:
        raise ValueError(fault)
