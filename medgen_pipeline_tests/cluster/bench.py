"""Two nodes of one core each against one, launch included; and S3 against a folder.

`python -m medgen_pipeline_tests.cluster.bench --patients 20000000` makes the same batches of a
scenario on one node and on two, each in a deployment of its own, from the command that queues them
to the last batch. On two cores Postgres, the S3 server and Dagster take theirs from the nodes, the
more the more nodes there are; on machines of their own they do not.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from medgen_pipeline_tests.cluster.deployed import deployed
from medgen_pipeline_tests.dataset.s3_server import BUCKET, running

SCENARIO: Final = "conventional"
LIMITS: Final = {
    "JOB_MAX_MEMORY_MB": "1024",  # a large replicate and the buffers of an upload
    "JOB_MAX_CPU_SECONDS": "3600",
    "JOB_MAX_RUNTIME_SECONDS": "7200",
}
SAMPLE: Final = """
import sys, time
from medgen_pipeline.generation.pool import generate_batches
from medgen_pipeline.scenario import scaling
from medgen_pipeline.scenario.catalogue import Catalogue
patients, url = int(sys.argv[1]), sys.argv[2]
scenario = scaling.with_patients(Catalogue().get(sys.argv[3]), patients)
started = time.perf_counter()
generate_batches(scenario, [0], url)
print(time.perf_counter() - started)
"""


def on_nodes(nodes: int, batches: int, patients: int, folder: Path) -> float:
    """Return the seconds that batches take on so many nodes, from their order to the last."""
    slots = {"MAX_CONCURRENT_JOBS": str(nodes), **LIMITS}
    with deployed(folder, node_memory_mb=1200, **slots) as live:
        os.environ.update(live.environ)  # which instance and dataset to look at
        for _ in range(nodes - 1):
            live.add_node()
        live.running.until(lambda: live.alive() == nodes)
        started = time.perf_counter()
        asked = ["--batches", f"0-{batches - 1}", "--patients", str(patients), "--wait"]
        queued = live.backfill(SCENARIO, *asked, seconds=6 * 3600)
        seconds = time.perf_counter() - started
        manifests = live.dataset.manifests(SCENARIO)
        made = sum(manifest.rows["patients"] for manifest in manifests)
        work = sum(float(manifest.run.measured["wall_seconds"] or 0) for manifest in manifests)
        if (len(manifests), made) != (batches, batches * patients):
            raise RuntimeError(f"{len(manifests)} batches with {made} patients")
        sizes = [len(run) for run in queued["runs"]]
        say(
            f"{nodes} node{'s' * (nodes > 1)}: {made:,} patients in {seconds:,.0f} s, "
            f"{made / seconds:,.0f} patients/s, runs of {sizes} batches, "
            f"{work:,.0f} s of generating in all"
        )
        say(launches(live, queued["queued"]))
        return seconds


def launches(live: Any, run_ids: list[str]) -> str:  # noqa: ANN401  a Deployed
    """Return what launching and the work beside generating took, in words."""
    with live.instance() as instance:
        records = [instance.get_run_record_by_id(run_id) for run_id in run_ids]
        starts = [
            record.start_time - instance.get_run_stats(record.dagster_run.run_id).launch_time
            for record in records
        ]
    whole = sum(record.end_time - record.start_time for record in records)
    return (
        f"  launches: {statistics.median(starts):.1f} s each, {sum(starts):,.0f} s in all, "
        f"{sum(starts) / whole:.0%} of {whole:,.0f} s of work"
    )


def s3_overhead(patients: int, folder: Path) -> None:
    """Print what a batch takes on an S3 server of this machine, against a folder."""
    with running(folder) as server:
        env = {**os.environ, **server.environment}
        seconds = {}
        for name, url in (("folder", str(folder / "data")), ("S3", f"s3://{BUCKET}/bench")):
            done = subprocess.run(
                [sys.executable, "-c", SAMPLE, str(patients), url, SCENARIO],
                env=env,
                check=True,
                capture_output=True,
                text=True,
            )
            seconds[name] = float(done.stdout)
    more = seconds["S3"] / seconds["folder"] - 1
    say(
        f"one batch of {patients:,}: {seconds['folder']:.1f} s in a folder, "
        f"{seconds['S3']:.1f} s on S3, {more:+.0%}"
    )


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=20_000_000, help="of all batches")
    parser.add_argument("--batches", type=int, default=40)
    wanted = parser.parse_args()
    each = max(1, wanted.patients // wanted.batches)
    with tempfile.TemporaryDirectory(prefix="medgen-bench-") as name:
        folder = Path(name)
        for place in ("s3", "one", "two"):
            (folder / place).mkdir()
        s3_overhead(each, folder / "s3")
        one = on_nodes(1, wanted.batches, each, folder / "one")
        two = on_nodes(2, wanted.batches, each, folder / "two")
    say(json.dumps({"one_node_s": one, "two_nodes_s": two, "times": one / two}))
    say(f"two nodes make {one / two:.2f} times the patients a second of one")


if __name__ == "__main__":
    main()
