"""The world of one replicate, as one record: policy, counters, and where the arrays lie.

Compiled functions take the record, one pointer. To pass a dozen arrays by value instead, as numba
passes them, took three times as long to run and to compile.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from medgen_pipeline.reference.vocabulary import (
    ENVIRONMENT_CONDITIONS,
    OUTCOMES,
    TREATMENTS,
)
from medgen_pipeline.reference.warfare import HOURS_PER_DAY
from medgen_pipeline.simulation.state import (
    ENTRY,
    FACILITY,
    FLEET,
    FRONT,
    LIVE,
    QUEUE,
    RECORD,
    STRETCH,
    TIMELINE,
    TREATMENT,
    VITALS,
    Records,
)

POLICY: Final = (  # what the scenario says, all float64; seconds, shares, factors
    "tourniquet_training_share",
    "tourniquet_s",
    "medic_s",
    "casualties_per_medic",
    "medic_skill",
    "blood_forward",
    "tranexamic_acid",
    "nerve_agent_antidote",
    "surgery_factor",
    "definitive_factor",
    "spread",
    "ground_loss",
    "air_loss",
    "moves_only_in_darkness",
    "extraction_s",
    "direct_share",
    "policy_s",
    "bleeding_factor",
    "start_second_of_day",
)
COUNTERS: Final = (  # the loop's own, all int64
    "horizon_s",
    "now",
    "hour",
    "hour_facility",
    "events",
    "next_subject",
    "free_slot",
    "heap_size",
    "heap_room",
    "near_until",
    "later_size",
    "later_top",
    "later_free",
    "timeline_rows",
    "treatment_rows",
    "vitals_rows",
    "injury_rows",
    "hour_rows",
    "timeline_room",
    "treatment_room",
    "vitals_room",
    "facility_count",
    "fleet_count",
    "first_role3",
    "role3_units",
    "died_in_transit",
    "died_waiting",
    "turned_away",
    "bypassed",
)
FIGURES: Final[Mapping[str, int]] = {  # of reference/physiology.toml: how many numbers each is
    "blood_volume_ml": 1,
    "fatal_blood_share": 1,
    "shock_blood_share": 1,
    "debt_blood_share": 1,
    "controlled_per_h": 1,
    "blood_unit_share": 1,
    "oxygen_debt_tolerance_h": 2,
    "organ_failure_debt_share": 1,
    "organ_failure_days": 2,
    "refractory_share": 1,
    "refractory_hours": 2,
    "limb_artery_share": 7,
    "limb_artery_per_h": 2,
    "junction_share": 7,
    "junction_per_h": 2,
    "torso_share": 7,
    "torso_per_h_least": 7,
    "torso_per_h_most": 7,
    "bleeding_growth": 1,
    "massive_per_h": 1,
    "airway_share": 7,
    "airway_minutes": 2,
    "pneumothorax_share": 7,
    "pneumothorax_minutes": 2,
    "fatal_brain_share": 7,
    "fatal_brain_minutes": 2,
    "lethal_brain_share": 7,
    "brain_minutes": 2,
    "brain_care_stretch": 1,
    "instant_share": 1,
    "agonal_minutes": 1,
    "sepsis_share": 7,
    "sepsis_days": 2,
    "debridement_h": 1,
    "burn_share": 7,
    "burn_hours": 2,
    "burn_fluid_stretch": 1,
    "agent_fatal_dose": 1,
    "agent_minutes": 2,
    "antidote_dose_factor": 1,
    "needle_lasts_h": 1,
    "tourniquet_slip_share": 1,
    "tourniquet_slip_leaves": 1,
    "tranexamic_share": 1,
    "packing_leaves": 1,
    "crystalloid_share": 1,
    "most_units": 4,
    "provider_skill": 5,
    "surge_skill": 1,
    "transfusion_minutes": 1,
    "haemostasis_minutes": 1,
    "surgery_spread": 1,
    "surgery_loss_share": 7,
    "surgery_loss_spread": 1,
    "torn_vessel_loss_h": 1,
    "torn_limb_share": 1,
    "coagulopathy_loss": 1,
    "coagulopathy_unheld": 1,
    "unheld_leaves": 1,
    "wanted_blood_share": 1,
    "transfused_blood_share": 1,
    "minutes_per_casualty": 1,
    "sick_call_factor": 1,
    "medic_spread": 1,
    "aid_spread": 1,
    "self_aid_share": 1,
    "tourniquet_bleeding_per_h": 1,
    "packing_bleeding_per_h": 1,
    "replaced_bleeding_per_h": 1,
    "replaced_log_blood": 1,
    "immediate_bleeding_per_h": 1,
    "agent_doses": 3,
    "closing_minutes": 1,
    "light_days": 1,
    "after_surgery_h": 1,
    "role3_h": 1,
    "ageing_h": 1,
    "load_minutes": 1,
    "extraction_spread": 1,
    "hold_spread": 1,
    "pickup_minutes": 1,
    "approach_delay_share": 1,
    "seen_blood_share": 6,
    "seen_heart_rate_bpm": 6,
    "seen_systolic_mmhg": 6,
    "seen_breaths_bpm": 6,
    "seen_spo2_percent": 4,
    "seen_temperature_c": 4,
    "diastolic_share": 1,
    "systolic_noise_mmhg": 1,
    "heart_rate_noise_bpm": 1,
    "breathing_noise_bpm": 1,
    "pain_heart_rate_bpm": 1,
    "pain_breaths_bpm": 1,
    "pain_points": 4,
    "analgesia_leaves": 1,
    "near_death_minutes": 1,
    "pneumothorax_signs": 5,
    "airway_signs": 3,
    "agent_signs": 5,
    "brain_coma_points": 7,
    "blood_coma": 2,
    "agent_coma_points": 2,
    "brain_coma_spread": 7,
    "gcs_eye": 13,
    "gcs_verbal": 13,
    "gcs_motor": 13,
    "expectant_recognised_share": 1,
}
ARRAYS: Final[Mapping[str, np.dtype[np.void]]] = {  # held by address
    "fronts": FRONT,
    "facilities": FACILITY,
    "fleets": FLEET,
    "queues": QUEUE,
    "live": LIVE,
    "records": RECORD,
    "heap": ENTRY,
    "later": ENTRY,
    "stretches": STRETCH,
    "timeline": TIMELINE,
    "treatments": TREATMENT,
    "vitals": VITALS,
}
WORLD: Final = np.dtype(
    [
        ("key_0", np.uint64),
        ("key_1", np.uint64),
        *((name, np.float64) for name in POLICY),
        *((name, np.float64, (size,) if size > 1 else ()) for name, size in FIGURES.items()),
        *((name, np.int64) for name in COUNTERS),
        *((name, np.int64) for name in ARRAYS),
        ("outcomes", np.int64, len(OUTCOMES)),
        ("leg_s", np.float64, (5, 2)),  # [WAY, ground 0 or air 1]; 0 when it is not flown
        ("delay_s", np.float64, len(ENVIRONMENT_CONDITIONS)),  # on each forward move
        ("grounds_aircraft", np.uint8, len(ENVIRONMENT_CONDITIONS)),
        ("is_dark", np.uint8, HOURS_PER_DAY),
        ("works", np.float64, len(TREATMENTS)),
        ("minutes", np.float64, len(TREATMENTS)),
        ("alongside", np.uint8, len(TREATMENTS)),
        ("quantity", np.float64, len(TREATMENTS)),  # NaN when nothing is used
    ],
    align=True,
)


def _accessor(array: str, dtype: np.dtype[np.void]) -> Callable[[Any, Any], Any]:
    """Return a function (world, index) that gives the record at an index of one of its arrays.

    An intrinsic, because numba would compile an ordinary function anew for every type of index,
    and link each of them into every caller.
    """
    record = numba.from_dtype(dtype)
    place = WORLD.fields[array][1] if WORLD.fields else 0

    @intrinsic  # type: ignore[untyped-decorator]
    def record_at(_typing: Any, world: Any, index: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            from llvmlite import ir  # type: ignore[import-untyped]  # noqa: PLC0415  to compile

            wide = ir.IntType(64)
            field = builder.add(builder.ptrtoint(arguments[0], wide), ir.Constant(wide, place))
            start = builder.load(builder.inttoptr(field, wide.as_pointer()))
            number = context.cast(builder, arguments[1], signature.args[1], types.int64)
            offset = builder.mul(number, ir.Constant(wide, record.size))
            return builder.inttoptr(builder.add(start, offset), context.get_value_type(record))

        return record(world, index), build

    return cast("Callable[[Any, Any], Any]", record_at)


# (world, index) -> record; the index is a front, facility, fleet, queue, slot, subject or row.
front_at: Final = _accessor("fronts", FRONT)
facility_at: Final = _accessor("facilities", FACILITY)
fleet_at: Final = _accessor("fleets", FLEET)
queue_at: Final = _accessor("queues", QUEUE)  # two a fleet, then beds, then tables by facility
live_at: Final = _accessor("live", LIVE)
record_of: Final = _accessor("records", RECORD)
entry_at: Final = _accessor("heap", ENTRY)
later_at: Final = _accessor("later", ENTRY)
stretch_at: Final = _accessor("stretches", STRETCH)
timeline_at: Final = _accessor("timeline", TIMELINE)
treatment_at: Final = _accessor("treatments", TREATMENT)
vitals_at: Final = _accessor("vitals", VITALS)


LINE_BYTES: Final = 64  # of the processor's cache


@intrinsic  # type: ignore[untyped-decorator]
def fetch(_typing: Any, record: Any) -> Any:
    """Have the processor fetch a record that is wanted soon."""

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        from llvmlite import ir  # noqa: PLC0415  to compile

        wide, flag = ir.IntType(64), ir.IntType(32)
        pointer = ir.IntType(8).as_pointer()
        prefetch = builder.module.declare_intrinsic(
            "llvm.prefetch", [pointer], ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        )
        address = builder.ptrtoint(arguments[0], wide)
        for offset in range(0, record.size, LINE_BYTES):
            line = builder.inttoptr(builder.add(address, ir.Constant(wide, offset)), pointer)
            builder.call(prefetch, [line, flag(1), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(record), build


def hold(world: Records, **arrays: Records) -> None:
    """Point a world at its arrays; the caller keeps them alive."""
    for name, array in arrays.items():
        if array.dtype != ARRAYS[name]:
            raise TypeError(f"{name} holds {array.dtype}, not {ARRAYS[name]}")
        world[name] = array.ctypes.data
