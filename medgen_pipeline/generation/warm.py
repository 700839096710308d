"""Compiling the simulation once, in the set-up, so that no run ever does.

Two processes share the work, for the event loop takes as long as all the rest; and they compile in
a way that leaves a process fit for nothing else.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import numpy as np

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
from medgen_pipeline.simulation.joining import joined
from medgen_pipeline.simulation.rows import Strings


def compile_kernels() -> float | None:
    """Compile what is not compiled yet; return the seconds it took, None when all was there."""
    return compiled.compile_all(_compile_parts)


def _compile_parts() -> None:
    """Compile each part in a process of its own; raises CalledProcessError if one fails."""
    command = (sys.executable, "-m", __name__)
    started = [subprocess.Popen((*command, part)) for part in PARTS]  # noqa: S603  our own
    for process in started:
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, process.args)


def load_kernels() -> None:
    """Run every compiled function once, so that it is loaded."""
    for part in PARTS.values():
        part(_replicate())


def _loop(replicate: Replicate) -> None:
    """Run the clock to an end that finds casualties still in theatre."""
    for hand_over in replicate.hand_overs():
        for table, found in hand_over.items():
            replicate.table_rows(table, found)


def _people(replicate: Replicate) -> None:
    """Make the persons, also of casualties whom no clock has reached, and a row of text."""
    replicate.patients(np.arange(replicate.casualties, dtype=np.int64))
    joined([(Strings.of(("text",)), np.zeros(1, np.int32))], 1)


PARTS: Final[Mapping[str, Callable[[Replicate], None]]] = {"loop": _loop, "people": _people}


def _replicate() -> Replicate:
    """Return a replicate of a small scenario with everything in it."""
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
    return Replicate(engine(scenario), 0)


def main() -> None:
    """Compile the part that the command line names, in a process for nothing else."""
    compiled.draft()
    PARTS[sys.argv[1]](_replicate())


if __name__ == "__main__":
    main()
