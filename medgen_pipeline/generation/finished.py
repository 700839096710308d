"""Patients with their whole course of care, each as soon as the simulation is done with them.

A dataset is written table by table in the order of the clock; a stream hands out one patient after
another. So the rows of those still in theatre are kept, and those of a patient whose course has
ended are handed out together. What is held is bounded by the casualties of one replicate who are
under care at a time.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.simulation.engine import SUBJECTS_PER_REPLICATE, Engine, Replicate
from medgen_pipeline.simulation.rows import Rows

AnyArray = npt.NDArray[Any]
Ids = npt.NDArray[np.int64]

COURSE: Final = ("injuries", "timeline", "treatments", "observations")  # rows of one casualty each

# The events that end a course; each casualty has exactly one of them.
ENDS: Final = tuple(
    vocabulary.EVENT_TYPES.index(word)
    for word in ("died", "returned_to_duty", "left_theatre", "clock_ended")
)
# Our own choice: some 6 MB of JSON. Four times as many were no faster.
PATIENTS_AT_ONCE: Final = 1_024


@dataclass(frozen=True, slots=True)
class Finished:
    """Some patients of a replicate, in the order of injury, and the rows of their courses.

    Rows of a course are ordered by patient, then as in their table; those of patient i of a table
    are `starts[table][i]` to `starts[table][i + 1]`.
    """

    replicate: int
    patients: Rows
    course: Mapping[str, Rows]
    starts: Mapping[str, npt.NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.patients)


def finished_patients(
    engine: Engine, replicates: Iterable[int] = itertools.count()
) -> Iterator[Finished]:
    """Yield the patients of one replicate after another, of each as its patients are done.

    Which patients come together depends on nothing but the scenario, the replicate and the buffer
    of the engine.
    """
    for replicate in replicates:
        yield from _of_replicate(Replicate(engine, replicate))


def _of_replicate(running: Replicate) -> Iterator[Finished]:
    kept = _Kept()
    for hand_over in running.hand_overs():
        for rows in hand_over:
            kept.take(rows)
        if kept.is_worth_a_look():
            yield from _handed_out(running, kept)
    yield from _handed_out(running, kept)


def _handed_out(running: Replicate, kept: "_Kept") -> Iterator[Finished]:
    done = kept.done()
    pieces = {table: kept.released(table, done) for table in COURSE}
    first_id = running.replicate * SUBJECTS_PER_REPLICATE + 1
    for first in range(0, len(done), PATIENTS_AT_ONCE):
        last = min(first + PATIENTS_AT_ONCE, len(done))
        yield Finished(
            running.replicate,
            running.patients(done[first:last] - first_id),
            {table: piece.rows(first, last) for table, piece in pieces.items() if piece},
            {table: piece.starts(first, last) for table, piece in pieces.items() if piece},
        )


class _Kept:
    """Rows of the casualties in theatre, by table, in the order of the clock."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[Rows]] = {table: [] for table in COURSE}
        self._old = 0  # events that were there at the last look
        self._new = 0
        self._done: list[Ids] = []

    def take(self, rows: Rows) -> None:
        """Keep rows of a course; those of other tables are none."""
        if rows.table not in self._pieces:
            return
        self._pieces[rows.table].append(rows)
        if rows.table == "timeline":
            self._new += len(rows)
            has_ended = np.isin(_column(rows, "event_type"), ENDS)
            self._done.append(_column(rows, "subject_id")[has_ended])

    def is_worth_a_look(self) -> bool:
        """Whether so much is new that going through all that is kept stays cheap per row."""
        return 2 * self._new >= self._old

    def done(self) -> Ids:
        """Return the casualties whose course has ended since this was last asked, in order."""
        done = np.sort(np.concatenate([np.empty(0, np.int64), *self._done]))
        self._done = []
        self._new = 0
        return done

    def released(self, table: str, done: Ids) -> "_Released | None":
        """Return the rows of casualties who are done, and keep those of the others."""
        pieces = self._pieces[table]
        if not pieces:
            return None
        rows = pieces[0] if len(pieces) == 1 else _joined(table, pieces)
        ids = _column(rows, "subject_id")
        place = _places(done, ids)
        is_done = place >= 0
        if is_done.all():
            self._pieces[table] = []
            where = None
        else:
            self._pieces[table] = [_taken(rows, np.flatnonzero(~is_done))]
            where = np.flatnonzero(is_done)
            place = place[where]
        if table == "timeline":
            self._old = len(ids) - len(place)
        narrow = place.astype(np.uint16 if len(done) < 2**16 else np.int32)  # sorted by radix
        order = np.argsort(narrow, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(narrow, minlength=len(done)))])
        return _Released(rows, order if where is None else where[order], bounds)


@dataclass(frozen=True, slots=True)
class _Released:
    """Rows of casualties who are done: which rows of a table, by patient."""

    table: Rows
    order: npt.NDArray[np.intp]
    bounds: npt.NDArray[np.intp]

    def rows(self, first: int, last: int) -> Rows:
        return _taken(self.table, self.order[self.bounds[first] : self.bounds[last]])

    def starts(self, first: int, last: int) -> npt.NDArray[np.int32]:
        bounds = self.bounds[first : last + 1]
        return np.asarray(bounds - bounds[0], np.int32)


def _places(done: Ids, ids: Ids) -> Ids:
    """Return where each id stands among those that are done, -1 where it does not."""
    if not len(done):
        return np.full(len(ids), -1)
    if done[-1] - done[0] + 1 == len(done):  # a stretch without a gap, as a small replicate is
        place = ids - done[0]
        return np.where((place >= 0) & (place < len(done)), place, -1)
    place = np.minimum(np.searchsorted(done, ids), len(done) - 1)
    return np.where(done[place] == ids, place, -1)


def _column(rows: Rows, name: str) -> AnyArray:
    column = rows.columns[name]
    if not isinstance(column, np.ndarray):
        raise TypeError(f"{name} of {rows.table} holds no numbers")
    return column


def _taken(rows: Rows, where: npt.NDArray[np.intp]) -> Rows:
    columns = {name: _column(rows, name)[where] for name in rows.columns}
    return Rows(rows.table, columns, rows.dictionaries)


def _joined(table: str, pieces: list[Rows]) -> Rows:
    """Return rows of one table as one; their dictionaries are those of the replicate."""
    columns = {
        name: np.concatenate([_column(piece, name) for piece in pieces])
        for name in pieces[0].columns
    }
    return Rows(table, columns, pieces[0].dictionaries)
