"""The rules that look at more than one field of a scenario, or at a word list outside it.

They read the data as it was given, not the model, so that they speak even when some other field is
wrong; a value of the wrong type is the model's to refuse, and a rule passes over it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from cronsim import CronSim, CronSimError

from medgen_pipeline.errors import Fault
from medgen_pipeline.reference.vocabulary import NATIONS, TREATMENTS
from medgen_pipeline.reference.warfare import warfare
from medgen_pipeline.scenario import wording
from medgen_pipeline.scenario.model import MOST_PATIENTS, Age, Front, Scenario

Data = Mapping[str, object]
Path = tuple[str | int, ...]

SUM_TOLERANCE: Final = 0.01  # of shares that must sum to 1; the predecessor allows the same
MAX_UNITS: Final = 30_000  # facilities of a scenario: the simulation numbers them in 16 bits

_LARGEST: Final = 1e15  # a number beyond this is out of every range, so its rules do not matter
_CRON: Final = re.compile(r"[0-9A-Za-z*,/-]+(?: +[0-9A-Za-z*,/-]+){4}")
_CRON_HELP: Final = (
    "must be five fields of cron: minute hour day-of-month month day-of-week, in UTC"
)
_FORWARD: Final = ("role1", "role2")  # roles that each front has for itself


def faults(data: Data) -> Iterator[Fault]:
    """Yield every breach of a rule, in the order of the rules."""
    for rule in RULES:
        yield from rule(data)


def _size(data: Data) -> Iterator[Fault]:
    """Want either an exact total or rates, and a class mix only beside a total."""
    patients, rates = data.get("patients"), data.get("rates")
    if patients is None and rates is None:
        yield Fault("patients", "missing", "must be given, or else rates")
    if patients is not None and rates is not None:
        yield Fault("rates", "given together with patients", "exactly one of the two must be given")
    if rates is not None and data.get("class_mix") is not None:
        yield Fault("class_mix", "given together with rates", "must go: rates hold the mix")


def _sums(data: Data) -> Iterator[Fault]:
    """Want shares that make up a whole to sum to 1."""
    mix = _mapping(data.get("class_mix"))
    if mix:
        yield from _sum("class_mix", mix.values())
    fronts = _list(data.get("fronts"))
    if fronts:
        yield from _sum("fronts[].share", [_at(front, "share") for front in fronts])
    for number, front in enumerate(fronts):
        nations = _at(front, "nations")
        if isinstance(nations, Mapping):
            yield from _sum(f"fronts[{number}].nations", nations.values())


def _sum(path: str, shares: Iterable[object]) -> Iterator[Fault]:
    numbers = [_number(share) for share in shares]
    known = [number for number in numbers if number is not None and 0 <= number <= 1]
    if len(known) < len(numbers):
        return  # a share is itself at fault
    total = sum(known)
    if abs(total - 1) > SUM_TOLERANCE + 1e-9:
        yield Fault(path, f"{total:g} in sum", f"must sum to 1, give or take {SUM_TOLERANCE}")


def _names(data: Data) -> Iterator[Fault]:
    """Want fronts told apart by id, and nations and treatments that are known."""
    seen: dict[object, int] = {}
    for number, front in enumerate(_list(data.get("fronts"))):
        name = _at(front, "id")
        if isinstance(name, str):
            first = seen.setdefault(name, number)
            if first != number:
                path = f"fronts[{number}].id"
                yield Fault(path, repr(name), f"must differ from fronts[{first}].id")
        yield from _known_keys(data, ("fronts", number, "nations"), NATIONS)
    yield from _known_keys(data, ("overrides", "treatment_effectiveness"), TREATMENTS)


def _known_keys(data: Data, path: Path, known: Sequence[str]) -> Iterator[Fault]:
    for key in _mapping(_at(data, *path)):
        if isinstance(key, str) and key not in known:
            where = wording.path((*path, key))
            yield Fault(where, "not a known key", wording.one_of(key, known))


def _rates(data: Data) -> Iterator[Fault]:
    """Want rates that hurt somebody, and a standard deviation for a lognormal one."""
    rates = _mapping(data.get("rates"))
    if rates and all(_number(_at(rate, "mean_per_1000")) == 0 for rate in rates.values()):
        yield Fault("rates", "0 in sum", "must hold one mean_per_1000 above 0")
    for name, rate in rates.items():
        if _at(rate, "family") == "lognormal" and _at(rate, "sd_per_1000") is None:
            path = f"rates.{name}.sd_per_1000"
            yield Fault(path, "missing", "must be given for a lognormal rate, above 0")


def _rates_total(data: Data) -> Iterator[Fault]:
    """Want rates that lead to no more casualties of a replicate than can be numbered."""
    expected = _expected_of_rates(data)
    if expected is not None and expected > MOST_PATIENTS:
        got = f"{expected:.0f} casualties on average, of this strength and these days"
        yield Fault("rates", got, f"must lead to at most {MOST_PATIENTS}")


def _expected_of_rates(data: Data) -> float | None:
    """Return the mean total that the rates lead to, None where a value is itself at fault."""
    intensity = _at(data, "intensity", default=Scenario.model_fields["intensity"].default)
    known = warfare().intensity
    if not isinstance(intensity, str) or intensity not in known:
        return None
    factor = known[intensity].patient_factor
    default = Front.model_fields["strength"].default
    rates, fronts = _mapping(data.get("rates")).values(), _list(data.get("fronts"))
    daily_per_1000 = _total(_scaled_mean(rate, factor) for rate in rates)
    strength = _total(_at(front, "strength", default=default) for front in fronts)
    days = _number(data.get("days"))
    if daily_per_1000 is None or strength is None or days is None:
        return None
    return daily_per_1000 * strength / 1000 * days


def _scaled_mean(rate: object, factor: float) -> float | None:
    mean = _number(_at(rate, "mean_per_1000"))
    return mean and mean * (factor if _at(rate, "scaled_by_intensity") is True else 1.0)


def _total(values: Iterable[object]) -> float | None:
    """Return the sum of numbers, None if one is none."""
    total = 0.0
    for value in values:
        number = _number(value)
        if number is None:
            return None
        total += number
    return total


def _special_events(data: Data) -> Iterator[Fault]:
    """Want special events within the days, hurting no more than there are patients."""
    days, patients = _number(data.get("days")), _number(data.get("patients"))
    events = _list(data.get("special_events"))
    for number, event in enumerate(events):
        day = _number(_at(event, "day"))
        if day is not None and days is not None and day > days:
            path = f"special_events[{number}].day"
            yield Fault(path, f"{day:g}", f"must be at most {days:g}, the days of the scenario")
    hurt = sum(_number(_at(event, "casualties")) or 0 for event in events)
    if patients is not None and hurt > max(patients, 0):
        path = "special_events[].casualties"
        yield Fault(path, f"{hurt:g} in sum", f"must be at most {patients:g}, the patients")


def _environment(data: Data) -> Iterator[Fault]:
    """Want each condition of the environment once."""
    conditions = _list(data.get("environment"))
    for number, condition in enumerate(conditions):
        if isinstance(condition, str) and condition in conditions[:number]:
            first = conditions.index(condition)
            path = f"environment[{number}]"
            yield Fault(path, wording.value(condition), f"must go: environment[{first}] says it")


def _schedule(data: Data) -> Iterator[Fault]:
    """Want five fields of cron that some day of some year meets."""
    schedule = data.get("schedule")
    if not isinstance(schedule, str):
        return
    problem = cron_problem(schedule)
    if problem:
        yield Fault("schedule", wording.value(schedule), f"{_CRON_HELP}; {problem}")


def cron_problem(schedule: str) -> str | None:
    """Return what is wrong with a cron schedule, None if it is one and will ever fire."""
    if not _CRON.fullmatch(schedule):
        return "it has other fields or signs"
    try:
        next(CronSim(schedule, datetime(2025, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return str(error).replace("Bad ", "wrong ").lower()
    except StopIteration:
        return "it never comes"
    return None


def _age(data: Data) -> Iterator[Fault]:
    """Want the youngest younger than the oldest."""
    age = _at(data, "force", "age")
    default = Age()
    minimum = _number(_at(age, "minimum", default=default.minimum))
    maximum = _number(_at(age, "maximum", default=default.maximum))
    if minimum is not None and maximum is not None and minimum >= maximum:
        allowed = f"must be below force.age.maximum, {maximum:g}"
        yield Fault("force.age.minimum", f"{minimum:g}", allowed)


def _chain(data: Data) -> Iterator[Fault]:
    """Want a way for every front to Role 2 and on to Role 3, and no surgery before Role 2."""
    yield from dict.fromkeys(_way_forward(data))
    for path, group in _groups(data):
        if path[-1] == "role1" and (_number(_at(group, "operating_tables")) or 0) > 0:
            where = wording.path((*path, "operating_tables"))
            tables = wording.value(_at(group, "operating_tables"))
            yield Fault(where, tables, "must be 0: surgery begins at Role 2")


def _way_forward(data: Data) -> Iterator[Fault]:
    yield from _can_take(data, ("facilities", "role3"), "nothing leads on from Role 2")
    for number, _ in enumerate(_list(data.get("fronts"))):
        yield from _can_take(data, _group_path(data, number, "role2"), "no way leads to Role 3")
        role1 = _group_path(data, number, "role1")
        if _number(_at(data, *role1, "units")) != 0:
            yield from _can_take(data, role1, "nobody can be treated there")


def _can_take(data: Data, path: Path, consequence: str) -> Iterator[Fault]:
    for field in ("units", "beds"):
        if _number(_at(data, *path, field)) == 0:
            yield Fault(wording.path((*path, field)), "0", f"must be at least 1: {consequence}")


def _units(data: Data) -> Iterator[Fault]:
    """Want no more facilities than can be numbered."""
    paths: list[Path] = [("facilities", "role3")]
    for number, _ in enumerate(_list(data.get("fronts"))):
        paths += [_group_path(data, number, role) for role in _FORWARD]
    total = sum(_number(_at(data, *path, "units")) or 0 for path in paths)
    if total >= MAX_UNITS:
        allowed = f"must be below {MAX_UNITS}; use fewer units with more beds"
        yield Fault("facilities[].units", f"{total:g} in sum over all fronts", allowed)


def _groups(data: Data) -> Iterator[tuple[Path, object]]:
    """Yield each facility group that is written down, with its path."""
    places: list[Path] = [("facilities",)]
    places += [("fronts", n, "facilities") for n, _ in enumerate(_list(data.get("fronts")))]
    for place in places:
        for role, group in _mapping(_at(data, *place)).items():
            yield (*place, role), group


def _group_path(data: Data, front: int, role: str) -> Path:
    """Return the path of the group that a front uses for a role: its own, or else the common."""
    own = ("fronts", front, "facilities", role)
    return own if _at(data, *own) is not None else ("facilities", role)


def _at(data: object, *path: str | int, default: object = None) -> object:
    """Return what stands at a path, `default` if nothing does."""
    for step in path:
        if isinstance(step, str) and isinstance(data, Mapping):
            data = data.get(step)
        elif isinstance(step, int) and isinstance(data, list | tuple) and step < len(data):
            data = data[step]
        else:
            return default
    return default if data is None else data


def _number(value: object) -> float | None:
    """Return a value that is a number in any range of the model, None for all else."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if -_LARGEST < value < _LARGEST else None


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


RULES: Final[tuple[Callable[[Data], Iterator[Fault]], ...]] = (
    _size,
    _sums,
    _names,
    _rates,
    _rates_total,
    _special_events,
    _environment,
    _schedule,
    _age,
    _chain,
    _units,
)
