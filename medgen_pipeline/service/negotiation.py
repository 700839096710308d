"""What a request's headers ask for: a format, a compression."""

from typing import Final

from medgen_pipeline.service.faults import ServiceError
from medgen_pipeline.service.formats import MEDIA_TYPES, Format

_FORMATS: Final = {kind: media.partition(";")[0] for kind, media in MEDIA_TYPES.items()}


def format_of(accept: str | None) -> Format:
    """Return the format that an Accept header likes best; JSON where it does not say."""
    asked = weights(accept or "*/*")
    liked = {kind: _weight(media, asked) for kind, media in _FORMATS.items()}
    best = max(liked, key=lambda kind: liked[kind])  # the first of those that are liked equally
    if liked[best] <= 0:
        raise ServiceError(406, f"Accept asks for none of {', '.join(_FORMATS.values())}")
    return best


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether an Accept-Encoding header asks for gzip."""
    return weights(accept_encoding or "").get("gzip", 0.0) > 0


def weights(header: str) -> dict[str, float]:
    """Return what a header lists, with how much each is liked; what cannot be read is left out."""
    found = {}
    for entry in header.split(","):
        name, _, parameters = entry.partition(";")
        weight = 1.0
        for parameter in parameters.split(";"):
            key, _, number = parameter.strip().partition("=")
            if key == "q":
                try:
                    weight = float(number)
                except ValueError:
                    weight = 0.0
        if name.strip():
            found[name.strip().lower()] = weight
    return found


def _weight(media: str, asked: dict[str, float]) -> float:
    family = media.partition("/")[0]
    return asked.get(media, asked.get(f"{family}/*", asked.get("*/*", 0.0)))
