"""Jobs: what each selects."""

from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.defs.build import build_defs
from medgen_pipeline.defs.engine import Engine
from medgen_pipeline.exports.aggregates import AGGREGATES


def assets_of(engine: Engine, job: str) -> set[str]:
    layer = build_defs(engine.settings, engine).resolve_job_def(job).asset_layer
    return {key.to_user_string() for key in layer.selected_asset_keys}


def test_jobs_select_what_they_are_named_after(engine: Engine) -> None:
    """Generation makes all of a batch, aggregates only those, validation no table at all."""
    assert assets_of(engine, "generation") == {*TABLES, *AGGREGATES}
    assert assets_of(engine, "aggregates") == {*AGGREGATES}
    assert assets_of(engine, "validation") == {"validation"}
