"""How a fault is worded: the path to a value, the value as it was got, and what its field allows.

What is allowed is read from the model's own annotations, so a sentence can never contradict them.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic.fields import FieldInfo

from medgen_pipeline.scenario.model import Part, Scenario

Location = tuple[int | str, ...]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST_VALUE: Final = 60  # characters shown of a value
_LONGEST_NUMBER: Final = 128  # bits; beyond any range here, and repr refuses the longest


def path(location: Iterable[int | str]) -> str:
    """Return a location as a planner would write it: `fronts[1].nations.POL`."""
    text = "".join(_step(step) for step in location)
    return text.removeprefix(".") or "the scenario"


def _step(step: int | str) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{_shortened(repr(step))}]"


def value(got: object) -> str:
    """Return a value in a few words, the way it stands in a file."""
    match got:
        case None:
            text = "empty"
        case bool():
            text = str(got).lower()
        case int() if got.bit_length() > _LONGEST_NUMBER:
            text = "a whole number of many digits"
        case str() | int() | float():
            text = _shortened(repr(got))
        case date():
            text = got.isoformat()
        case Mapping():
            text = "a mapping" if got else "an empty mapping"
        case Sequence():
            text = f"a list of {len(got)}" if got else "an empty list"
        case _:
            text = f"of type {type(got).__name__}"
    return text


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that looks most like `word`, if any does."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(word[:100].casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def one_of(word: object, known: Sequence[str]) -> str:
    """Return the sentence that lists the known words, the nearest one as a question."""
    listed = f"must be one of {', '.join(known)}"
    guess = nearest(word, known) if isinstance(word, str) else None
    return f"{listed}; did you mean {guess}?" if guess else listed


def annotation_at(location: Location) -> Any:  # noqa: ANN401  any annotation there is
    """Return the annotation of the field, element or value that a location leads to."""
    annotation: Any = Scenario
    for step in location:
        bare, _ = unwrapped(annotation)
        if isinstance(bare, type) and issubclass(bare, Part):
            annotation = hints(bare)[str(step)]
        else:  # of a list (kind, ...), of a mapping (key, value)
            annotation = get_args(bare)[0 if get_origin(bare) is tuple else 1]
    return annotation


def key_annotation_at(location: Location) -> Any:  # noqa: ANN401  any annotation there is
    """Return the annotation of the keys of the mapping at a location, None if it is no mapping."""
    bare, _ = unwrapped(annotation_at(location))
    return get_args(bare)[0] if get_origin(bare) is dict else None


def hints(part: type[Part]) -> dict[str, Any]:
    """Return the annotations of a part's fields by name."""
    known = get_type_hints(part, include_extras=True)
    return {name: known[name] for name in part.model_fields}


def unwrapped(annotation: Any) -> tuple[Any, list[Any]]:  # noqa: ANN401  any annotation there is
    """Return an annotation without `| None` and `Annotated`, and what was annotated."""
    metadata: list[Any] = []
    while True:
        if get_origin(annotation) in (Union, UnionType):
            annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
        elif get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata.extend(more)
        else:
            return annotation, metadata


def allowed(annotation: Any, got: object = None) -> str:  # noqa: ANN401  any annotation there is
    """Return the sentence that says what an annotation lets through."""
    bare, metadata = unwrapped(annotation)
    fields = [item for item in metadata if isinstance(item, FieldInfo)]
    for field in fields:
        if field.description:
            return f"must be {field.description}"
    if get_origin(bare) is Literal:
        return one_of(got, get_args(bare))
    constraints = [constraint for field in fields for constraint in field.metadata]
    return f"must be {_kind(bare)}{_range(bare, constraints)}"


def _kind(bare: Any) -> str:  # noqa: ANN401  any annotation there is
    if get_origin(bare) is tuple:
        return "a list"
    if get_origin(bare) is dict:
        return "a mapping"
    if issubclass(bare, Part):
        return f"a mapping with keys of {', '.join(bare.model_fields)}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}[bare]


def _range(bare: Any, constraints: list[Any]) -> str:  # noqa: ANN401  any annotation there is
    bounds: dict[type, Any] = {}
    for constraint in constraints:
        match constraint:
            case Ge(limit) | Gt(limit) | Le(limit) | Lt(limit) | MinLen(limit) | MaxLen(limit):
                bounds[type(constraint)] = limit
    if MinLen in bounds or MaxLen in bounds:
        least, most = bounds.get(MinLen, 0), bounds.get(MaxLen)
        things = "characters" if bare is str else "entries"
        return f" of {least} to {most} {things}" if most else f" of at least {least} {things}"
    lower = {Ge: "at least {}", Gt: "above {}"}
    upper = {Le: "at most {}", Lt: "below {}"}
    said = [text.format(bounds[kind]) for kind, text in (lower | upper).items() if kind in bounds]
    if Ge in bounds and Le in bounds and bounds[Ge] == bounds[Le]:
        return f" equal to {bounds[Ge]}"
    return f", {' and '.join(said)}" if said else ""
