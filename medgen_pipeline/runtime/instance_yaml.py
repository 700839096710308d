"""Dagster's instance file, `dagster.yaml`, rendered from a deployment's environment.

Dagster takes no environment references where the run queue and the run monitor are configured, so
the file is rendered. The one at the top of the repository is the rendering of an empty environment.
"""

from collections.abc import Mapping
from typing import Any, Final

import yaml

from medgen_pipeline.runtime.limits import Limits
from medgen_pipeline.settings import Settings, variable_of

# The guard inside a run ends it at its limit; the daemon comes after it, as a last resort.
MAX_RUNTIME_MARGIN_SECONDS: Final = 60
# On Ray a launch waits for room on a node, fifteen minutes at most, which is Ray's own limit.
START_SECONDS: Final = 180
START_SECONDS_ON_RAY: Final = 1_200
# A worker that crashed here crashes again or does not; nodes may go one after another.
RETRIES: Final = 1
RETRIES_ON_RAY: Final = 3
MOST_LAUNCHES_AT_ONCE: Final = 8
# What the daemon's environment says and a node must know. Whatever is secret stands in the node's
# own environment: Ray shows to everyone what a job was submitted with.
TOLD_TO_NODES: Final = (
    *("MEDGEN_DATA_URL", "MEDGEN_SCENARIO_DIR", "MEDGEN_RUN_RETENTION_DAYS"),
    *("DB_POOL_SIZE", "DB_MAX_OVERFLOW", "DB_POOL_TIMEOUT", "DB_POOL_RECYCLE"),
    *("JOB_MAX_MEMORY_MB", "JOB_MAX_CPU_SECONDS", "JOB_MAX_RUNTIME_SECONDS"),
    *("MAX_CONCURRENT_JOBS", "AWS_REGION", "AWS_ENDPOINT_URL"),
    *("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"),
)
STOP_SECONDS: Final = 15  # from Ray's SIGTERM to its SIGKILL; a run unwinds in ten
HEADER: Final = """\
# The Dagster instance, rendered by `medgen instance-yaml` from the environment; here the defaults.
# Do not edit: a test compares. What can be set, and what each part is for: docs/operations.md.
"""


def render_instance_yaml(env: Mapping[str, str]) -> str:
    """Return the text of dagster.yaml for this environment; raises SettingError."""
    return instance_yaml(Settings.from_env(env))


def instance_yaml(settings: Settings) -> str:
    """Return the text of dagster.yaml for these settings."""
    return HEADER + yaml.safe_dump(instance_config(settings), sort_keys=False, width=100)


def instance_config(settings: Settings) -> dict[str, Any]:
    """Return the configuration of the Dagster instance of a deployment."""
    on_ray = settings.ray_address is not None
    return {
        **_storage(settings),
        "run_coordinator": {
            "module": "medgen_pipeline.runtime.coordinator",
            "class": "BoundedRunCoordinator",
            "config": {
                **Limits.of(settings).as_dict(),
                "max_concurrent_runs": settings.max_concurrent_jobs,
                "tag_concurrency_limits": _tag_limits(settings.max_concurrent_jobs),
                "dequeue_interval_seconds": 1,  # 5 by default, most of a short run's wait
                "dequeue_use_threads": True,  # a launch blocks for about 3 s while Python imports
                "dequeue_num_workers": min(settings.max_concurrent_jobs, MOST_LAUNCHES_AT_ONCE),
                # A restart of the code server is outlived: three times, 10 s apart.
                "max_user_code_failure_retries": 3,
                "user_code_failure_retry_delay": 10,
                **({"elsewhere": True} if on_ray else {}),
            },
        },
        "run_launcher": _launcher(settings.ray_address),
        "compute_logs": _logs(settings),
        "concurrency": {
            # By run: a run that lacks a slot stays in the queue and does not sit on a run slot.
            "pools": {"granularity": "run", "default_limit": settings.max_concurrent_jobs},
        },
        "run_monitoring": {
            "enabled": True,
            # 0 is no way to switch it off: the monitor then raises.
            "start_timeout_seconds": START_SECONDS_ON_RAY if on_ray else START_SECONDS,
            "cancel_timeout_seconds": 60,
            "max_runtime_seconds": settings.job_max_runtime_seconds + MAX_RUNTIME_MARGIN_SECONDS,
            "poll_interval_seconds": 5,
            "free_slots_after_run_end_seconds": 10,  # unset, a killed run keeps its slot for ever
        },
        "run_retries": {
            "enabled": True,
            "max_retries": RETRIES_ON_RAY if on_ray else RETRIES,  # of a worker that crashed
            "retry_on_asset_or_op_failure": False,  # a scenario that failed once fails again
        },
        "sensors": {"use_threads": True, "num_workers": 4},  # a slow one holds up no other
        "schedules": {"use_threads": True, "num_workers": 2},
        "retention": {  # days that ticks are kept; unset, all but skipped ones stay for ever
            "schedule": {"purge_after_days": 90},
            "sensor": {
                "purge_after_days": {"skipped": 2, "started": 30, "success": 30, "failure": 30}
            },
        },
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},  # else the UI greets with a newsletter
    }


def _storage(settings: Settings) -> dict[str, Any]:
    """Return where runs, events and ticks are stored: SQLite under DAGSTER_HOME, or Postgres.

    The URL is referred to, not copied: a password stays out of the file.
    """
    if settings.database_url is None:
        module = "medgen_pipeline.runtime.sqlite_storage"
        return {"instance_class": {"module": module, "class": "SqliteInstance"}}
    return {
        "storage": {
            "custom": {
                "module": "medgen_pipeline.runtime.storage",
                "class": "PooledPostgresStorage",
                "config": {
                    "postgres_url": {"env": variable_of("database_url")},
                    "pool_size": settings.db_pool_size,
                    "max_overflow": settings.db_max_overflow,
                    "pool_timeout": settings.db_pool_timeout,
                    "pool_recycle": settings.db_pool_recycle,
                },
            }
        }
    }


def _launcher(ray_address: str | None) -> dict[str, Any]:
    """Return what starts runs: the code server on this machine, or Ray on one of its nodes."""
    if ray_address is None:
        return {"module": "medgen_pipeline.runtime.launcher", "class": "GuardedRunLauncher"}
    return {
        "module": "medgen_pipeline.runtime.ray_launcher",
        "class": "GuardedRayRunLauncher",
        "config": {
            "ray": {
                "address": ray_address,
                "num_cpus": 1,  # a run has one process; its memory it asks for by its limit
                "env_vars": [*TOLD_TO_NODES, f"RAY_JOB_STOP_WAIT_TIME_S={STOP_SECONDS}"],
            }
        },
    }


def _logs(settings: Settings) -> dict[str, Any]:
    """Return where what runs print is kept: beside the instance, or where all machines reach it."""
    if settings.ray_address is None or "://" not in settings.data_url:
        return {
            "module": "medgen_pipeline.runtime.compute_logs",
            "class": "QuietComputeLogManager",
        }
    return {
        "module": "medgen_pipeline.runtime.stored_logs",
        "class": "StoredComputeLogManager",
        "config": {"data_url": settings.data_url},
    }


def _tag_limits(slots: int) -> list[dict[str, Any]]:
    """Return the limits by tag that keep one kind of work from taking every slot.

    With one slot there is nothing to share: a limit of one each changes nothing.
    """
    all_but_one = max(1, slots - 1)
    each = {"applyLimitPerUniqueValue": True}
    return [
        {"key": "medgen/tenant", "value": each, "limit": all_but_one},
        {"key": "medgen/workload", "value": "housekeeping", "limit": 1},
        {"key": "dagster/backfill", "limit": all_but_one},
    ]
