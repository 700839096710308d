"""What is seen: vital signs that follow from blood, airway, chest, brain and agent.

The curves through blood loss are ours, drawn through the bands of the ATLS classes of haemorrhage
(medical-anchors 5.2: I < 15, II 15-30, III 31-40, IV > 40 %). Noise and pain are drawn per contact.
"""

import math
from typing import Any, Final

import numpy as np

from medgen_pipeline.simulation import scores, streams
from medgen_pipeline.simulation.compiled import jit
from medgen_pipeline.simulation.state import FLAG, NEVER

# Share of blood left, and what is seen at it, straight lines between.
_BLOOD: Final = (0.40, 0.50, 0.60, 0.70, 0.85, 1.00)
_HEART_RATE: Final = (60.0, 142.0, 134.0, 120.0, 98.0, 78.0)
_SYSTOLIC: Final = (40.0, 60.0, 76.0, 95.0, 115.0, 124.0)
_BREATHS: Final = (8.0, 34.0, 31.0, 25.0, 19.0, 16.0)


@jit
def _along(values: Any, share: float) -> float:
    """Return the value at a share of blood, on straight lines between the points."""
    if share <= _BLOOD[0]:
        return float(values[0])
    for index in range(1, len(_BLOOD)):
        if share <= _BLOOD[index]:
            part = (share - _BLOOD[index - 1]) / (_BLOOD[index] - _BLOOD[index - 1])
            return float(values[index - 1] + part * (values[index] - values[index - 1]))
    return float(values[len(_BLOOD) - 1])


@jit
def _clip(value: float, least: float, most: float) -> int:
    return int(min(max(value, least), most))


@jit
def observe(world: Any, live: Any, row: Any, now: int, pain: float) -> None:
    """Write the vital signs a casualty shows now; blood must be up to date."""
    decision = streams.OBSERVATION + min(live.contact * 3 + min(live.legs, 2), 15)
    n0, n1, n2, n3 = streams.uniforms(world.key_0, world.key_1, live.subject, decision)
    share = math.exp(live.log_blood)
    heart = _along(_HEART_RATE, share) + world.heart_rate_noise_bpm * streams.normal(n0)
    heart += world.pain_heart_rate_bpm * pain
    systolic = _along(_SYSTOLIC, share) + 9.0 * streams.normal(n1)
    breaths = _along(_BREATHS, share) + world.breathing_noise_bpm * streams.normal(n2) + 0.45 * pain
    spo2 = 97.5 - 6.0 * max(0.0, 0.8 - share) - 1.5 * n3
    coma = _coma(live, share)
    if live.pneumothorax_at < NEVER:
        near = _nearness(live.pneumothorax_at, now)
        heart += 30.0 * near
        breaths += 12.0 * near
        spo2 -= 5.0 + 20.0 * near
        systolic -= 35.0 * near
    if live.airway_at < NEVER:
        spo2 -= 10.0 + 25.0 * _nearness(live.airway_at, now)
        breaths += 6.0
    if live.agent_dose >= 6.5:
        heart -= 12.0
        spo2 -= 4.0 if live.agent_dose < 12.0 else 16.0
        breaths += 6.0 if live.agent_dose < 25.0 else -8.0
    row.subject = live.subject
    row.observed_at = now
    row.blood_volume_ml = int(share * world.blood_volume_ml)
    row.heart_rate_bpm = _clip(heart, 20.0, 220.0)
    row.systolic_mmhg = _clip(systolic, 20.0, 220.0)
    row.diastolic_mmhg = _clip(row.systolic_mmhg * 0.62, 10.0, row.systolic_mmhg)
    row.respiratory_rate_bpm = _clip(breaths, 2.0, 60.0)
    row.spo2_percent = _clip(spo2, 40.0, 100.0)
    row.temperature_c = round(36.8 - 2.2 * max(0.0, 0.9 - share) * 2.0 + 0.35 * (n3 - 0.5), 1)
    row.gcs_eye = _clip(4.0 - coma * 0.25, 1.0, 4.0)
    row.gcs_verbal = _clip(5.0 - coma * 0.34, 1.0, 5.0)
    row.gcs_motor = _clip(6.0 - coma * 0.42, 1.0, 6.0)
    row.pain_score = _clip(pain * (1.0 - coma / 12.0), 0.0, 10.0)


@jit
def _nearness(at: int, now: int) -> float:
    """Return 0 when a death is hours away, towards 1 as it comes."""
    return 1.0 / (1.0 + max(0, at - now) / 1200.0)


@jit
def _coma(live: Any, share: float) -> float:
    """Return the points lost on the Glasgow coma scale, 0 to 12."""
    points = 0.0
    if live.brain_ais >= 3:
        points = 1.0 if live.brain_ais == 3 else (5.5 if live.brain_ais == 4 else 11.0)
    if live.flags & np.uint16(FLAG.UNSURVIVABLE) and live.brain_at < NEVER:
        points = 12.0
    if share < 0.60:
        points += (0.60 - share) * 40.0
    if live.agent_dose >= 12.0:
        points += 5.0 if live.agent_dose < 25.0 else 11.0
    return min(points, 12.0)


@jit
def revised_trauma_score(row: Any) -> float:
    """Return the RTS of a set of vital signs."""
    coma = int(row.gcs_eye) + int(row.gcs_verbal) + int(row.gcs_motor)
    return float(scores.rts(coma, int(row.systolic_mmhg), int(row.respiratory_rate_bpm)))


@jit
def reads_as_immediate(row: Any) -> bool:
    """Whether the signs are those of a priority 1 casualty.

    Source: the Modified Physiological Triage Tool, Vassallo et al. 2014, J R Army Med Corps:
    breathing under 12 or over 22 a minute, heart rate 100 or more, or a Glasgow coma score under
    14.
    """
    coma = int(row.gcs_eye) + int(row.gcs_verbal) + int(row.gcs_motor)
    return bool(
        row.respiratory_rate_bpm < 12
        or row.respiratory_rate_bpm >= 22
        or row.heart_rate_bpm >= 100
        or coma < 14
    )
