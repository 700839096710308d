"""What is the same for every nation: faiths, allergies and body weight."""

import functools
import tomllib
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from medgen_pipeline.reference import snomed


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Allergy(_Fact):
    """An allergy as a SNOMED CT finding, and its share among the allergic."""

    code: str
    name: str
    share: float


class Allergic(_Fact):
    """How many casualties are allergic, and how many of those to two things."""

    share: float
    share_with_two: float


class Spread(_Fact):
    """A normal distribution."""

    mean: float
    sd: float


class Weight(_Fact):
    """Body weight by sex, between bounds, kg."""

    male: Spread
    female: Spread
    minimum: float
    maximum: float


class Demographics(_Fact):
    """Everything demographics.toml says."""

    religions: dict[
        Literal["catholic", "protestant", "orthodox", "christian", "islam", "judaism", "hinduism"],
        str,
    ]  # HL7 v3 ReligiousAffiliation code by the key nations.toml uses
    allergies: tuple[Allergy, ...]
    allergic: Allergic
    weight_kg: Weight


@functools.cache
def demographics() -> Demographics:
    """Return the facts, every SNOMED CT code of them checked."""
    package = resources.files("medgen_pipeline.reference")
    text = package.joinpath("demographics.toml").read_text("utf-8")
    facts = Demographics.model_validate(tomllib.loads(text))
    mistyped = [allergy.code for allergy in facts.allergies if not snomed.is_valid(allergy.code)]
    if mistyped:
        raise ValueError(f"demographics.toml: {mistyped} are not SNOMED CT concepts")
    return facts
