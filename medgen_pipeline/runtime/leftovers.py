"""What a run leaves in the dataset when it does not come to its end."""

from medgen_pipeline.dataset import layout
from medgen_pipeline.dataset.store import Store


def remove_staging(store: Store, run_id: str) -> None:
    """Remove all that a run has staged, also what this very process still holds."""
    for folder in store.folders(layout.STAGING):
        if layout.parse_staging(folder)[0] == run_id:
            store.remove_staging(folder, even_if_claimed=True)
