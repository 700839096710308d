"""What is seen: vital signs that follow from blood, airway, chest, brain and agent.

The curves through blood loss follow the ATLS classes of haemorrhage (I < 15, II 15-30, III 31-40,
IV > 40 % lost); they and all other figures are those of reference/physiology.toml. Noise and pain
are drawn per contact.
"""

import math
from typing import Any, Final

import numpy as np

from medgen_pipeline.simulation import scores, streams
from medgen_pipeline.simulation.compiled import jit
from medgen_pipeline.simulation.state import FLAG, NEVER

POINTS: Final = 6  # of the curves through blood loss
MOST_COMA: Final = 12.0  # points: the Glasgow coma scale runs from 15 to 3
MODERATE, SEVERE, COMA = 0, 1, 2  # places of `agent_doses`


@jit
def _along(shares: Any, values: Any, share: float) -> float:
    """Return the value at a share of blood, on straight lines between the points."""
    if share <= shares[0]:
        return float(values[0])
    for index in range(1, POINTS):
        if share <= shares[index]:
            part = (share - shares[index - 1]) / (shares[index] - shares[index - 1])
            return float(values[index - 1] + part * (values[index] - values[index - 1]))
    return float(values[POINTS - 1])


@jit
def _clip(value: float, least: float, most: float) -> int:
    return int(min(max(value, least), most))


@jit
def observe(world: Any, live: Any, row: Any, now: int, pain: float) -> None:
    """Write the vital signs a casualty shows now; blood must be up to date."""
    decision = streams.OBSERVATION + min(live.contact * 3 + min(live.legs, 2), 15)
    n0, n1, n2, n3 = streams.uniforms(world.key_0, world.key_1, live.subject, decision)
    share = math.exp(live.log_blood)
    at = world.seen_blood_share
    heart = _along(
        at, world.seen_heart_rate_bpm, share
    ) + world.heart_rate_noise_bpm * streams.normal(n0)
    heart += world.pain_heart_rate_bpm * pain
    systolic = _along(at, world.seen_systolic_mmhg, share)
    systolic += world.systolic_noise_mmhg * streams.normal(n1)
    breaths = _along(at, world.seen_breaths_bpm, share)
    breaths += world.breathing_noise_bpm * streams.normal(n2) + world.pain_breaths_bpm * pain
    healthy, low, fall, noise = world.seen_spo2_percent
    spo2 = healthy - fall * max(0.0, low - share) - noise * n3
    coma = _coma(world, live, share)
    if live.pneumothorax_at < NEVER:
        near = _nearness(world, live.pneumothorax_at, now)
        signs = world.pneumothorax_signs
        heart += signs[0] * near
        breaths += signs[1] * near
        spo2 -= signs[2] + signs[3] * near
        systolic -= signs[4] * near
    if live.airway_at < NEVER:
        signs = world.airway_signs
        spo2 -= signs[0] + signs[1] * _nearness(world, live.airway_at, now)
        breaths += signs[2]
    if live.agent_dose >= world.agent_doses[MODERATE]:
        signs = world.agent_signs
        heart -= signs[0]
        spo2 -= signs[1] if live.agent_dose < world.agent_doses[SEVERE] else signs[2]
        breaths += signs[3] if live.agent_dose < world.agent_doses[COMA] else -signs[4]
    row.subject = live.subject
    row.observed_at = now
    row.blood_volume_ml = int(share * world.blood_volume_ml)
    row.heart_rate_bpm = _clip(heart, 20.0, 220.0)
    row.systolic_mmhg = _clip(systolic, 20.0, 220.0)
    row.diastolic_mmhg = _clip(row.systolic_mmhg * world.diastolic_share, 10.0, row.systolic_mmhg)
    row.respiratory_rate_bpm = _clip(breaths, 2.0, 60.0)
    row.spo2_percent = _clip(spo2, 40.0, 100.0)
    healthy, low, fall, noise = world.seen_temperature_c
    row.temperature_c = round(healthy - fall * max(0.0, low - share) + noise * (n3 - 0.5), 1)
    lost = int(coma + 0.5)  # in all; each part rounded by itself would lose three points for one
    row.gcs_eye = int(world.gcs_eye[lost])
    row.gcs_verbal = int(world.gcs_verbal[lost])
    row.gcs_motor = int(world.gcs_motor[lost])
    row.pain_score = _clip(pain * (1.0 - coma / MOST_COMA), 0.0, 10.0)


@jit
def _nearness(world: Any, at: int, now: int) -> float:
    """Return 0 when a death is hours away, towards 1 as it comes."""
    return float(1.0 / (1.0 + max(0, at - now) / (60.0 * world.near_death_minutes)))


@jit
def _coma(world: Any, live: Any, share: float) -> float:
    """Return the points lost on the Glasgow coma scale, 0 to 12."""
    points = float(world.brain_coma_points[live.brain_ais])
    spread = world.brain_coma_spread[live.brain_ais]
    if spread > 0.0:
        draw, _, _, _ = streams.uniforms(world.key_0, world.key_1, live.subject, streams.COMA)
        points = max(0.0, points + spread * (2.0 * draw - 1.0))
    if live.flags & np.uint16(FLAG.UNSURVIVABLE) and live.brain_at < NEVER:
        points = MOST_COMA
    fades, per_share = world.blood_coma
    if share < fades:
        points += (fades - share) * per_share
    if live.agent_dose >= world.agent_doses[SEVERE]:
        severe, deep = world.agent_coma_points
        points += severe if live.agent_dose < world.agent_doses[COMA] else deep
    return float(min(points, MOST_COMA))


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
