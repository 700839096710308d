"""One replicate of a scenario, from nothing to rows, in bounded memory.

What the clock has passed is handed out and forgotten; the `patients` table comes last, because a
row of it needs the outcome and its order is that of injury.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import conditions, vocabulary
from medgen_pipeline.reference.disabilities import disabilities
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation import (
    clock,
    kernel,
    memory,
    person,
    streams,
    timing,
    wounds,
)
from medgen_pipeline.simulation.diagnoses import DiagnosisTables, diagnosis_tables
from medgen_pipeline.simulation.origin import MICROSECOND, Origin, Words
from medgen_pipeline.simulation.parameters import Theatre, theatre
from medgen_pipeline.simulation.patients import patient_rows
from medgen_pipeline.simulation.rows import Rows, Vocabulary
from medgen_pipeline.simulation.state import (
    ENTRY,
    HOUR,
    INJURY,
    LIVE,
    QUEUE,
    RECORD,
    STRETCH,
    TIMELINE,
    TREATMENT,
    VITALS,
    Records,
)
from medgen_pipeline.simulation.tables import table_rows, treatment_codes
from medgen_pipeline.simulation.wound_tables import MOST_WOUNDS, WoundTables, wound_tables

SUBJECTS_PER_REPLICATE: Final = 100_000_000
BUFFER_ROWS: Final = 32_768
MOST_HOURS: Final = 4_096  # rows of facility_hours, unless there are more facilities
FIRST_SLOTS: Final = 1_024
PATIENTS_PER_BLOCK: Final = 8_192
# What the loop writes, by table: its counter of rows, and their type.
WRITTEN: Final = {
    "injuries": ("injury_rows", INJURY),
    "timeline": ("timeline_rows", TIMELINE),
    "treatments": ("treatment_rows", TREATMENT),
    "observations": ("vitals_rows", VITALS),
    "facility_hours": ("hour_rows", HOUR),
}

HandOver = Mapping[str, Records]
"""What the loop has written since the last one, by table, in the order of the clock."""


class Portion(NamedTuple):
    """Rows of one table that are yet to be made."""

    rows: int
    make: Callable[[], Rows]


@dataclass(frozen=True, slots=True)
class Engine:
    """All that is the same for every replicate of a scenario."""

    scenario: Scenario
    theatre: Theatre
    timing: timing.TimingTables
    wounds: WoundTables
    people: person.PeopleTables
    diagnoses: DiagnosisTables
    words: Words
    start_us: int
    buffer_rows: int = BUFFER_ROWS


def engine(scenario: Scenario, *, buffer_rows: int = BUFFER_ROWS) -> Engine:
    """Prepare a scenario; `buffer_rows` changes memory and nothing else."""
    if buffer_rows < kernel.MARGIN:
        raise ValueError(f"buffer_rows is {buffer_rows}; must be at least {kernel.MARGIN}")
    built = theatre(scenario)
    return Engine(
        scenario=scenario,
        theatre=built,
        timing=timing.timing_tables(scenario),
        wounds=wound_tables(scenario),
        people=person.people_tables(scenario),
        diagnoses=diagnosis_tables(scenario),
        words=_words(scenario, built),
        start_us=round(scenario.start.timestamp() * MICROSECOND),
        buffer_rows=buffer_rows,
    )


def _words(scenario: Scenario, built: Theatre) -> Words:
    return Words(
        facilities=Vocabulary.of(built.names),
        fronts=Vocabulary.of(front.id for front in scenario.fronts),
        conditions=Vocabulary.of(concept.code for concept in conditions.concepts()),
        treatments=Vocabulary.of(treatment_codes().words),
        disabilities=Vocabulary.of(d.code for d in disabilities()),
    )


class Replicate:
    """One replicate while it runs."""

    def __init__(self, engine: Engine, replicate: int) -> None:
        self.engine = engine
        self.replicate = replicate
        seed = engine.scenario.seed
        self.key_0, self.key_1 = streams.replicate_key(seed, replicate)
        self.schedule = timing.plan_casualties(engine.timing, seed, replicate)
        self.casualties = len(self.schedule.injured_s)
        self.written = self._empty()
        self.arrivals = self._arrivals()
        self.world, self.arrays = self._world()
        self._hold_written()
        self.origin = Origin(
            people=engine.people,
            diagnoses=engine.diagnoses,
            words=engine.words,
            facilities=engine.theatre.facilities,
            casualties=self.arrays["records"],
            start_us=engine.start_us,
            first_id=replicate * SUBJECTS_PER_REPLICATE + 1,
            key_0=self.key_0,
            key_1=self.key_1,
        )

    def _empty(self) -> dict[str, Records]:
        """Return memory for the loop to write to; a facility's hours need room for every one."""
        hours = max(MOST_HOURS, len(self.engine.theatre.names) + 1)
        return {
            table: np.empty(hours if kind is HOUR else self.engine.buffer_rows, kind)
            for table, (_, kind) in WRITTEN.items()
        }

    def _arrivals(self) -> kernel.Arrivals:
        s = self.schedule
        return kernel.Arrivals(
            injured_s=s.injured_s,
            event=s.event,
            casualty_class=s.casualty_class,
            position_in_event=s.position_in_event,
            event_front=s.event_front.astype(np.uint8),
            event_warfare=s.event_warfare,
            event_environment=s.event_environment,
            event_discovery_delay_s=s.event_discovery_delay_s,
            tables=self.engine.wounds,
            wounds=np.zeros(MOST_WOUNDS, wounds.WOUND),
            summary=np.zeros(1, wounds.CASUALTY),
            injuries=self.written["injuries"],
        )

    def _world(self) -> tuple[Records, dict[str, Records]]:
        """Return the world and the arrays it points at, which live as long as this does."""
        theatre, rows = self.engine.theatre, self.engine.buffer_rows
        slots = min(FIRST_SLOTS, self.casualties + 1)
        stretches = (int(theatre.world["horizon_s"][0]) >> clock.STRETCH_BITS) + 1
        queues = np.zeros(2 * len(theatre.fleets) + 2 * len(theatre.facilities), QUEUE)
        queues["head"] = queues["tail"] = -1
        arrays = {
            "fronts": theatre.fronts,
            "facilities": theatre.facilities.copy(),
            "fleets": theatre.fleets.copy(),
            "queues": queues,
            "live": np.zeros(slots, LIVE),
            "records": np.zeros(self.casualties, RECORD),
            "heap": np.zeros(4 * slots + 4 * kernel.ENTRIES, ENTRY),
            "later": np.zeros(4 * slots + 4 * kernel.ENTRIES, ENTRY),
            "stretches": np.full(stretches, -1, np.int32).view(STRETCH),
        }
        _link_free(arrays["live"], 0)
        world = theatre.world.copy()
        world["key_0"], world["key_1"] = self.key_0, self.key_1
        world["heap_room"] = len(arrays["heap"])
        world["later_free"] = -1
        world["timeline_room"] = world["treatment_room"] = world["vitals_room"] = rows
        memory.hold(world, **arrays)
        return world, arrays

    @property
    def outcome_counts(self) -> dict[str, int]:
        """The casualties whose outcome is decided, by outcome."""
        counts = self.world["outcomes"][0].tolist()
        return dict(zip(vocabulary.OUTCOMES, counts, strict=True))

    def rows(self) -> Iterator[Rows]:
        """Yield the rows of every table, each table in its order."""
        for portion in self.portions():
            yield portion.make()

    def portions(self) -> Iterator[Portion]:
        """Yield what makes the rows that `rows` yields, one after another.

        So another thread can make them while the loop goes on; patients, who come when it has
        ended, are made here.
        """
        for hand_over in self.hand_overs():
            for table, found in hand_over.items():
                yield Portion(len(found), partial(self.table_rows, table, found))
        self._forget()
        for first in range(0, self.casualties, PATIENTS_PER_BLOCK):
            last = min(first + PATIENTS_PER_BLOCK, self.casualties)
            made = self.patients(np.arange(first, last, dtype=np.int64))
            yield Portion(last - first, partial(_made, made))

    def hand_overs(self) -> Iterator[HandOver]:
        """Yield what the clock has passed, of every table but `patients`, in bounded portions."""
        while (answer := self._run()) != kernel.ENDED:
            if answer == kernel.CROWDED:
                self._grow()
            else:
                yield self._hand_over()
        yield self._hand_over()
        yield from self._close()

    def _run(self) -> int:
        return kernel.run(self.world, self.arrivals, self.written["facility_hours"])

    def table_rows(self, table: str, found: Records) -> Rows:
        """Return records of a hand-over, or some of them, as rows of their table."""
        return table_rows(self.origin, table, found)

    def patients(self, subjects: npt.NDArray[np.int64]) -> Rows:
        """Return the rows of casualties whose outcome is decided, in the order given."""
        return patient_rows(self.origin, self.schedule, subjects)

    def _close(self) -> Iterator[HandOver]:
        live = self.arrays["live"]
        here = np.flatnonzero(live["subject"] >= 0).astype(np.int32)
        here = here[np.argsort(live["subject"][here])]
        done = 0
        while done < len(here):
            done = kernel.close(self.world, here, done)
            yield self._hand_over()

    def _forget(self) -> None:
        """Give back the memory of the loop before the last table is made."""
        self.arrays = {"records": self.origin.casualties}
        self.written = {}

    def _grow(self) -> None:
        """Make room for more casualties in theatre, or more events on the clock."""
        world = self.world[0]
        if world["free_slot"] < 0:
            old = len(self.arrays["live"])
            self.arrays["live"] = _resized(self.arrays["live"], old + max(old // 4, 64))
            _link_free(self.arrays["live"], old)
            self.world["free_slot"] = old
        if world["heap_size"] + world["later_size"] + kernel.ENTRIES > world["heap_room"]:
            room = len(self.arrays["heap"]) * 3 // 2 + kernel.ENTRIES
            for name in ("heap", "later"):  # all events may be in either
                self.arrays[name] = _resized(self.arrays[name], room)
            self.world["heap_room"] = room
        memory.hold(self.world, **{name: self.arrays[name] for name in ("live", "heap", "later")})

    def _hand_over(self) -> HandOver:
        """Return what the loop has written, and give it other memory to write to."""
        found = {}
        for table, (counter, kind) in WRITTEN.items():
            count = int(self.world[counter][0])
            if count:
                found[table] = self.written[table][:count]
                self.written[table] = np.empty(len(self.written[table]), kind)
                self.world[counter] = 0
        self._hold_written()
        return found

    def _hold_written(self) -> None:
        written = self.written
        self.arrivals = self.arrivals._replace(injuries=written["injuries"])
        memory.hold(
            self.world,
            timeline=written["timeline"],
            treatments=written["treatments"],
            vitals=written["observations"],
        )


def _made(rows: Rows) -> Rows:
    return rows


def _link_free(live: Records, start: int) -> None:
    """Chain the slots from `start` on into the list of free ones."""
    live["subject"][start:] = -1
    live["queue_next"][start:] = np.arange(start + 1, len(live) + 1, dtype=np.int32)
    live["queue_next"][-1] = -1


def _resized(array: Records, size: int) -> Records:
    """Return the array grown to `size`, in place where the system can."""
    array.resize(size, refcheck=False)
    return array
