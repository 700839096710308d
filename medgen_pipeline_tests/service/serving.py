"""The app in the tests: as a client of it, and as a real server."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from medgen_pipeline.service.app import create_app
from medgen_pipeline.service.limits import Limits
from medgen_pipeline.settings import Settings

STREAM = "/api/v1/streaming/generate"


def client(
    folder: Path,
    *,
    limits: Limits | None = None,
    scenario_dir: Path | None = None,
    api_keys: Path | None = None,
) -> TestClient:
    """Return a client of an app whose dataset is in a folder; a bug becomes a 500."""
    settings = Settings(data_url=str(folder / "data"), scenario_dir=scenario_dir, api_keys=api_keys)
    return TestClient(create_app(settings, limits=limits), raise_server_exceptions=False)


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[httpx2.Client]:
    """Serve an app on a real socket of this machine; yield a client of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        plain = {"Accept-Encoding": "identity"}
        with httpx2.Client(base_url=address, timeout=60, headers=plain) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> float:
    """Return the seconds until a condition holds; fail when it does not in time."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - started
