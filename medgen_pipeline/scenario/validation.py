"""The one door for a scenario, whether it comes from a file, a command, the UI or a request.

Every fault is found at once, each with the path to the value, the value, and what is allowed. What
is possible but surely not meant is a warning, and refuses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from medgen_pipeline.errors import Fault, ScenarioError
from medgen_pipeline.scenario import doubts, rules, wording
from medgen_pipeline.scenario.model import Scenario

_KEY: Final = "[key]"  # ends a location of pydantic's that means a mapping's key, not its value

# What the predecessor calls a field, so that its users find ours.
_FORMER_NAMES: Final = {
    "base_date": "start",
    "casualty_rate": "share",
    "days_of_fighting": "days",
    "environmental_conditions": "environment",
    "facility_configs": "facilities",
    "front_configs": "fronts",
    "injury_distribution": "class_mix",
    "injury_mix": "class_mix",
    "nationality_distribution": "nations",
    "total_patients": "patients",
    "warfare_types": "warfare",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: the scenario, or else the faults; warnings go with a scenario."""

    name: str
    scenario: Scenario | None
    faults: tuple[Fault, ...] = ()
    warnings: tuple[doubts.Doubt, ...] = ()


def check(data: object, name: str = "given") -> Checked:
    """Return every fault of the data, or the scenario it describes with the warnings it earns."""
    faults = list(rules.faults(data)) if isinstance(data, Mapping) else []
    try:
        scenario = Scenario.model_validate(dict(data) if isinstance(data, Mapping) else data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        faults = [_fault(detail) for detail in details if not _is_echo(detail)] + faults
    if faults:
        return Checked(name, None, tuple(dict.fromkeys(faults)))
    return Checked(name, scenario, warnings=tuple(doubts.doubts(scenario)))


def parse(data: object, name: str = "given") -> Scenario:
    """Return the scenario the data describes; raise ScenarioError with every fault."""
    checked = check(data, name)
    if checked.scenario is None:
        raise ScenarioError(name, checked.faults)
    return checked.scenario


def _is_echo(detail: ErrorDetails) -> bool:
    """Whether a list is called too short only because its faulty entries were not counted."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def _fault(detail: ErrorDetails) -> Fault:
    """Return an error of pydantic's as a planner would want to read it."""
    location, got = detail["loc"], detail["input"]
    path = wording.path(location)
    if detail["type"] in ("extra_forbidden", "invalid_key"):
        return Fault(path, "not a known key", _known_keys(location))
    if detail["type"] == "missing":
        return Fault(path, "missing", wording.allowed(wording.annotation_at(location)))
    if location[-1:] == (_KEY,) and (keys := wording.key_annotation_at(location[:-2])):
        path = wording.path(location[:-1])
        return Fault(path, "not a known key", wording.allowed(keys, location[-2]))
    return Fault(path, wording.value(got), wording.allowed(wording.annotation_at(location), got))


def _known_keys(location: wording.Location) -> str:
    """Return the sentence that names the key that was meant, or else the keys there are."""
    part, _ = wording.unwrapped(wording.annotation_at(location[:-1]))
    known = part.model_fields
    key = str(location[-1])
    former = _FORMER_NAMES.get(key)
    guess = former if former in known else wording.nearest(key, known)
    return f"did you mean {guess}?" if guess else f"known keys are {', '.join(known)}"
