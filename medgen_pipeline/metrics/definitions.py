"""Every metric of `GET /metrics`: its name, labels, meaning, source and blind spot, stated once.

Alert rules and dashboards are written against these names, `docs/metrics.md` is made of them:
`python -m medgen_pipeline.metrics.definitions > docs/metrics.md` refreshes it. Names follow
Prometheus: base units, `_total` for what only grows. No label holds an id, a message or anything
else without a bound; what a label may hold is in LABELS.
"""

import enum
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final


class Kind(enum.StrEnum):
    """How a metric behaves; Prometheus's word."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric family."""

    name: str  # as it is exposed, `_total` included; a histogram's without its suffixes
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()  # upper bounds, in the unit of the name
    source: str
    blind_spot: str


@dataclass(frozen=True, slots=True)
class Section:
    """Metrics that come from the same place."""

    title: str
    metrics: tuple[Metric, ...]


def counter(name: str, about: str, *labels: str, source: str, blind_spot: str) -> Metric:
    """Return a metric that only grows."""
    return Metric(
        name=name,
        kind=Kind.COUNTER,
        help=about,
        labels=labels,
        source=source,
        blind_spot=blind_spot,
    )


def gauge(name: str, about: str, *labels: str, source: str, blind_spot: str) -> Metric:
    """Return a metric that goes up and down."""
    return Metric(
        name=name,
        kind=Kind.GAUGE,
        help=about,
        labels=labels,
        source=source,
        blind_spot=blind_spot,
    )


def histogram(
    name: str,
    about: str,
    *labels: str,
    buckets: tuple[float, ...],
    source: str,
    blind_spot: str,
) -> Metric:
    """Return a metric that counts values by size."""
    return Metric(
        name=name,
        kind=Kind.HISTOGRAM,
        help=about,
        labels=labels,
        buckets=buckets,
        source=source,
        blind_spot=blind_spot,
    )


# What a label may hold. A value outside of a closed set is counted as OTHER.
OTHER: Final = "other"
NONE: Final = "none"
WORKLOADS: Final = ("generation", "aggregates", "validation", "housekeeping")
PRIORITIES: Final = ("low", "normal", "high")  # below 0, 0, above 0
OUTCOMES_OF_RUNS: Final = ("success", "failure", "breached", "canceled")
LIMITS: Final = ("max_memory_mb", "max_cpu_seconds", "max_runtime_seconds")
MOST_SCENARIOS: Final = 100  # further ones are counted together; our own choice
SEVERAL: Final = "several"

LABELS: Final[Mapping[str, str]] = {
    "job_name": "name of a Dagster job of the code location",
    "workload": f"tag `medgen/workload`: {', '.join(WORKLOADS)}; {OTHER} for any other value, "
    f"{NONE} without the tag",
    "scenario": f"id of a scenario, of the first {MOST_SCENARIOS} seen; {OTHER} for further ones, "
    f"{SEVERAL} for a run over more than one, {NONE} for a run of none",
    "outcome": f"of a run: {', '.join(OUTCOMES_OF_RUNS)}, where breached is a failure by a limit; "
    "of patients: KIA, DOW, DNB, RTD, EVACUATED, IN_CARE",
    "priority": f"class of `dagster/priority`: {PRIORITIES[0]} below 0, {PRIORITIES[1]} 0, "
    f"{PRIORITIES[2]} above 0",
    "status": "status of a run, backfill or tick, Dagster's word in lower case",
    "limit": f"{', '.join(LIMITS)}",
    "tag": "key of a tag with a limit in dagster.yaml",
    "value": "value of that tag; `*` where each value has the limit",
    "table": "table of the dataset or aggregate, as in the data dictionary",
    "pool": "name of a Dagster pool",
    "daemon": "type of a Dagster daemon in lower case",
    "kind": "sensor or schedule",
    "name": "name of a sensor or schedule of the code location",
    "state": "of partitions: materialized, failed, missing; of connections: active, idle; "
    "of run slots: configured, open, busy; of memory: total, available; of a disk: total, free",
    "process": "supervisor, code_server, web_server, daemon, api; run_worker: all together; "
    "command: `medgen` commands that use the database",
    "event": "what became of a connection: created, closed, checked_out, checkout_timeout, "
    "connect_failed, validation_failed, recycled, invalidated",
    "statement": "select, insert, update, delete, other",
    "error": "kind of a database error: connect, disconnect, pool_timeout, statement_timeout, "
    "conflict, other",
    "method": f"HTTP method; {OTHER} for one that HTTP does not define",
    "route": "path of a route as it is declared, `unmatched` for any other path",
    "code": "HTTP status",
    "cause": "completed, abandoned (the client left or was too slow), failed",
    "collector": "part of the exporter, one for each source",
    "sensor": "run_metrics_sensor, pool_metrics_sensor",
    "version": "of medgen_pipeline",
    "dagster": "version of Dagster",
    "python": "version of Python",
    "schema": "version of the dataset's schema",
}

OF_A_RUN: Final = ("job_name", "workload", "scenario")
SENSOR: Final = "run_metrics_sensor, from Dagster's run records"
LATE: Final = "up to 30 s late"
EVENTS: Final = "run_metrics_sensor, from the materialization events of finished runs"

# Our own choices: from the shortest run there is to the longest allowed by default, and beyond.
RUN_SECONDS: Final = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
WAIT_SECONDS: Final = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
CPU_SECONDS: Final = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
MIB: Final = 1024 * 1024
MEMORY_BYTES: Final = tuple(
    float(mib * MIB) for mib in (128, 192, 256, 320, 384, 448, 512, 768, 1024, 2048, 4096)
)
# As the predecessor's, so that figures can be compared.
REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
QUERY_SECONDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
WAIT_FOR_CONNECTION_SECONDS: Final = (*QUERY_SECONDS, 5.0, 10.0, 30.0)
POOL_FILES: Final = "what each process counts of its pools and leaves below DAGSTER_HOME"
AS_CONNECTIONS: Final = "As medgen_db_pool_connections."

RUNS: Final = gauge(
    "medgen_runs",
    "Runs that Dagster has a record of, by status.",
    "status",
    source="run storage, counted",
    blind_spot="Housekeeping deletes old runs, so finished ones shrink: "
    "for rates use medgen_runs_finished_total.",
)
RUNS_FINISHED: Final = counter(
    "medgen_runs_finished_total",
    "Runs that have ended, each counted once.",
    *OF_A_RUN,
    "outcome",
    source=SENSOR,
    blind_spot=f"{LATE}; a run that was deleted within that time is never counted, one that "
    "changed its status after it had ended is counted under the first.",
)
RUN_DURATION: Final = histogram(
    "medgen_run_duration_seconds",
    "Time from the start of a run to its end.",
    *OF_A_RUN,
    buckets=RUN_SECONDS,
    source=SENSOR,
    blind_spot=f"{LATE}; runs that never started are not in it; the 3 s in which a process is "
    "launched come before.",
)
QUEUE_WAIT: Final = histogram(
    "medgen_run_queue_wait_seconds",
    "Time from the creation of a run to its start: the queue and the launch.",
    *OF_A_RUN,
    "priority",
    buckets=WAIT_SECONDS,
    source=SENSOR,
    blind_spot="Known when the run has ended; a run that still waits shows in "
    "medgen_queue_oldest_age_seconds only. The priority is the last one it had.",
)
PEAK_MEMORY: Final = histogram(
    "medgen_run_peak_memory_bytes",
    "Most resident memory that the processes of a run had together.",
    *OF_A_RUN,
    buckets=MEMORY_BYTES,
    source=f"{SENSOR}: tag medgen/peak_memory_mb, which the run's guard writes",
    blind_spot="Sampled four times a second; memory that processes share counts for each. A killed "
    "run tells what it had up to 10 s before. Runs inside another process are not in it.",
)
RUN_CPU: Final = histogram(
    "medgen_run_cpu_seconds",
    "CPU time that the processes of a run took.",
    *OF_A_RUN,
    buckets=CPU_SECONDS,
    source=f"{SENSOR}: tag medgen/cpu_seconds, which the run's guard writes",
    blind_spot="From the first step on: the 3 s of imports before are not in it. A killed run "
    "tells what it had up to 10 s before.",
)
LIMIT_BREACHES: Final = counter(
    "medgen_run_limit_breaches_total",
    "Runs that were ended because they passed a limit.",
    *OF_A_RUN,
    "limit",
    source=f"{SENSOR}: tag medgen/limit_breached",
    blind_spot=f"{LATE}. A process that the kernel killed for memory is a failure, not a breach.",
)
LAST_LAUNCH: Final = gauge(
    "medgen_last_run_start_timestamp_seconds",
    "When a run last started, in seconds since the epoch.",
    source="run storage, of the 20 runs that changed last",
    blind_spot="Absent before the first run.",
)

QUEUE_RUNS: Final = gauge(
    "medgen_queue_runs",
    "Runs that wait in the queue.",
    "workload",
    "priority",
    source="run storage",
    blind_spot="Counted when scraped: a run that waits for less than the scrape interval may "
    "never show.",
)
QUEUE_AGE: Final = gauge(
    "medgen_queue_oldest_age_seconds",
    "How long the oldest run that waits in the queue has waited; 0 when none waits.",
    "workload",
    "priority",
    source="run storage",
    blind_spot="Of those that wait now, by the priority they have now: the fairness sensor raises "
    "that of old ones.",
)
RUN_SLOTS: Final = gauge(
    "medgen_run_slots",
    "Runs that may go on at once: configured, open with the memory there is now, and busy.",
    "state",
    source="the run coordinator (MAX_CONCURRENT_JOBS) and run storage",
    blind_spot="Open is asked of the host on which the API runs; the daemon's may have other "
    "memory. Limits by tag or pool may keep a queued run from a free slot.",
)
RUN_LIMIT: Final = gauge(
    "medgen_run_limit",
    "What one run may take by default and at most: MiB, CPU seconds, seconds.",
    "limit",
    source="dagster.yaml of the deployment",
    blind_spot="Of the deployment; a run's own tags may lower it.",
)
TAG_LIMIT: Final = gauge(
    "medgen_tag_concurrency_limit",
    "Runs with a tag that may go on at once.",
    "tag",
    "value",
    source="dagster.yaml of the deployment",
    blind_spot="The limit, not its use.",
)

POOL_SLOTS: Final = gauge(
    "medgen_pool_slots",
    "Slots of a Dagster pool.",
    "pool",
    source="event log storage",
    blind_spot="A pool is known once a run that needs it was created.",
)
POOL_CLAIMED: Final = gauge(
    "medgen_pool_slots_claimed",
    "Slots of a Dagster pool that are taken, by runs that go on or by their steps.",
    "pool",
    source="event log storage; with pools counted by run, the runs that go on",
    blind_spot="Taken when scraped; medgen_pool_slot_seconds_total holds the time between.",
)
POOL_PENDING: Final = gauge(
    "medgen_pool_pending",
    "Queued runs, and steps of runs that go on, that want a slot of a Dagster pool.",
    "pool",
    source="run storage and event log storage",
    blind_spot="A queued run may also wait for something else: a run slot, a tag's limit.",
)
POOL_LEAKED: Final = gauge(
    "medgen_pool_slots_leaked",
    "Slots of a Dagster pool that are held by runs that have ended.",
    "pool",
    source="event log storage, the holders looked up in run storage",
    blind_spot="Dagster's monitor frees them after 10 s and the janitor sensor after 30 s, so more "
    "than a minute means that both are dead.",
)
POOL_SLOT_SECONDS: Final = counter(
    "medgen_pool_slot_seconds_total",
    "Slots of a Dagster pool times the seconds for which they were taken.",
    "pool",
    source="pool_metrics_sensor, every 15 s",
    blind_spot="Sampled: what was taken at a tick counts for the time since the tick before, at "
    "most a minute. Not counted while the daemon is down.",
)
POOL_LEAKS: Final = counter(
    "medgen_pool_leaked_slots_total",
    "Slots of a Dagster pool that were found held by runs that had ended, each counted once.",
    "pool",
    source="pool_metrics_sensor, every 15 s",
    blind_spot="A slot that is freed between two ticks is not seen.",
)

HEARTBEAT_AGE: Final = gauge(
    "medgen_daemon_heartbeat_age_seconds",
    "Time since a daemon last said that it lives; it does every 30 s.",
    "daemon",
    source="run storage",
    blind_spot="A daemon that beats may still do nothing: see medgen_queue_oldest_age_seconds. "
    "Absent before a daemon's first beat. Clocks of two hosts may differ.",
)
DAEMON_ERRORS: Final = gauge(
    "medgen_daemon_errors",
    "Errors that a daemon told with its last heartbeat.",
    "daemon",
    source="run storage",
    blind_spot="Only the last few; the daemon's log has them all.",
)
TICKS: Final = counter(
    "medgen_ticks_total",
    "Evaluations of a sensor or schedule that have ended.",
    "kind",
    "name",
    "status",
    source="pool_metrics_sensor, from schedule storage",
    blind_spot="Up to 15 s late, at most 100 of one sensor between two ticks.",
)
LAST_TICK: Final = gauge(
    "medgen_last_tick_timestamp_seconds",
    "When a sensor or schedule was last evaluated, in seconds since the epoch.",
    "kind",
    "name",
    source="schedule storage",
    blind_spot="Absent for one that was never evaluated, as a stopped one.",
)
LAST_TICK_DURATION: Final = gauge(
    "medgen_last_tick_duration_seconds",
    "How long the last evaluation of a sensor or schedule took.",
    "kind",
    "name",
    source="schedule storage",
    blind_spot="Of the last that has ended.",
)
INSTIGATOR_RUNNING: Final = gauge(
    "medgen_instigator_running",
    "Whether a sensor or schedule is switched on.",
    "kind",
    "name",
    source="schedule storage",
    blind_spot="Absent for one that was never switched on or off and never evaluated.",
)
BACKFILLS: Final = gauge(
    "medgen_backfills",
    "Backfills that Dagster has a record of, by status.",
    "status",
    source="run storage, counted",
    blind_spot="A backfill that is completed may have failed runs; its status says so.",
)

PARTITIONS: Final = gauge(
    "medgen_partitions",
    "Batches of a scenario by what became of them: of 1,000, materialized; the last try failed; "
    "neither.",
    "scenario",
    "state",
    source="event log storage, asset patients",
    blind_spot="Up to 15 s old. What Dagster did: a batch that was written by `medgen generate` is "
    "missing here, one that was removed from the folder is not. A failure is forgotten when "
    "housekeeping deletes its run.",
)
PATIENTS: Final = counter(
    "medgen_patients_generated_total",
    "Patients of committed batches.",
    *OF_A_RUN,
    source=EVENTS,
    blind_spot=f"{LATE}, and only when a run has ended; a process that was killed outright told "
    "nothing of what it had committed. Patients of streams are in "
    "medgen_stream_patients_sent_total, those of `medgen generate` nowhere.",
)
ROWS_WRITTEN: Final = counter(
    "medgen_rows_written_total",
    "Rows of committed tables and aggregates.",
    "table",
    "scenario",
    source=EVENTS,
    blind_spot="As medgen_patients_generated_total. A batch that is generated again counts again.",
)
BYTES_WRITTEN: Final = counter(
    "medgen_bytes_written_total",
    "Bytes of committed Parquet files.",
    "table",
    "scenario",
    source=EVENTS,
    blind_spot="As medgen_rows_written_total; not what the dataset takes now.",
)
OUTCOME_SHARE: Final = gauge(
    "medgen_last_batch_outcome_ratio",
    "Share of the patients of a scenario's newest batch that had an outcome.",
    "scenario",
    "outcome",
    source=EVENTS,
    blind_spot="Of one batch: a small one strays. Of a run of many batches, the last by number.",
)
LAST_BATCH: Final = gauge(
    "medgen_last_batch_timestamp_seconds",
    "When the newest batch of a scenario was committed, in seconds since the epoch.",
    "scenario",
    source=EVENTS,
    blind_spot="As medgen_patients_generated_total.",
)

DB_CONNECTIONS: Final = gauge(
    "medgen_db_pool_connections",
    "Connections to the database that the pools of a process hold.",
    "process",
    "state",
    source=POOL_FILES,
    blind_spot="Only with Postgres: SQLite has no pool. As old as the process's last word, "
    "a few seconds.",
)
DB_OVERFLOW: Final = gauge(
    "medgen_db_pool_overflow",
    "Connections beyond those that a process's pool keeps.",
    "process",
    source=POOL_FILES,
    blind_spot=AS_CONNECTIONS,
)
DB_LIMIT: Final = gauge(
    "medgen_db_pool_limit",
    "Connections that a process's pools may open: DB_POOL_SIZE + DB_MAX_OVERFLOW of each.",
    "process",
    source=POOL_FILES,
    blind_spot="Of the processes that live; docs/operations.md has the sum to expect.",
)
DB_WAITING: Final = gauge(
    "medgen_db_pool_waiting",
    "Threads that wait for a connection.",
    "process",
    source=POOL_FILES,
    blind_spot="At the moment of the process's last word; what was waited in between is in "
    "medgen_db_checkout_wait_seconds.",
)
DB_EVENTS: Final = counter(
    "medgen_db_connection_events_total",
    "What became of connections.",
    "process",
    "event",
    source=POOL_FILES,
    blind_spot="A process that is killed takes its last few seconds with it.",
)
DB_WAIT: Final = histogram(
    "medgen_db_checkout_wait_seconds",
    "Time from asking for a connection to having it.",
    "process",
    buckets=WAIT_FOR_CONNECTION_SECONDS,
    source=POOL_FILES,
    blind_spot="Time to connect and to validate included.",
)
DB_QUERIES: Final = histogram(
    "medgen_db_query_duration_seconds",
    "Time that the database took for a statement.",
    "process",
    "statement",
    buckets=QUERY_SECONDS,
    source=POOL_FILES,
    blind_spot="Time to fetch rows is not in it.",
)
DB_SLOW: Final = counter(
    "medgen_db_slow_queries_total",
    "Statements that took more than a second.",
    "process",
    source=POOL_FILES,
    blind_spot="As medgen_db_query_duration_seconds.",
)
DB_ERRORS: Final = counter(
    "medgen_db_errors_total",
    "What went wrong with connections and statements, by kind.",
    "process",
    "error",
    source=POOL_FILES,
    blind_spot="Dagster expects conflicts: it inserts, and updates when the row is there.",
)

HTTP_REQUESTS: Final = counter(
    "medgen_http_requests_total",
    "Requests to the API that were answered.",
    "method",
    "route",
    "code",
    source="the API's outermost layer",
    blind_spot="Begins anew with the process. A client that left before the answer began counts as "
    "499. Requests that the server itself refuses (503 at 500 connections) are not in it.",
)
HTTP_DURATION: Final = histogram(
    "medgen_http_request_duration_seconds",
    "Time from a request to the last byte of its answer.",
    "method",
    "route",
    buckets=REQUEST_SECONDS,
    source="the API's outermost layer",
    blind_spot="A stream lasts as long as its client reads.",
)
HTTP_IN_FLIGHT: Final = gauge(
    "medgen_http_requests_in_flight",
    "Requests to the API that are being answered.",
    "route",
    source="the API's outermost layer",
    blind_spot="The scrape itself is one.",
)
STREAMS_ACTIVE: Final = gauge(
    "medgen_streams_active",
    "Streams that hold a place: being sent, or their generator not yet gone.",
    source="the API's streams",
    blind_spot="Falls when the thread that generates has ended, not when the client has left: the "
    "time between the two is what it shows.",
)
STREAMS_STARTED: Final = counter(
    "medgen_streams_started_total",
    "Streams that were given a place.",
    source="the API's streams",
    blind_spot="Begins anew with the process. Those that were refused are requests with code 429.",
)
STREAMS_ENDED: Final = counter(
    "medgen_streams_ended_total",
    "Streams that have ended, by cause.",
    "cause",
    source="the API's streams",
    blind_spot="Begins anew with the process.",
)
STREAM_PATIENTS: Final = counter(
    "medgen_stream_patients_sent_total",
    "Patients that streams have made for their clients.",
    source="the API's streams",
    blind_spot="Begins anew with the process. Up to three pieces of a stream that was abandoned "
    "were made and never sent.",
)
STREAM_BYTES: Final = counter(
    "medgen_stream_bytes_sent_total",
    "Bytes that streams have sent.",
    source="the API's streams",
    blind_spot="As given to the server, after compression; what is in the kernel's buffers when a "
    "client leaves counts.",
)

PROCESS_MEMORY: Final = gauge(
    "medgen_process_resident_memory_bytes",
    "Resident memory of a process of the deployment.",
    "process",
    source="the kernel, through psutil",
    blind_spot="Processes of this host only. Shared memory counts for each. An API that was "
    "started alone sees itself only.",
)
PROCESS_CPU: Final = counter(
    "medgen_process_cpu_seconds_total",
    "CPU time of a long-lived process of the deployment, from its start.",
    "process",
    source="the kernel, through psutil",
    blind_spot="As medgen_process_resident_memory_bytes. Begins anew with the process. Run workers "
    "are not in it: see medgen_run_cpu_seconds.",
)
PROCESS_THREADS: Final = gauge(
    "medgen_process_threads",
    "Threads of a process of the deployment.",
    "process",
    source="the kernel, through psutil",
    blind_spot="As medgen_process_resident_memory_bytes.",
)
PROCESS_START: Final = gauge(
    "medgen_process_start_time_seconds",
    "When a process of the deployment was started, in seconds since the epoch.",
    "process",
    source="the kernel, through psutil",
    blind_spot="Of run workers the oldest. Moves when the clock of the host is set.",
)
HOST_MEMORY: Final = gauge(
    "medgen_host_memory_bytes",
    "Memory of the host or of the container the deployment is in.",
    "state",
    source="the kernel: control group, else /proc/meminfo",
    blind_spot="Of the host on which the API runs.",
)
HOST_CPU: Final = counter(
    "medgen_host_cpu_seconds_total",
    "CPU time of the host that was used, by everything on it.",
    source="the kernel, through psutil",
    blind_spot="Of the host, not of a container. Waiting for a disk is not in it.",
)
HOST_CPUS: Final = gauge(
    "medgen_host_cpus",
    "CPUs of the host.",
    source="the kernel, through psutil",
    blind_spot="A container may be allowed less.",
)
DATA_DISK: Final = gauge(
    "medgen_data_disk_bytes",
    "File system that holds the data root.",
    "state",
    source="the kernel",
    blind_spot="Absent for a bucket. Shared with whatever else is on it; a quota does not show.",
)

COLLECTOR_UP: Final = gauge(
    "medgen_exporter_collector_up",
    "Whether the last attempt of a collector succeeded.",
    "collector",
    source="the exporter",
    blind_spot="An attempt that is still under way after its deadline is one that failed.",
)
COLLECTOR_STALENESS: Final = gauge(
    "medgen_exporter_collector_staleness_seconds",
    "Age of the figures that a collector serves.",
    "collector",
    source="the exporter",
    blind_spot="A few seconds are the cache. Absent for one that never succeeded, as its figures.",
)
COLLECTOR_DURATION: Final = gauge(
    "medgen_exporter_collector_duration_seconds",
    "How long the last successful attempt of a collector took.",
    "collector",
    source="the exporter",
    blind_spot="Wall-clock time on a machine that does other work too.",
)
COLLECTOR_ERRORS: Final = counter(
    "medgen_exporter_collector_errors_total",
    "Attempts of a collector that failed or were too slow.",
    "collector",
    source="the exporter",
    blind_spot="Why is in the API's log. Begins anew with the process.",
)
SCRAPES: Final = counter(
    "medgen_exporter_scrapes_total",
    "Answers of GET /metrics.",
    source="the exporter",
    blind_spot="This one included, whoever asked.",
)
SCRAPE_DURATION: Final = gauge(
    "medgen_exporter_scrape_duration_seconds",
    "How long the answer before this one took.",
    source="the exporter",
    blind_spot="Absent in the first.",
)
SENSOR_AGE: Final = gauge(
    "medgen_exporter_sensor_age_seconds",
    "Time since a sensor last wrote the figures that it keeps.",
    "sensor",
    source="key-value storage of the instance",
    blind_spot="Absent before its first tick: figures that only a sensor keeps are then absent "
    "too.",
)
BUILD_INFO: Final = gauge(
    "medgen_build_info",
    "What is running; always 1.",
    "version",
    "dagster",
    "python",
    "schema",
    source="the installed packages",
    blind_spot="Of the API's process; others may have been started before an upgrade.",
)

SECTIONS: Final = (
    Section(
        "Runs",
        (
            *(RUNS, RUNS_FINISHED, RUN_DURATION, QUEUE_WAIT, PEAK_MEMORY, RUN_CPU),
            *(LIMIT_BREACHES, LAST_LAUNCH),
        ),
    ),
    Section("Queue and limits", (QUEUE_RUNS, QUEUE_AGE, RUN_SLOTS, RUN_LIMIT, TAG_LIMIT)),
    Section(
        "Pools",
        (
            *(POOL_SLOTS, POOL_CLAIMED, POOL_PENDING, POOL_LEAKED),
            *(POOL_SLOT_SECONDS, POOL_LEAKS),
        ),
    ),
    Section(
        "Daemons, sensors, schedules, backfills",
        (
            *(HEARTBEAT_AGE, DAEMON_ERRORS, TICKS, LAST_TICK, LAST_TICK_DURATION),
            *(INSTIGATOR_RUNNING, BACKFILLS),
        ),
    ),
    Section(
        "What was generated",
        (PARTITIONS, PATIENTS, ROWS_WRITTEN, BYTES_WRITTEN, OUTCOME_SHARE, LAST_BATCH),
    ),
    Section(
        "Database",
        (
            *(DB_CONNECTIONS, DB_OVERFLOW, DB_LIMIT, DB_WAITING, DB_EVENTS, DB_WAIT),
            *(DB_QUERIES, DB_SLOW, DB_ERRORS),
        ),
    ),
    Section(
        "API and streams",
        (
            *(HTTP_REQUESTS, HTTP_DURATION, HTTP_IN_FLIGHT, STREAMS_ACTIVE, STREAMS_STARTED),
            *(STREAMS_ENDED, STREAM_PATIENTS, STREAM_BYTES),
        ),
    ),
    Section(
        "Processes and host",
        (
            *(PROCESS_MEMORY, PROCESS_CPU, PROCESS_THREADS, PROCESS_START),
            *(HOST_MEMORY, HOST_CPU, HOST_CPUS, DATA_DISK),
        ),
    ),
    Section(
        "The exporter itself",
        (
            *(COLLECTOR_UP, COLLECTOR_STALENESS, COLLECTOR_DURATION, COLLECTOR_ERRORS),
            *(SCRAPES, SCRAPE_DURATION, SENSOR_AGE, BUILD_INFO),
        ),
    ),
)
METRICS: Final[Mapping[str, Metric]] = {
    metric.name: metric for section in SECTIONS for metric in section.metrics
}


def page() -> str:
    """Return docs/metrics.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Metrics"
    yield ""
    yield "Generated from `medgen_pipeline/metrics/definitions.py` by"
    yield "`python -m medgen_pipeline.metrics.definitions > docs/metrics.md`; edit that file."
    yield ""
    yield from INTRODUCTION.splitlines()
    yield ""
    yield "## Labels"
    yield ""
    yield from _table(
        ("label", "what it may hold"), ((f"`{label}`", what) for label, what in LABELS.items())
    )
    for section in SECTIONS:
        yield ""
        yield f"## {section.title}"
        for metric in section.metrics:
            yield ""
            yield from _of_metric(metric)


def _of_metric(metric: Metric) -> Iterator[str]:
    yield f"### `{metric.name}`"
    yield ""
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "none"
    yield f"{metric.help}"
    yield ""
    yield f"- {metric.kind}, labels: {labels}"
    if metric.buckets:
        yield f"- buckets up to {', '.join(f'{bound:g}' for bound in metric.buckets)}"
    yield f"- source: {metric.source}"
    yield f"- blind spot: {metric.blind_spot}"


def _table(heading: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heading)} |"
    yield f"|{'---|' * len(heading)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


INTRODUCTION: Final = """\
`GET /metrics` is on the API's port, METRICS_PORT (9090); PROMETHEUS_ENABLED=false switches it off.
It needs no key. Most figures are read from Dagster's instance when they are asked for, and kept for
a few seconds. When a source does not answer in time, its last figures are served and
`medgen_exporter_collector_staleness_seconds` says how old they are.

What has to outlive a restart is counted by two sensors, `run_metrics_sensor` and
`pool_metrics_sensor`, which keep it in the key-value store of the instance. A run that has ended is
counted once, whatever is killed when. The other counters begin anew with their process, which
Prometheus's `rate()` knows how to take.

Each metric states its blind spot: what it does not show."""


if __name__ == "__main__":
    sys.stdout.write(page())
