"""Who may reach the service where it listens; `medgen up` asks it without loading a server."""

from medgen_pipeline.errors import SettingError
from medgen_pipeline.runtime.listening import is_loopback
from medgen_pipeline.service.keys import KeyFile
from medgen_pipeline.settings import Settings


def expect_reachable(settings: Settings, host: str) -> None:
    """Refuse to listen where strangers are, unless keys tell them from users."""
    if settings.api_keys is not None:
        has_key = any(key.revoked_at is None for key in KeyFile(settings.api_keys).keys().values())
        if not has_key:
            raise SettingError(
                f"MEDGEN_API_KEYS names {settings.api_keys}, which holds no key; "
                "make one with `medgen keys create NAME`"
            )
    elif not is_loopback(host):
        raise SettingError(
            f"--host is {host}, which others can reach; must be 127.0.0.1 unless "
            "MEDGEN_API_KEYS names a file of keys (`medgen keys create NAME`)"
        )
