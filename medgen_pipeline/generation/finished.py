"""Patients with their whole course of care, each as soon as the simulation is done with them.

A dataset is written table by table in the order of the clock; a stream hands out one patient after
another. So the rows of those still in theatre are kept, and those of a patient whose course has
ended are handed out together. What is held is bounded by the casualties of one replicate who are
under care at a time.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import vocabulary
from medgen_pipeline.simulation.engine import Engine, HandOver, Replicate
from medgen_pipeline.simulation.rows import Rows
from medgen_pipeline.simulation.state import Records

Subjects = npt.NDArray[np.int32]

COURSE: Final = ("injuries", "timeline", "treatments", "observations")  # rows of one casualty each

# The events that end a course; each casualty has exactly one of them.
IS_END: Final = np.isin(
    vocabulary.EVENT_TYPES, ("died", "returned_to_duty", "left_theatre", "clock_ended")
)
# Our own choice: some 5 MB of JSON. Larger ones are hardly faster, smaller ones are slower.
PATIENTS_AT_ONCE: Final = 768


@dataclass(frozen=True, slots=True)
class Finished:
    """Some patients of a replicate, in the order of injury, and the rows of their courses.

    Rows of a course are ordered by patient, then as in their table; those of patient i of a table
    are `starts[table][i]` to `starts[table][i + 1]`. They are made when they are asked for, so
    another thread can do it while the simulation goes on.
    """

    running: Replicate
    subjects: Subjects
    found: Mapping[str, Records]
    starts: Mapping[str, npt.NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.subjects)

    @property
    def replicate(self) -> int:
        """The replicate they belong to."""
        return self.running.replicate

    def patients(self) -> Rows:
        """Return their rows of `patients`."""
        return self.running.patients(self.subjects.astype(np.int64))

    def course(self) -> dict[str, Rows]:
        """Return the rows of their courses, by table; a table without any is left out."""
        return {table: self.running.table_rows(table, found) for table, found in self.found.items()}


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
        kept.take(hand_over)
        if kept.is_worth_a_look():
            yield from _handed_out(running, kept)
    yield from _handed_out(running, kept)


def _handed_out(running: Replicate, kept: "_Kept") -> Iterator[Finished]:
    done = kept.done()
    pieces = {table: kept.released(table, done) for table in COURSE}
    for first in range(0, len(done), PATIENTS_AT_ONCE):
        last = min(first + PATIENTS_AT_ONCE, len(done))
        yield Finished(
            running,
            done[first:last],
            {table: piece.records(first, last) for table, piece in pieces.items() if piece},
            {table: piece.starts(first, last) for table, piece in pieces.items() if piece},
        )


class _Kept:
    """Records of the casualties in theatre, by table, in the order of the clock."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[Records]] = {table: [] for table in COURSE}
        self._old = 0  # events that were there at the last look
        self._new = 0
        self._done: list[Subjects] = []

    def take(self, hand_over: HandOver) -> None:
        """Keep what belongs to a course."""
        for table, pieces in self._pieces.items():
            if table in hand_over:
                pieces.append(hand_over[table])
        if "timeline" in hand_over:
            events = hand_over["timeline"]
            self._new += len(events)
            self._done.append(events["subject"][IS_END[events["event_type"]]])

    def is_worth_a_look(self) -> bool:
        """Whether so much is new that going through all that is kept stays cheap per row."""
        return 2 * self._new >= self._old

    def done(self) -> Subjects:
        """Return the casualties whose course has ended since this was last asked, in order."""
        done = np.sort(np.concatenate([np.empty(0, np.int32), *self._done]))
        self._done = []
        self._new = 0
        return done

    def released(self, table: str, done: Subjects) -> "_Released | None":
        """Return the records of casualties who are done, and keep those of the others."""
        pieces = self._pieces[table]
        if not pieces:
            return None
        kind = pieces[0].dtype
        whole = np.concatenate([_as_bytes(piece) for piece in pieces])
        place = _places(done, whole.view(kind)["subject"])
        is_done = place >= 0
        if is_done.all():
            self._pieces[table] = []
        else:
            self._pieces[table] = [whole[~is_done].view(kind)]
            whole, place = whole[is_done], place[is_done]
        if table == "timeline":
            self._old = sum(map(len, self._pieces[table]))
        narrow = place.astype(np.uint16 if len(done) < 2**16 else np.int32)  # sorted by radix
        order = np.argsort(narrow, kind="stable")
        bounds = np.concatenate([[0], np.cumsum(np.bincount(narrow, minlength=len(done)))])
        return _Released(whole.view(kind), order, bounds)


@dataclass(frozen=True, slots=True)
class _Released:
    """Records of casualties who are done: which of a table, by patient."""

    found: Records
    order: npt.NDArray[np.intp]
    bounds: npt.NDArray[np.intp]

    def records(self, first: int, last: int) -> Records:
        return self.found.take(self.order[self.bounds[first] : self.bounds[last]])

    def starts(self, first: int, last: int) -> npt.NDArray[np.int32]:
        bounds = self.bounds[first : last + 1]
        return np.asarray(bounds - bounds[0], np.int32)


def _as_bytes(records: Records) -> Records:
    """Return records without fields, which numpy would join and filter field by field."""
    return records.view(f"V{records.dtype.itemsize}")


def _places(done: Subjects, subjects: Subjects) -> Subjects:
    """Return where each subject stands among those that are done, -1 where it does not."""
    if not len(done):
        return np.full(len(subjects), -1, np.int32)
    if done[-1] - done[0] + 1 == len(done):  # a stretch without a gap, as a small replicate is
        place = subjects - done[0]
        return np.where((place >= 0) & (place < len(done)), place, np.int32(-1))
    where = np.minimum(np.searchsorted(done, subjects), len(done) - 1)
    return np.where(done[where] == subjects, where.astype(np.int32), np.int32(-1))
