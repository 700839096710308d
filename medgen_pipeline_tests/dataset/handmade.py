"""A dataset small enough to check by eye, whose rows keep every rule; tests break one at a time.

Four casualties: one dies of wounds on a Role 2 table, one is killed at once, one is ill and returns
to duty from Role 1, and one, in another replicate, is on the road when the clock ends.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

Row = dict[str, Any]
Tables = dict[str, list[Row]]

DOW: Final = 1
KIA: Final = 2
RTD: Final = 3
MOVING: Final = 100_000_001


def at(clock: str) -> datetime:
    """Return a time of the first day."""
    hours, minutes = clock.split(":")
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=int(hours), minutes=int(minutes))


def replicate_of(subject: int) -> int:
    return subject // 100_000_000


def tables() -> Tables:
    """Return fresh rows of every table."""
    return {
        "patients": [
            _patient(
                DOW,
                injured_at=at("8:00"),
                injury_count=2,
                max_ais=4,
                iss=25,
                niss=25,
                minutes_to_first_care=5.0,
                minutes_to_tourniquet=5.0,
                minutes_to_facility=50.0,
                minutes_to_surgery=60.0,
                tourniquet_before_shock=True,
                blood_units=4,
                is_potentially_survivable=True,
                outcome="DOW",
                outcome_at=at("9:30"),
                outcome_facility="north-role2-1",
                death_cause="haemorrhage",
            ),
            _patient(
                KIA,
                injured_at=at("8:00"),
                max_ais=6,
                iss=75,
                niss=75,
                primary_condition_code="127295002",
                is_potentially_survivable=False,
                outcome="KIA",
                outcome_at=at("8:03"),
                outcome_facility="north-poi",
                death_cause="brain_injury",
            ),
            _patient(
                RTD,
                injured_at=at("9:00"),
                casualty_class="disease",
                mechanism="none",
                mechanism_group="none",
                primary_condition_code="25374005",
                minutes_to_first_care=70.0,
                minutes_to_facility=60.0,
                outcome="RTD",
                outcome_at=at("12:00"),
                outcome_facility="north-role1-1",
                allergy_codes=["91936005"],
            ),
            _patient(
                MOVING,
                injured_at=at("7:00"),
                max_ais=2,
                iss=4,
                niss=4,
                outcome="IN_CARE",
                outcome_at=at("8:00"),
                outcome_facility="north-poi",
            ),
        ],
        "injuries": [
            _injury(DOW, 1, ais=4),
            _injury(DOW, 2, ais=3, body_region="abdomen", wound_region="abdomen"),
            _injury(KIA, 1, ais=6, body_region="head_neck", snomed_code="127295002"),
            _injury(RTD, 1, ais=0, wound_type="disease", mechanism="none", snomed_code="25374005"),
            _injury(MOVING, 1, ais=2),
        ],
        "timeline": [
            _event(DOW, 1, "8:00", "injured", "north-poi", "POI"),
            _event(KIA, 1, "8:00", "injured", "north-poi", "POI"),
            _event(KIA, 2, "8:03", "died", "north-poi", "POI"),
            _event(DOW, 2, "8:05", "first_care", "north-poi", "POI"),
            _event(DOW, 3, "8:10", "evacuation_requested", "north-poi", "POI"),
            _event(DOW, 4, "8:20", "departed", "north-poi", "POI", wait_minutes=10.0),
            _event(DOW, 5, "8:50", "arrived", "north-role2-1", "ROLE2"),
            _event(DOW, 6, "8:50", "admitted", "north-role2-1", "ROLE2"),
            _event(DOW, 7, "9:00", "surgery_started", "north-role2-1", "ROLE2"),
            _event(RTD, 1, "9:00", "injured", "north-poi", "POI"),
            _event(DOW, 8, "9:25", "surgery_ended", "north-role2-1", "ROLE2"),
            _event(DOW, 9, "9:30", "died", "north-role2-1", "ROLE2"),
            _event(RTD, 2, "9:30", "departed", "north-poi", "POI"),
            _event(RTD, 3, "10:00", "arrived", "north-role1-1", "ROLE1"),
            _event(RTD, 4, "10:10", "first_care", "north-role1-1", "ROLE1"),
            _event(RTD, 5, "12:00", "returned_to_duty", "north-role1-1", "ROLE1"),
            _event(MOVING, 1, "7:00", "injured", "north-poi", "POI"),
            _event(MOVING, 2, "7:50", "departed", "north-poi", "POI"),
            _event(MOVING, 3, "8:00", "clock_ended", "north-poi", "TRANSIT"),
        ],
        "treatments": [
            _treatment(DOW, 1, "8:05", "tourniquet", "north-poi", "POI"),
            _treatment(
                DOW, 2, "9:05", "whole_blood", "north-role2-1", "ROLE2", quantity=4.0, unit="unit"
            ),
            _treatment(RTD, 1, "10:10", "rest", "north-role1-1", "ROLE1"),
        ],
        "observations": [
            _observation(DOW, "8:05", "POI"),
            _observation(DOW, "8:50", "ROLE2"),
            _observation(RTD, "10:10", "ROLE1"),
        ],
        "facility_hours": [
            _hour(0, "8:00", "north-poi", "POI", departures=1, deaths=1),
            _hour(0, "8:00", "north-role2-1", "ROLE2", arrivals=1, in_beds=1),
            _hour(0, "9:00", "north-poi", "POI", departures=1),
            _hour(0, "9:00", "north-role2-1", "ROLE2", deaths=1),
            _hour(0, "10:00", "north-role1-1", "ROLE1", arrivals=1, in_beds=1),
            _hour(0, "12:00", "north-role1-1", "ROLE1", departures=1),
            _hour(1, "7:00", "north-poi", "POI", departures=1),
        ],
    }


def row(rows: list[Row], **wanted: Any) -> Row:  # noqa: ANN401  any column's value
    """Return the first row that has these values."""
    return next(r for r in rows if all(r[name] == value for name, value in wanted.items()))


def _patient(subject: int, **given: Any) -> Row:  # noqa: ANN401
    return {
        "replicate": replicate_of(subject),
        "subject_id": subject,
        "event_id": "e1",
        "front": "north",
        "warfare_type": "conventional",
        "mechanism": "gunshot",
        "mechanism_group": "gunshot",
        "casualty_class": "battle_injury",
        "is_mass_casualty": False,
        "environment": 0,
        "day": 1,
        "nationality": "EST",
        "sex": "male",
        "age_years": 25,
        "birth_date": date(2001, 1, 1),
        "given_name": "Jaan",
        "family_name": "Tamm",
        "service_number": f"X{subject}",
        "blood_group": "O+",
        "weight_kg": 80.0,
        "religion": None,
        "allergy_codes": [],
        "primary_condition_code": "283545005",
        "recorded_diagnosis_code": None,
        "injury_count": 1,
        "max_ais": 0,
        "iss": 0,
        "niss": 0,
        "rts": 7.8408,
        "triss_survival": 0.9,
        "shock_index": None,
        "triage_true": "T1",
        "triage_assigned": "T1",
        "is_potentially_survivable": None,
        "minutes_to_first_care": None,
        "minutes_to_tourniquet": None,
        "minutes_to_facility": None,
        "minutes_to_surgery": None,
        "tourniquet_before_shock": None,
        "blood_units": 0,
        "death_cause": None,
        "disability_code": None,
        "days_to_duty": None,
    } | given


def _injury(subject: int, number: int, **given: Any) -> Row:  # noqa: ANN401
    return {
        "replicate": replicate_of(subject),
        "subject_id": subject,
        "injury_number": number,
        "body_region": "extremities",
        "wound_region": "extremity",
        "side": "left",
        "snomed_code": "283545005",
        "wound_type": "penetrating",
        "mechanism": "gunshot",
        "bleeding_site": "extremity",
        "is_lethal": False,
        "burn_tbsa_percent": None,
    } | given


def _event(
    subject: int,
    number: int,
    clock: str,
    event: str,
    facility: str,
    role: str,
    **given: Any,  # noqa: ANN401
) -> Row:
    return {
        "replicate": replicate_of(subject),
        "subject_id": subject,
        "event_number": number,
        "occurred_at": at(clock),
        "event_type": event,
        "facility": facility,
        "role": role,
        "vehicle": "ground_ambulance" if event == "departed" else None,
        "wait_minutes": None,
    } | given


def _treatment(
    subject: int,
    number: int,
    clock: str,
    treatment: str,
    facility: str,
    role: str,
    **given: Any,  # noqa: ANN401
) -> Row:
    return {
        "replicate": replicate_of(subject),
        "subject_id": subject,
        "treatment_number": number,
        "given_at": at(clock),
        "facility": facility,
        "role": role,
        "treatment": treatment,
        "snomed_code": "20655006",
        "provider": "combat_medic",
        "body_region": None,
        "quantity": None,
        "unit": None,
        "is_effective": True,
    } | given


def _observation(subject: int, clock: str, role: str, **given: Any) -> Row:  # noqa: ANN401
    return {
        "replicate": replicate_of(subject),
        "subject_id": subject,
        "observed_at": at(clock),
        "role": role,
        "heart_rate_bpm": 90,
        "systolic_mmhg": 120,
        "diastolic_mmhg": 80,
        "respiratory_rate_bpm": 16,
        "spo2_percent": 98,
        "temperature_c": 37.0,
        "gcs_eye": 4,
        "gcs_verbal": 5,
        "gcs_motor": 6,
        "pain_score": 3,
        "blood_volume_ml": 5000,
        "triage": "T2",
        "diagnosis_code": "283545005",
    } | given


def _hour(replicate: int, clock: str, facility: str, role: str, **given: Any) -> Row:  # noqa: ANN401
    return {
        "replicate": replicate,
        "facility": facility,
        "role": role,
        "front": "north",
        "hour": at(clock),
        "arrivals": 0,
        "departures": 0,
        "deaths": 0,
        "in_beds": 0,
        "waiting": 0,
        "beds": 10,
        "in_surgery": 0,
        "operating_tables": 1 if role == "ROLE2" else 0,
        "vehicles_out": 0,
        "turned_away": 0,
        "bypassed": 0,
        "died_waiting": 0,
        "over_capacity_minutes": 0,
        "in_staging": 0,
    } | given
