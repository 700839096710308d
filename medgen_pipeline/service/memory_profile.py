"""What patients weigh in memory, by the form they are held in, and what a list of them costs.

Every figure is measured in a process of its own, on the same patients, by this module; so is the
conclusion drawn from them.
"""

import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from itertools import count as counting
from multiprocessing import get_context
from typing import Any, Final

import psutil
import pyarrow as pa

from medgen_pipeline.generation.finished import COURSE, finished_patients
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.service import text
from medgen_pipeline.service.compact import compact
from medgen_pipeline.service.courses import batch_of
from medgen_pipeline.service.patient import Patient, patients_of, row_names
from medgen_pipeline.simulation.engine import engine

MB: Final = 2**20
COLUMNS_OF_PATIENTS: Final = 184.0  # bytes: what the predecessor claimed for one object, alone
COLUMNS_WITH_COURSE: Final = 600.0
SHARE_OF_DICT: Final = 0.5

DICT: Final = "dict"
PLAIN: Final = "plain class"
SLOTTED: Final = "slotted class"
ARROW: Final = "Arrow, as in the dataset"
COMPACT: Final = "Arrow, compact"
LISTING: Final = "list"
STREAMING: Final = "stream"


class Plain:
    """A patient or a row whose values are attributes in a dictionary of its own."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)


@dataclass(frozen=True, slots=True)
class Weight:
    """What one patient takes in one form; bytes."""

    form: str
    patient: float  # the row of `patients` alone
    with_course: float


@dataclass(frozen=True, slots=True)
class Peak:
    """How much the peak memory of a process grew while patients were made."""

    way: str
    wanted: int
    reached: int  # fewer than wanted when memory ran out of its bound
    growth_mb: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of the conclusion; `holds` is None where there is no target."""

    said: str
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """All that was measured."""

    scenario: str
    patients: int
    weights: Sequence[Weight]
    peaks: Sequence[Peak] = field(default_factory=tuple)

    @property
    def findings(self) -> list[Finding]:
        """What the figures say, target by target."""
        return [*_of_weights({w.form: w for w in self.weights}), *_of_peaks(self.peaks)]


def measured(scenario: str, patients: int, counts: Sequence[int], *, most_mb: float) -> Profile:
    """Measure every form and every count, each in a process of its own, one after another."""
    weights = [_alone(weigh, scenario, patients, form) for form in FORMS]
    peaks = [
        _alone(peak, scenario, number, way, most_mb)
        for way in (LISTING, STREAMING)
        for number in counts
    ]
    return Profile(scenario, patients, weights, peaks)


def weigh(scenario: str, patients: int, form: str) -> Weight:
    """Return what a patient takes in a form, the shared words and their tables included."""
    batch = whole(scenario, patients)
    alone, together = FORMS[form](batch.drop_columns(list(COURSE))), FORMS[form](batch)
    return Weight(form, alone / len(batch), together / len(batch))


def peak(scenario: str, wanted: int, way: str, most_mb: float) -> Peak:
    """Return how much memory it takes to make patients in a list, or one portion after another."""
    portions = _portions(scenario, wanted)
    first = next(portions)
    WAYS[way](iter([first.slice(0, 1)]), most_mb)  # what is loaded once is loaded
    before = _peak_mb()
    reached = WAYS[way](_chained(first, portions), most_mb)
    return Peak(way, wanted, reached, max(0.0, _peak_mb() - before))


def whole(scenario: str, patients: int) -> pa.RecordBatch:
    """Return the first patients of a scenario as one batch."""
    table = pa.Table.from_batches(list(_portions(scenario, patients)))
    return table.unify_dictionaries().combine_chunks().to_batches()[0]


def deep_bytes(values: Iterable[object]) -> int:
    """Return the bytes of objects and of all they hold, what is shared counted once."""
    seen: set[int] = set()
    waiting: list[object] = list(values)
    total = 0
    while waiting:
        value = waiting.pop()
        if id(value) in seen or value is None or isinstance(value, bool | type):
            continue
        seen.add(id(value))
        total += sys.getsizeof(value)
        waiting.extend(_held(value))
    return total


def _held(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, Patient):
        return (getattr(value, each.name) for each in fields(value))
    if isinstance(value, str | int | float | datetime | date):
        return ()
    return [vars(value)]


def _dicts(batch: pa.RecordBatch) -> int:
    return deep_bytes(list(_as_dicts(batch, dict)))


def _plain(batch: pa.RecordBatch) -> int:
    return deep_bytes(list(_as_dicts(batch, Plain)))


def _slotted(batch: pa.RecordBatch) -> int:
    return deep_bytes(list(patients_of(batch)))


def _arrow(batch: pa.RecordBatch) -> int:
    return int(batch.get_total_buffer_size())


def _compact(batch: pa.RecordBatch) -> int:
    return int(compact(batch).get_total_buffer_size())


FORMS: Final[dict[str, Callable[[pa.RecordBatch], int]]] = {
    DICT: _dicts,
    PLAIN: _plain,
    SLOTTED: _slotted,
    ARROW: _arrow,
    COMPACT: _compact,
}


def _as_dicts(batch: pa.RecordBatch, made: Callable[[dict[str, Any]], Any]) -> Iterator[Any]:
    """Yield patients by name of column, their courses as lists of rows in the same form."""
    for patient in patients_of(batch):
        values = {each.name: getattr(patient, each.name) for each in fields(patient)}
        for table in COURSE:
            names = row_names(table)
            values[table] = [made(dict(zip(names, row, strict=True))) for row in values[table]]
        yield made(values)


def _list(portions: Iterator[pa.RecordBatch], most_mb: float) -> int:
    """Keep every patient as a dictionary, as the predecessor did; stop at the bound."""
    kept: list[dict[str, Any]] = []
    for portion in portions:
        kept.extend(_as_dicts(portion, dict))
        if psutil.Process().memory_info().rss > most_mb * MB:
            break
    return len(kept)


def _stream(portions: Iterator[pa.RecordBatch], _most_mb: float) -> int:
    """Write every patient as JSON and forget it, as the service does."""
    done = 0
    for portion in portions:
        rows = text.json_rows(portion)
        done += len(rows)
    return done


WAYS: Final[dict[str, Callable[[Iterator[pa.RecordBatch], float], int]]] = {
    LISTING: _list,
    STREAMING: _stream,
}


def _portions(scenario: str, patients: int) -> Iterator[pa.RecordBatch]:
    """Yield the first patients of a scenario, replicate by replicate."""
    left = patients
    for finished in finished_patients(engine(Catalogue().get(scenario)), counting()):
        yield batch_of(finished).slice(0, left)
        left -= min(left, len(finished))
        if not left:
            return


def _chained(first: pa.RecordBatch, portions: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from portions


def _alone(function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  what it returns
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as child:
        return child.submit(function, *arguments).result()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB


def _of_weights(weights: dict[str, Weight]) -> Iterator[Finding]:
    columns, slotted, dicts = weights[COMPACT], weights[SLOTTED], weights[DICT]
    yield _against("columns of `patients`", columns.patient, COLUMNS_OF_PATIENTS)
    yield _against("columns of the whole course", columns.with_course, COLUMNS_WITH_COURSE)
    share = slotted.with_course / dicts.with_course
    yield Finding(
        f"the slotted class takes {share:.0%} of the dict; the target is at most "
        f"{SHARE_OF_DICT:.0%}",
        share <= SHARE_OF_DICT,
    )
    lightest = min(weights.values(), key=lambda weight: weight.with_course)
    times = dicts.with_course / lightest.with_course
    yield Finding(f"lightest is {lightest.form}: a dict weighs {times:.1f} times as much")


def _against(what: str, bytes_each: float, target: float) -> Finding:
    said = f"{what}: {bytes_each:.0f} bytes a patient; the target is at most {target:.0f}"
    return Finding(said, bytes_each <= target)


def _of_peaks(peaks: Sequence[Peak]) -> Iterator[Finding]:
    for way in (LISTING, STREAMING):
        ours = [each for each in peaks if each.way == way]
        if not ours:
            continue
        least, most = ours[0], ours[-1]
        more = most.growth_mb - least.growth_mb
        patients = most.reached - least.reached
        each_kb = 1024 * more / patients if patients else 0.0
        bound = f" (stopped by its bound at {most.reached:,})"
        cut = "" if most.reached == most.wanted else bound
        yield Finding(
            f"a {way} of {most.wanted:,}{cut} takes {more:+,.0f} MB "
            f"beside one of {least.wanted:,}: "
            f"{each_kb:.2f} KB a patient"
        )
