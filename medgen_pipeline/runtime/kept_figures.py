"""Figures that outlive every process: in the key-value store of Dagster's instance.

One value holds the figures and how far they go, and is replaced in one step. So whoever is killed
between two steps has counted either both or neither, and nothing is counted twice.
"""

import json
import logging
from dataclasses import dataclass, field
from typing import Any, Final

import dagster as dg

from medgen_pipeline.metrics.figures import FORMAT, Figures
from medgen_pipeline.runtime.instance_view import InstanceView

RUNS: Final = "medgen/metrics/runs"  # kept by run_metrics_sensor
POOLS: Final = "medgen/metrics/pools"  # kept by pool_metrics_sensor

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """What one sensor keeps."""

    figures: Figures = field(default_factory=Figures)
    progress: dict[str, Any] = field(default_factory=dict)  # how far they go, as JSON
    at: float = 0.0  # when it was written, s since 1970


def read(view: InstanceView, key: str) -> Kept:
    """Return what is kept; what cannot be read is as if nothing were."""
    text = view.kept(key).get(key)
    if text is None:
        return Kept()
    try:
        found = json.loads(text)
        if found["figures"]["format"] == FORMAT:
            figures = Figures.from_dict(found["figures"])
            return Kept(figures, dict(found["progress"]), float(found["at"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("the figures under %s cannot be read, counting begins anew: %r", key, error)
        return Kept()
    _log.warning("the figures under %s are of another version, counting begins anew", key)
    return Kept()


def write(instance: dg.DagsterInstance, key: str, kept: Kept, now: float) -> None:
    """Replace what is kept."""
    kept.at = now
    value = {"at": now, "progress": kept.progress, "figures": kept.figures.as_dict()}
    instance.daemon_cursor_storage.set_cursor_values({key: json.dumps(value)})
