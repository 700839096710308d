"""Sensors and their ticks in an instance, as Dagster's daemon writes them."""

from typing import Final

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster_shared.error import SerializableErrorInfo

REPOSITORY: Final = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "__repository__")


def add_sensor(
    instance: dg.DagsterInstance, name: str, status: InstigatorStatus = InstigatorStatus.RUNNING
) -> InstigatorState:
    """Switch a sensor on, or off."""
    origin = RemoteInstigatorOrigin(REPOSITORY, name)
    state = InstigatorState(origin, InstigatorType.SENSOR, status, SensorInstigatorData())
    return instance.add_instigator_state(state)


def add_tick(
    instance: dg.DagsterInstance, sensor: InstigatorState, at: float, status: TickStatus
) -> InstigatorTick:
    """Add a tick that took two seconds, or still goes on."""
    tick = instance.create_tick(
        TickData(
            instigator_origin_id=sensor.instigator_origin_id,
            instigator_name=sensor.name,
            instigator_type=InstigatorType.SENSOR,
            status=TickStatus.STARTED,
            timestamp=at,
            selector_id=sensor.selector_id,
        )
    )
    return tick if status is TickStatus.STARTED else end_tick(instance, tick, status)


def end_tick(
    instance: dg.DagsterInstance, tick: InstigatorTick, status: TickStatus
) -> InstigatorTick:
    """End a tick that goes on."""
    error = SerializableErrorInfo("it failed", [], None) if status is TickStatus.FAILURE else None
    data = tick.tick_data.with_status(status, error=error, end_timestamp=tick.timestamp + 2)
    ended: InstigatorTick = instance.update_tick(InstigatorTick(tick.tick_id, data))
    return ended
