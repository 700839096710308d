"""Compiling the simulation once, in the set-up, so that no run ever does."""

from datetime import UTC, datetime

from medgen_pipeline.scenario.model import (
    Evacuation,
    FacilityChain,
    FacilityGroup,
    Front,
    HoldHours,
    Leg,
    Scenario,
)
from medgen_pipeline.simulation import compiled
from medgen_pipeline.simulation.engine import Replicate, engine


def compile_kernels() -> float | None:
    """Compile what is not compiled yet; return the seconds it took, None when all was there."""
    return compiled.compile_all(_warm)


def _warm() -> None:
    """Run every compiled function once: a clock that ends with casualties still in theatre."""
    leg = Leg(ground_minutes=30, air_minutes=15)
    group = FacilityGroup(
        units=1, beds=10, operating_tables=1, hold_hours=HoldHours(T1=4, T2=8, T3=12)
    )
    scenario = Scenario(
        id="warm",
        title="compiles every entry point",
        start=datetime(2026, 1, 1, tzinfo=UTC),
        days=1,
        follow_up_days=0,
        patients=50,
        warfare={"conventional": 1.0},
        fronts=(Front(id="front", share=1.0, nations={"USA": 1.0}),),
        facilities=FacilityChain(
            role1=group.model_copy(update={"operating_tables": 0}), role2=group, role3=group
        ),
        evacuation=Evacuation(
            point_of_injury_to_role1=leg,
            point_of_injury_to_role2=leg,
            role1_to_role2=leg,
            role2_to_role3=leg,
            role3_to_role4=leg,
        ),
    )
    for _ in Replicate(engine(scenario), 0).rows():
        pass
