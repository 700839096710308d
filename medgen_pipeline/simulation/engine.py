"""One replicate of a scenario, from nothing to rows, in bounded memory.

What the clock has passed is handed out and forgotten; the `patients` table comes last, because a
row of it needs the outcome and its order is that of injury.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import conditions, vocabulary
from medgen_pipeline.reference.disabilities import disabilities
from medgen_pipeline.reference.treatments import treatments
from medgen_pipeline.scenario.model import Scenario
from medgen_pipeline.simulation import (
    clock,
    diagnoses,
    kernel,
    memory,
    person,
    streams,
    timing,
    wounds,
)
from medgen_pipeline.simulation.diagnoses import DiagnosisTables, diagnosis_tables
from medgen_pipeline.simulation.parameters import HOUR_S, Theatre, theatre
from medgen_pipeline.simulation.patients import PatientTables, Words, patient_rows
from medgen_pipeline.simulation.rows import Rows, Strings
from medgen_pipeline.simulation.state import (
    CONTACT,
    ENTRY,
    HOUR,
    INJURY,
    LIVE,
    NEVER_SEEN,
    QUEUE,
    RECORD,
    STRETCH,
    TIMELINE,
    TREATMENT,
    VITALS,
    Records,
)
from medgen_pipeline.simulation.wound_tables import MOST_WOUNDS, WoundTables, wound_tables

SUBJECTS_PER_REPLICATE: Final = 100_000_000
MICROSECOND: Final = 1_000_000
BUFFER_ROWS: Final = 32_768
FIRST_SLOTS: Final = 1_024
PATIENTS_PER_BLOCK: Final = 8_192
CONTACT_OF_ROLE: Final = np.array(
    [
        getattr(CONTACT, "POINT_OF_INJURY" if role == "POI" else role, NEVER_SEEN)
        for role in vocabulary.ROLES
    ],
    np.uint8,
)


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
        facilities=Strings.of(built.names),
        fronts=Strings.of(front.id for front in scenario.fronts),
        conditions=Strings.of(concept.code for concept in conditions.concepts()),
        treatments=Strings.of(treatment_codes().words),
        disabilities=Strings.of(d.code for d in disabilities()),
    )


class TreatmentCodes(NamedTuple):
    """How a treatment is coded: the code's place in `words`, and the unit of its quantity."""

    words: tuple[str, ...]
    code: npt.NDArray[np.int16]
    unit: npt.NDArray[np.int8]


@functools.cache
def treatment_codes() -> TreatmentCodes:
    """Return the SNOMED CT codes and units of the treatments, by treatment."""
    catalogue = treatments()
    words = tuple(dict.fromkeys(t.code for t in catalogue))
    units = [-1 if t.unit is None else vocabulary.UNITS.index(t.unit) for t in catalogue]
    return TreatmentCodes(
        words,
        np.array([words.index(t.code) for t in catalogue], np.int16),
        np.array(units, np.int8),
    )


class Replicate:
    """One replicate while it runs."""

    def __init__(self, engine: Engine, replicate: int) -> None:
        self.engine = engine
        self.replicate = replicate
        seed = engine.scenario.seed
        self.key_0, self.key_1 = streams.replicate_key(seed, replicate)
        self.schedule = timing.plan_casualties(engine.timing, seed, replicate)
        self.arrivals = self._arrivals()
        self.world, self.arrays = self._world()
        self.hours = np.zeros(max(4_096, len(engine.theatre.names) + 1), HOUR)
        self.casualties = len(self.schedule.injured_s)

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
            injuries=np.zeros(self.engine.buffer_rows, INJURY),
        )

    def _world(self) -> tuple[Records, dict[str, Records]]:
        """Return the world and the arrays it points at, which live as long as this does."""
        theatre, rows = self.engine.theatre, self.engine.buffer_rows
        casualties = len(self.schedule.injured_s)
        slots = min(FIRST_SLOTS, casualties + 1)
        stretches = (int(theatre.world["horizon_s"][0]) >> clock.STRETCH_BITS) + 1
        queues = np.zeros(2 * len(theatre.fleets) + 2 * len(theatre.facilities), QUEUE)
        queues["head"] = queues["tail"] = -1
        arrays = {
            "fronts": theatre.fronts,
            "facilities": theatre.facilities.copy(),
            "fleets": theatre.fleets.copy(),
            "queues": queues,
            "live": np.zeros(slots, LIVE),
            "records": np.zeros(casualties, RECORD),
            "heap": np.zeros(4 * slots + 4 * kernel.ENTRIES, ENTRY),
            "later": np.zeros(4 * slots + 4 * kernel.ENTRIES, ENTRY),
            "stretches": np.full(stretches, -1, np.int32).view(STRETCH),
            "timeline": np.zeros(rows, TIMELINE),
            "treatments": np.zeros(rows, TREATMENT),
            "vitals": np.zeros(rows, VITALS),
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
        for hand_over in self.hand_overs():
            yield from hand_over
        self._forget()
        for first in range(0, self.casualties, PATIENTS_PER_BLOCK):
            last = min(first + PATIENTS_PER_BLOCK, self.casualties)
            yield self.patients(np.arange(first, last, dtype=np.int64))

    def hand_overs(self) -> Iterator[Iterator[Rows]]:
        """Yield what the clock has passed, of every table but `patients`, in bounded portions.

        A portion is read to its end before the next; then every casualty stands where its last
        row says.
        """
        while (answer := kernel.run(self.world, self.arrivals, self.hours)) != kernel.ENDED:
            if answer == kernel.CROWDED:
                self._grow()
            else:
                yield self._hand_over()
        yield self._hand_over()
        yield from self._close()

    def patients(self, subjects: npt.NDArray[np.int64]) -> Rows:
        """Return the rows of casualties whose outcome is decided, in the order given."""
        tables = PatientTables(
            people=self.engine.people,
            diagnoses=self.engine.diagnoses,
            words=self.engine.words,
            start_us=self.engine.start_us,
            key_0=self.key_0,
            key_1=self.key_1,
        )
        return patient_rows(
            tables, self.schedule, self.arrays["records"], subjects, self._ids(subjects)
        )

    def _close(self) -> Iterator[Iterator[Rows]]:
        live = self.arrays["live"]
        here = np.flatnonzero(live["subject"] >= 0).astype(np.int32)
        here = here[np.argsort(live["subject"][here])]
        done = 0
        while done < len(here):
            done = kernel.close(self.world, here, done)
            yield self._hand_over()

    def _forget(self) -> None:
        """Give back the memory of the loop before the last table is made."""
        self.arrays = {"records": self.arrays["records"]}

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

    def _hand_over(self) -> Iterator[Rows]:
        for name, counter, buffer, columns in (
            ("injuries", "injury_rows", self.arrivals.injuries, self._injuries),
            ("timeline", "timeline_rows", self.arrays["timeline"], self._timeline),
            ("treatments", "treatment_rows", self.arrays["treatments"], self._treatments),
            ("observations", "vitals_rows", self.arrays["vitals"], self._observations),
            ("facility_hours", "hour_rows", self.hours, self._facility_hours),
        ):
            count = int(self.world[counter][0])
            if count:
                yield Rows(name, columns(buffer[:count]), self._dictionaries(name))
                self.world[counter] = 0

    def _dictionaries(self, table: str) -> dict[str, Strings]:
        words = self.engine.words
        if table == "injuries":
            return {"snomed_code": words.conditions}
        if table == "timeline":
            return {"facility": words.facilities}
        if table == "treatments":
            return {"facility": words.facilities, "snomed_code": words.treatments}
        if table == "observations":
            return {"diagnosis_code": words.conditions}
        if table == "facility_hours":
            return {"facility": words.facilities, "front": words.fronts}
        return {}

    def _ids(self, subjects: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return subjects + (self.replicate * SUBJECTS_PER_REPLICATE + 1)

    def _at(self, seconds: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        return seconds.astype(np.int64) * MICROSECOND + self.engine.start_us

    def _injuries(self, rows: Records) -> dict[str, npt.NDArray[np.generic]]:
        return {
            "subject_id": self._ids(rows["subject"].astype(np.int64)),
            "snomed_code": _copy(rows, "code"),
            **{name: _copy(rows, name) for name in _INJURY_COLUMNS},
        }

    def _timeline(self, rows: Records) -> dict[str, npt.NDArray[np.generic]]:
        return {
            "subject_id": self._ids(rows["subject"].astype(np.int64)),
            "occurred_at": self._at(rows["occurred_at"]),
            "event_number": rows["event_number"].astype(np.uint16) + np.uint16(1),
            **{name: _copy(rows, name) for name in _TIMELINE_COLUMNS},
        }

    def _treatments(self, rows: Records) -> dict[str, npt.NDArray[np.generic]]:
        treatment = _copy(rows, "treatment")
        return {
            "subject_id": self._ids(rows["subject"].astype(np.int64)),
            "given_at": self._at(rows["given_at"]),
            "treatment_number": rows["treatment_number"].astype(np.uint16) + np.uint16(1),
            "treatment": treatment,
            "snomed_code": treatment_codes().code[treatment],
            "unit": np.where(
                np.isnan(rows["quantity"]), np.int8(-1), treatment_codes().unit[treatment]
            ),
            **{name: _copy(rows, name) for name in _TREATMENT_COLUMNS},
        }

    def _observations(self, rows: Records) -> dict[str, npt.NDArray[np.generic]]:
        subjects = rows["subject"].astype(np.int64)
        records = self.arrays["records"]
        diagnosis = diagnoses.written_down(
            self.engine.diagnoses,
            self.key_0,
            self.key_1,
            subjects,
            records["primary_code"][subjects],
            records["primary_site"][subjects],
            CONTACT_OF_ROLE[rows["role"]],
        )
        return {
            "subject_id": self._ids(subjects),
            "observed_at": self._at(rows["observed_at"]),
            "diagnosis_code": diagnosis,
            **{name: _copy(rows, name) for name in _VITALS_COLUMNS},
        }

    def _facility_hours(self, rows: Records) -> dict[str, npt.NDArray[np.generic]]:
        facility = _copy(rows, "facility")
        return {
            "facility": facility,
            "role": self.engine.theatre.facilities["role"][facility],
            "front": self.engine.theatre.facilities["front"][facility],
            "hour": self._at(rows["hour"] * np.int32(HOUR_S)),
            **{name: _copy(rows, name) for name in _HOUR_COLUMNS},
        }


def _copy(rows: Records, name: str) -> npt.NDArray[np.generic]:
    """Return a field of rows apart from the loop's memory; of one row numpy would give a view."""
    return rows[name].copy()


def _link_free(live: Records, start: int) -> None:
    """Chain the slots from `start` on into the list of free ones."""
    live["subject"][start:] = -1
    live["queue_next"][start:] = np.arange(start + 1, len(live) + 1, dtype=np.int32)
    live["queue_next"][-1] = -1


def _resized(array: Records, size: int) -> Records:
    """Return the array grown to `size`, in place where the system can."""
    array.resize(size, refcheck=False)
    return array


_INJURY_COLUMNS: Final = tuple(n for n in INJURY.names or () if n not in {"subject", "code"})
_TIMELINE_COLUMNS: Final = ("event_type", "facility", "role", "vehicle", "wait_minutes")
_TREATMENT_COLUMNS: Final = (
    "facility",
    "role",
    "provider",
    "body_region",
    "quantity",
    "is_effective",
)
_VITALS_COLUMNS: Final = tuple(n for n in VITALS.names or () if n not in {"subject", "observed_at"})
_HOUR_COLUMNS: Final = tuple(n for n in HOUR.names or () if n not in {"hour", "facility"})
