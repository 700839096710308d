"""`medgen serve`: the HTTP interface alone; `medgen up` starts it beside everything else."""

import click

from medgen_pipeline.errors import SettingError
from medgen_pipeline.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=lambda: click.get_current_context().find_object(Settings).metrics_port,  # type: ignore[union-attr]
    show_default="METRICS_PORT, else 9090",
    help="Port to listen on.",
)
@click.option(
    "--cors-origin", multiple=True, metavar="ORIGIN", help="A web page's origin that may ask."
)
@click.option(
    "--dagster-url",
    default="http://127.0.0.1:3000",
    show_default=True,
    metavar="URL",
    help="Dagster's web server, which queues jobs.",
)
@click.pass_obj
def serve(
    settings: Settings, *, host: str, port: int, cors_origin: tuple[str, ...], dagster_url: str
) -> None:
    """Serve patients, datasets and jobs over HTTP until told to stop."""
    try:
        from medgen_pipeline.service.server import serve as run  # noqa: PLC0415  an extra
    except ModuleNotFoundError as error:
        raise SettingError(f"{error}; install medgen_pipeline[service]") from error
    run(settings, host=host, port=port, cors_origins=cors_origin, dagster_url=dagster_url)
