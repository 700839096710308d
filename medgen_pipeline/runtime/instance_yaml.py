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
                "dequeue_num_workers": settings.max_concurrent_jobs,
                # A restart of the code server is outlived: three times, 10 s apart.
                "max_user_code_failure_retries": 3,
                "user_code_failure_retry_delay": 10,
            },
        },
        "run_launcher": {
            "module": "medgen_pipeline.runtime.launcher",
            "class": "GuardedRunLauncher",
        },
        "compute_logs": {
            "module": "medgen_pipeline.runtime.compute_logs",
            "class": "QuietComputeLogManager",
        },
        "concurrency": {
            # By run: a run that lacks a slot stays in the queue and does not sit on a run slot.
            "pools": {"granularity": "run", "default_limit": settings.max_concurrent_jobs},
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 180,  # 0 is no way to switch it off: the monitor then raises
            "cancel_timeout_seconds": 60,
            "max_runtime_seconds": settings.job_max_runtime_seconds + MAX_RUNTIME_MARGIN_SECONDS,
            "poll_interval_seconds": 5,
            "free_slots_after_run_end_seconds": 10,  # unset, a killed run keeps its slot for ever
        },
        "run_retries": {
            "enabled": True,
            "max_retries": 1,  # of a worker that crashed
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
    """Return the storage section: empty is SQLite under DAGSTER_HOME.

    The URL is referred to, not copied: a password stays out of the file.
    """
    if settings.database_url is None:
        return {}
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
