"""What is known of each nation: its peoples' names, blood groups, faiths and identifiers."""

import functools
import tomllib
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from medgen_pipeline.reference import vocabulary


def _four_cases(raw: object) -> object:
    """Return two cases, male and female, as four: the century makes no difference."""
    return (*raw, *raw) if isinstance(raw, list) and len(raw) == 2 else raw  # noqa: PLR2004


# Male, female born before 2000; male, female from 2000.
Cases = Annotated[tuple[int, int, int, int], BeforeValidator(_four_cases)]
Sets = Annotated[tuple[str, str, str, str], BeforeValidator(_four_cases)]
Positive = Annotated[float, Field(gt=0)]


class _Fact(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Fact):
    """How one check character follows from those before it; see nations.toml."""

    modulus: int
    weights: tuple[int, ...] = ()
    powers: int = 0  # this many weights, the powers of ten
    second: tuple[int, ...] = ()
    luhn: bool = False
    iso7064: bool = False  # ISO 7064 MOD 11,10, which has no weights
    complement: bool = False
    added: Cases = (0, 0, 0, 0)
    characters: str = ""  # empty: the result is two digits
    wrong: bool = False


class Identifier(_Fact):
    """A nation's identifier: its real shape, how to render one, why nobody holds it."""

    name: str
    pattern: str
    template: str
    mark: str
    sets: dict[str, Sets] = {}
    day_added: Cases = (0, 0, 0, 0)
    month_added: Cases = (0, 0, 0, 0)
    checks: tuple[Check, ...] = ()


class Nation(_Fact):
    """One nation of vocabulary.NATIONS."""

    iso3: str
    name: str
    names: dict[str, Positive]  # share of each people of names.toml
    blood: Annotated[tuple[Positive, ...], Field(min_length=8, max_length=8)]  # relative
    blood_source: str = "Wikipedia"
    religion: dict[str, Positive]  # percent; the rest have none
    identifier: Identifier


@functools.cache
def nations() -> tuple[Nation, ...]:
    """Return every nation, in the order of the vocabulary."""
    text = resources.files("medgen_pipeline.reference").joinpath("nations.toml").read_text("utf-8")
    known = tuple(Nation.model_validate(table) for table in tomllib.loads(text)["nation"])
    if tuple(nation.iso3 for nation in known) != vocabulary.NATIONS:
        raise ValueError("nations.toml must list vocabulary.NATIONS in that order")
    return known
