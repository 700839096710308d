"""The records the event loop reads and writes, and the whole numbers that stand for words in it.

Two records describe a casualty. LIVE is everything the clock needs while the casualty is in
theatre; its slot is used again once they have left. RECORD is what is kept of every casualty
until the replicate ends, because the `patients` table is in order of injury and not of outcome:
it is what bounds the memory of a replicate, so it holds no word that can be computed again.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from medgen_pipeline.reference import vocabulary as words

Records = npt.NDArray[np.void]

NEVER: Final = np.iinfo(np.int32).max  # a time that does not come
NOT_YET: Final = -1  # a time that has not come
NEVER_SEEN: Final = 255  # in place of a contact


class Phase(NamedTuple):
    """What a live casualty's next event is."""

    SELF_AID: int = 0
    MEDIC: int = 1
    STEP: int = 2  # the next treatment of the plan
    EXTRACTION: int = 3  # held at the point of injury until a move is possible
    WAIT_VEHICLE: int = 4
    PICKUP: int = 5  # a vehicle is on its way
    TRAVEL: int = 6
    WAIT_BED: int = 7
    BED: int = 8  # a bed has been given
    WAIT_TABLE: int = 9
    TABLE: int = 10  # an operating table has been given
    HAEMOSTASIS: int = 11  # the surgeon has the bleeding in hand
    SURGERY_END: int = 12
    HOLD: int = 13  # recovering, until duty or onward movement


class Contact(NamedTuple):
    """Where a plan of treatments is carried out, in the order of the chain."""

    POINT_OF_INJURY: int = 0
    ROLE1: int = 1
    ROLE2: int = 2
    ROLE3: int = 3


class Flag(NamedTuple):
    """Facts about a live casualty, one bit each."""

    UNSURVIVABLE: int = 1
    NEEDS_SURGERY: int = 2
    HAD_SURGERY: int = 4
    NEEDS_DEFINITIVE: int = 8
    HAD_DEFINITIVE: int = 16
    NEEDS_NEUROSURGERY: int = 32
    HAS_ASKED: int = 64  # evacuation was requested at the start of the contact
    PNEUMOTHORAX: int = 128
    WAS_IN_SHOCK: int = 256
    LIMB_BLEEDING: int = 512  # needs a tourniquet
    TORSO_BLEEDING: int = 1024
    CONTAMINATED: int = 2048
    HIT_IN_TRANSIT: int = 4096
    IN_BED: int = 8192
    HAS_ARRIVED: int = 16384  # has been in a medical treatment facility
    IN_STAGING: int = 32768  # has left the bed and waits for a load


PHASE: Final = Phase()
CONTACT: Final = Contact()
FLAG: Final = Flag()

LIVE: Final = np.dtype(
    [
        ("plan", np.uint64),  # bit per treatment still to be given at this contact
        ("done", np.uint64),  # bit per treatment that was given and worked
        ("subject", np.int32),
        ("next_at", np.int32),  # of the one event that is pending; another in the heap is stale
        ("death_at", np.int32),
        ("queue_next", np.int32),
        ("queue_previous", np.int32),
        ("waiting_since", np.int32),
        ("blood_at", np.int32),  # when the next three were true
        ("log_blood", np.float32),  # natural log of the share of blood volume left
        ("oxygen_debt_h", np.float32),
        ("bleed_extremity", np.float32),  # per hour
        ("bleed_junctional", np.float32),
        ("bleed_truncal", np.float32),
        ("bleed_slope", np.float32),  # per hour squared
        ("limb_per_h", np.float32),  # what the extremity bled before a tourniquet
        ("tolerance_h", np.float32),  # the oxygen debt this casualty does not survive
        ("airway_at", np.int32),  # times to death of the other problems if nothing is done
        ("pneumothorax_at", np.int32),
        ("brain_at", np.int32),
        ("agent_at", np.int32),
        ("late_at", np.int32),  # sepsis, disease
        ("failing_at", np.int32),  # burns, organs and blood that fail after long shock
        ("stay_days", np.float32),  # to recover, from surgery or admission
        ("agent_dose", np.float32),  # mg.min/m3 inhaled
        ("ready_at", np.int32),  # when the casualty may be moved, or is fit for duty
        ("asked_at", np.int32),  # when evacuation was requested
        ("facility", np.int16),
        ("target", np.int16),
        ("flags", np.uint16),
        ("unit", np.uint16),  # which unit of a role is the casualty's own, before the modulus
        ("events", np.uint16),
        ("treatments", np.uint16),
        ("phase", np.uint8),
        ("contact", np.uint8),
        ("queue", np.uint8),
        ("fleet", np.uint8),
        ("triage", np.uint8),
        ("front", np.uint8),
        ("casualty_class", np.uint8),
        ("late_cause", np.uint8),
        ("failing_cause", np.uint8),
        ("brain_cause", np.uint8),  # of the death at `brain_at`: the brain, or what was destroyed
        ("legs", np.uint8),
        ("brain_ais", np.uint8),
        ("chest_ais", np.uint8),
        ("walking", np.uint8),
        ("severity", np.uint8),  # of disease and non-battle conditions: light, moderate, severe
        ("condition", np.uint8),  # wound type of the gravest wound
        ("environment", np.uint16),
    ],
    align=True,
)

RECORD: Final = np.dtype(
    [
        ("injured_at", np.int32),
        ("outcome_at", np.int32),
        ("first_care_at", np.int32),
        ("tourniquet_at", np.int32),
        ("facility_at", np.int32),
        ("surgery_at", np.int32),
        ("rts", np.float32),
        ("shock_index", np.float32),
        ("days_to_duty", np.float32),
        ("chemical_dose_mg_min_m3", np.float32),
        ("outcome_facility", np.int16),
        ("primary_code", np.int16),
        ("blood_units", np.uint16),
        ("outcome", np.uint8),
        ("death_cause", np.int8),
        ("is_potentially_survivable", np.int8),
        ("tourniquet_before_shock", np.int8),
        ("triage_true", np.uint8),
        ("triage_assigned", np.uint8),
        ("mechanism", np.uint8),
        ("mechanism_group", np.uint8),
        ("injury_count", np.uint8),
        ("max_ais", np.uint8),
        ("iss", np.uint8),
        ("niss", np.uint8),
        ("disability", np.int8),  # of `reference.disabilities`, if they live; -1 for none
        ("primary_site", np.uint8),  # of `reference.conditions.sites`
        ("last_contact", np.uint8),  # where a diagnosis was last made
    ],
    align=True,
)

FACILITY: Final = np.dtype(
    [
        ("beds", np.int32),  # as established
        ("beds_limit", np.int32),  # with surge
        ("in_beds", np.int32),
        ("inbound", np.int32),
        ("tables", np.int32),
        ("tables_taken", np.int32),  # from the call to the end of the turnover
        ("in_surgery", np.int32),  # of those, with an operation under way
        ("overflow_beds", np.int32),  # from here on arrivals are diverted
        ("turnover_s", np.int32),
        ("waiting", np.int32),
        ("staged", np.int32),
        ("vehicles_out", np.int32),
        ("arrivals", np.int32),  # this and the following: in the hour that runs
        ("departures", np.int32),
        ("deaths", np.int32),
        ("turned_away", np.int32),
        ("bypassed", np.int32),
        ("died_waiting", np.int32),
        ("over_capacity_s", np.int32),
        ("over_since", np.int32),
        ("hold_s", np.int32, 4),  # by triage category
        ("front", np.int16),  # -1 when shared
        ("role", np.uint8),
        ("has_blood", np.uint8),
    ],
    align=True,
)

FRONT: Final = np.dtype(
    [
        ("first_role1", np.int32),  # facility index of the first unit
        ("role1_units", np.int32),
        ("first_role2", np.int32),
        ("role2_units", np.int32),
    ],
    align=True,
)
ENTRY: Final = np.dtype(  # an event, on the heap or noted under its stretch
    [("key", np.int64), ("slot", np.int32), ("after", np.int32)],  # the next of the stretch
    align=True,
)
STRETCH: Final = np.dtype([("first", np.int32)])  # of its entries, -1 when there is none
FLEET: Final = np.dtype(
    [
        ("free", np.int32),
        ("total", np.int32),
        ("places", np.int32),
        ("smallest_load", np.int32),  # it waits for so many,
        ("longest_wait_s", np.int32),  # but no longer than this
        ("facility", np.int32),  # whose `vehicles_out` counts it
        ("vehicle", np.uint8),
        ("wakes_at", np.int32),  # when a waiting part load will have waited long enough
    ],
    align=True,
)

QUEUE: Final = np.dtype(
    [("head", np.int32, 4), ("tail", np.int32, 4), ("length", np.int32)], align=True
)

TIMELINE: Final = np.dtype(
    [
        ("occurred_at", np.int32),
        ("subject", np.int32),
        ("wait_minutes", np.float32),
        ("facility", np.int16),
        ("event_number", np.uint16),
        ("event_type", np.uint8),
        ("role", np.uint8),
        ("vehicle", np.int8),
    ],
    align=True,
)
INJURY: Final = np.dtype(
    [
        ("subject", np.int32),
        ("burn_tbsa_percent", np.float32),
        ("code", np.int16),
        ("injury_number", np.uint8),
        ("body_region", np.uint8),
        ("wound_region", np.uint8),
        ("side", np.int8),
        ("ais", np.uint8),
        ("wound_type", np.uint8),
        ("mechanism", np.uint8),
        ("bleeding_site", np.uint8),
        ("is_lethal", np.uint8),
    ],
    align=True,
)
TREATMENT: Final = np.dtype(
    [
        ("given_at", np.int32),
        ("subject", np.int32),
        ("quantity", np.float32),
        ("facility", np.int16),
        ("treatment_number", np.uint16),
        ("treatment", np.uint8),
        ("role", np.uint8),
        ("provider", np.uint8),
        ("body_region", np.int8),
        ("is_effective", np.uint8),
    ],
    align=True,
)
VITALS: Final = np.dtype(
    [
        ("observed_at", np.int32),
        ("subject", np.int32),
        ("temperature_c", np.float32),
        ("blood_volume_ml", np.uint16),
        ("heart_rate_bpm", np.uint16),
        ("systolic_mmhg", np.uint16),
        ("diastolic_mmhg", np.uint16),
        ("respiratory_rate_bpm", np.uint8),
        ("spo2_percent", np.uint8),
        ("gcs_eye", np.uint8),
        ("gcs_verbal", np.uint8),
        ("gcs_motor", np.uint8),
        ("pain_score", np.uint8),
        ("role", np.uint8),
        ("triage", np.uint8),  # as sorted at this contact
    ],
    align=True,
)
HOUR: Final = np.dtype(
    [
        ("hour", np.int32),  # from the start of the scenario
        ("facility", np.int16),
        *(
            (name, np.uint32)
            for name in (
                "arrivals",
                "departures",
                "deaths",
                "in_beds",
                "waiting",
                "beds",
                "in_surgery",
                "operating_tables",
                "vehicles_out",
                "turned_away",
                "bypassed",
                "died_waiting",
                "over_capacity_minutes",
                "in_staging",
            )
        ),
    ],
    align=True,
)


def code(vocabulary: tuple[str, ...], word: str) -> int:
    """Return the code of a word, as a constant for the compiled loop."""
    return vocabulary.index(word)


class Event(NamedTuple):
    """Codes of `vocabulary.EVENT_TYPES`."""

    injured: int
    first_care: int
    evacuation_requested: int
    departed: int
    arrived: int
    admitted: int
    surgery_started: int
    surgery_ended: int
    discharged: int
    died: int
    returned_to_duty: int
    left_theatre: int
    clock_ended: int


EVENT: Final = Event(*(code(words.EVENT_TYPES, word) for word in Event._fields))
