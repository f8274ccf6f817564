"""How forgiving servers could read a path that is in no table as it is written. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

_DEPLOYMENTS: Final = "/openai/deployments/"
_LONGEST_CALL: Final = 3
"""Segments of the longest path below a deployment: `/extensions/chat/completions`."""
_MODELS: Final = re.compile("/(?:models|tunedmodels|dynamic|endpoints)/").search


def loosely(path: str) -> str:
    """A path as the most forgiving upstream could read it: escapes undone, letters of any width and case
    alike, nothing that cannot be seen, dot segments followed, and no dots or slashes behind."""
    read = unicodedata.normalize("NFKC", unquote(path, errors="ignore")).lower()
    seen = "".join(one for one in read if unicodedata.category(one)[0] not in "CZM")
    kept: list[str] = []
    for segment in seen.split("/"):
        if segment == "..":
            del kept[-1:]
        elif plain := segment.rstrip("."):
            kept.append(plain)
    return "/" + "/".join(kept)


def with_plain_names(path: str) -> Iterator[str]:
    """The same path with a plain name in place of one that may hold slashes, as some servers let a model's
    (`{model:path}`): of what `loosely` gives."""
    if path.startswith(_DEPLOYMENTS):
        segments = path.removeprefix(_DEPLOYMENTS).split("/")
        for size in range(1, min(_LONGEST_CALL, len(segments) - 1) + 1):
            yield _DEPLOYMENTS + "/".join(["x", *segments[-size:]])
    name, _, method = path.rstrip(":").rpartition(":")
    models = _MODELS(name)
    if models is not None:
        yield f"{name[: models.end()]}x:{method}"
