"""What can be launched as a whole: generation, or aggregates or checks alone."""

from typing import Final

import dagster as dg

from medgen_pipeline.dataset.schema import TABLES
from medgen_pipeline.defs.checks import VALIDATION as VALIDATION_ASSET
from medgen_pipeline.defs.tags import AGGREGATES, GENERATION, VALIDATION, WORKLOAD
from medgen_pipeline.exports.aggregates import AGGREGATES as AGGREGATE_TABLES

generation_job: Final = dg.define_asset_job(
    "generation",
    selection=dg.AssetSelection.assets(*TABLES, *AGGREGATE_TABLES),
    tags={WORKLOAD: GENERATION},
    description="Generate batches of a scenario: the tables, their checks and their aggregates.",
)

aggregates_job: Final = dg.define_asset_job(
    "aggregates",
    selection=dg.AssetSelection.assets(*AGGREGATE_TABLES),
    tags={WORKLOAD: AGGREGATES},
    description="Make the aggregates of batches anew from their committed tables.",
)

validation_job: Final = dg.define_asset_job(
    "validation",
    selection=dg.AssetSelection.assets(VALIDATION_ASSET),
    tags={WORKLOAD: VALIDATION},
    description="Check every row of batches against the schema and the invariants.",
)
