"""`medgen up` as a whole: what it would run, why it could not, and running it."""

import contextlib
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from medgen_pipeline.errors import DatabaseError, DatasetError, SettingError
from medgen_pipeline.runtime import home as homes
from medgen_pipeline.runtime.host import available_mb
from medgen_pipeline.runtime.limits import MEMORY, Limits
from medgen_pipeline.runtime.listening import fault_of, is_loopback
from medgen_pipeline.runtime.ray_address import ray_hindrances
from medgen_pipeline.runtime.services import Place, Service, is_importable, services
from medgen_pipeline.runtime.supervisor import Supervisor
from medgen_pipeline.settings import Settings

# Of glibc. Each thread of a run, as Arrow has them, would keep memory of its own: 9 MB in one of a
# million. Large pieces come from the kernel and go back to it; left to itself the allocator learns
# to keep them, and a second million takes 30 MB more than the first.
ENVIRONMENT: Final = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "262144",
    "MALLOC_TRIM_THRESHOLD_": "1048576",
}
# Of the allocators that Arrow brings, this one keeps 30 MB less than the default in such a run.
ARROW_ALLOCATOR: Final = {"ARROW_DEFAULT_MEMORY_POOL": "jemalloc"}
# Of the grace: runs are cancelled, which takes 10 s if one must be killed, and all else ends.
ENDING_SECONDS: Final = 15.0
LOGS: Final = "process-logs"  # below the home, where Dagster empties "logs" for its telemetry

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment that could be started."""

    settings: Settings
    place: Place
    grace_seconds: float
    # The service's rule, which this part may not import: SettingError where strangers would get in.
    expect_reachable: Callable[[Settings, str], None]

    @property
    def services(self) -> list[Service]:
        """Its processes, in the order in which they are started."""
        return services(self.place)

    def facts(self) -> Iterator[str]:
        """Yield what would be run, and within which bounds."""
        settings, place = self.settings, self.place
        for service in self.services:
            yield f"{service.name}: {service.where}"
        yield f"home: {place.home}, logs in {place.home / LOGS}"
        yield f"data: {settings.data_url}"
        yield f"database: {_database(settings, place.home)}"
        where = f" on Ray at {settings.ray_address}" if settings.ray_address else ""
        yield f"runs: {settings.max_concurrent_jobs} at once{where}, each {Limits.of(settings)}"

    def doubts(self) -> Iterator[str]:
        """Yield what would let it start, but not work as it may be meant."""
        if homes.is_foreign(self.place.home):
            yield (
                f"{self.place.home}/dagster.yaml is not ours: it stands, and the environment's "
                "limits and queue may differ from it"
            )
        with contextlib.suppress(SettingError):  # which is a hindrance, and told as one
            if not is_loopback(self.place.host):
                yield (
                    f"--host is {self.place.host}, which others can reach: Dagster's web server "
                    "has no keys; put a proxy that asks for a password before it"
                )
        needed, free = self.settings.job_max_memory_mb, available_mb()
        if free < needed and self.settings.ray_address is None:
            yield (
                f"the queue would wait: {free:,.0f} MB of memory are free and a run may take "
                f"{needed:,} MB ({MEMORY.setting})"
            )

    def in_use(self) -> str | None:
        """Return that another one runs in its home, if so."""
        holder = homes.holder(self.place.home)
        return homes.in_use_by(holder, self.place.home) if holder else None

    def hindrances(self) -> Iterator[str]:
        """Yield why it cannot be started in a home that is free, and what to change."""
        place = self.place
        fault = homes.not_writable(place.home)
        if fault:
            yield fault
        if self.settings.ray_address is not None:
            yield from ray_hindrances(self.settings, self.settings.ray_address)
        if not is_importable(place.definitions):
            yield f"--definitions is {place.definitions!r}; must be a module that can be imported"
        for service in self.services:
            if not service.is_installed:
                yield (
                    f"the {service.name} is not installed; pip install 'medgen_pipeline[service]'"
                )
        yield from self._faults_of_listening()
        yield from faults_of_database(self.settings, is_command=False)

    def _faults_of_listening(self) -> Iterator[str]:
        """Yield why its ports cannot be listened on, or strangers would reach its API."""
        host = self.place.host
        fault = fault_of(host, 0, "--host")
        if fault:
            yield fault
            return
        taken: set[int] = set()
        for service in self.services:
            if service.port is None:
                continue
            if service.port in taken:
                yield f"{service.setting} is {service.port}; that port of {host} is taken"
            elif fault := fault_of(host, service.port, service.setting):
                yield fault
            taken.add(service.port)
        try:
            self.expect_reachable(self.settings, host)
        except SettingError as error:
            yield str(error)


def faults_of_database(settings: Settings, *, is_command: bool) -> Iterator[str]:
    """Yield why a deployment, or one command alone, cannot use its database, and what to change."""
    if settings.database_url is None:
        return
    if not is_importable("dagster_postgres"):
        yield "MEDGEN_DATABASE_URL is set; pip install 'medgen_pipeline[postgres]' to use it"
        return
    from medgen_pipeline.runtime import database  # noqa: PLC0415  without it no driver is needed

    needed = database.needed_by_a_command if is_command else database.needed_by_all
    yield from database.hindrances(settings, needed(settings))


def require_database(home: Path, settings: Settings) -> None:
    """Raise SettingError if one command alone cannot use the database where a home keeps runs."""
    lack = homes.lacks_its_database(home, settings)
    faults = [lack] if lack else list(faults_of_database(settings, is_command=True))
    if faults:
        raise SettingError("\n".join(faults))


def _database(settings: Settings, home: Path) -> str:
    """Return where runs and events are kept, in words without a password."""
    if settings.database_url is None or not is_importable("dagster_postgres"):
        return f"SQLite below {home}"
    from medgen_pipeline.runtime import database  # noqa: PLC0415  without it no driver is needed

    most = database.needed_by_all(settings)
    with contextlib.suppress(SettingError):  # which is a hindrance, and told as one
        return f"Postgres, {database.Address(settings.database_url)}, at most {most} connections"
    return "Postgres"


def plan(
    settings: Settings,
    *,
    host: str,
    port: int,
    grace_seconds: float,
    definitions: str,
    expect_reachable: Callable[[Settings, str], None],
) -> Plan:
    """Return the plan of a deployment; nothing is written or started."""
    home = homes.home_of(settings)
    place = Place(
        home=home,
        socket=homes.socket_of(home),
        workspace=home / homes.WORKSPACE,
        host=host,
        port=port,
        api_port=settings.metrics_port,
        definitions=definitions,
    )
    return Plan(settings, place, grace_seconds, expect_reachable)


def environment() -> dict[str, str]:
    """Return what keeps the memory of runs small; what is set already stands."""
    has_it = platform.machine() == "x86_64"  # elsewhere it may not be there
    return {**ENVIRONMENT, **(ARROW_ALLOCATOR if has_it else {})}


def up(plan: Plan, environ: Mapping[str, str], say: Say) -> None:
    """Run a deployment until a signal stops it; raises SettingError when it cannot be started."""
    place = plan.place

    # Only at the end, when it is needed: Dagster takes 100 MB.
    def drain(may_wait: Callable[[], bool]) -> None:
        from medgen_pipeline.runtime import drain as end  # noqa: PLC0415

        try:
            end.drain(place.home, may_wait, say)
        except DatabaseError as error:
            say(f"runs are stopped without a word in the database: {error}")

    def sweep() -> None:
        from medgen_pipeline.runtime import drain as end  # noqa: PLC0415

        try:
            end.sweep(place.home, plan.settings.data_url)
        except (DatabaseError, DatasetError) as error:
            say(f"what runs had staged is left to the janitor: {error}")

    with homes.held(place.home):
        faults = list(plan.hindrances())
        if faults:
            raise SettingError("\n".join(faults))
        homes.write_instance(place.home, plan.settings)
        homes.write_workspace(place.workspace, place.socket)
        place.socket.unlink(missing_ok=True)
        for line in (*plan.facts(), *plan.doubts()):
            say(line)
        supervisor = Supervisor(
            plan.services,
            place.home / LOGS,
            {**environment(), **environ, "DAGSTER_HOME": str(place.home)},
            say,
        )
        supervisor.run(drain, max(0.0, plan.grace_seconds - ENDING_SECONDS))
        sweep()
