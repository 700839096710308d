"""What the routes of one app work with, handed to them through the app's state."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request

from medgen_pipeline.dataset.reader import Dataset
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.service.dagster_runs import DagsterRuns
from medgen_pipeline.service.limits import Limits
from medgen_pipeline.service.sending import Streams
from medgen_pipeline.settings import Settings

if TYPE_CHECKING:
    from medgen_pipeline.service.generating import Engines
    from medgen_pipeline.service.health import Health


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment as its API sees it."""

    settings: Settings
    limits: Limits
    streams: Streams
    engines: "Engines"
    runs: DagsterRuns
    health: "Health"

    @property
    def catalogue(self) -> Catalogue:
        """The scenarios."""
        return Catalogue(self.settings.scenario_dir)

    @property
    def dataset(self) -> Dataset:
        """What is committed."""
        return Dataset(self.settings.data_url)


def deployment_of(request: Request) -> Deployment:
    """Return the deployment of the app that serves a request."""
    found: Deployment = request.app.state.deployment
    return found
