"""How a program writes JSON: separators, escapes, the order of keys. Told from the first bytes."""

from __future__ import annotations

import re
from typing import Final, Literal

JsonStyle = Literal["compact", "spaced", "pretty", "other"]

_HEAD: Final = 4096
"""Bytes that are searched for escapes."""

_FIRST: Final = re.compile(rb'\{(\s*)"[^"\\]{0,100}"(\s*):(\s*)').match
_ESCAPE: Final = b"\\u00"
_GO_ESCAPE: Final = re.compile(rb"\\u00(?:3c|3e|26)").search


def json_style(body: bytes) -> JsonStyle:
    """`compact` `{"a":1}`, `spaced` `{"a": 1}`, `pretty` over several lines, or `other`."""
    found = _FIRST(body)
    if found is None:
        return "other"
    before, after_key, after_colon = found.groups()
    if b"\n" in before:
        return "pretty"
    if before or after_key:
        return "other"
    if not after_colon:
        return "compact"
    return "spaced" if after_colon == b" " else "other"


def escapes_html(body: bytes) -> bool:
    """Whether `<`, `>` or `&` are written as Go's encoding/json does, near the beginning."""
    at = body.find(_ESCAPE, 0, _HEAD)  # many times as fast as the pattern, and mostly enough
    return at >= 0 and _GO_ESCAPE(body, at, _HEAD) is not None


def marshalled_map(keys: tuple[str, ...]) -> bool:
    """
    Whether a chat's top-level keys stand in the order of the alphabet, as Go marshals a map.

    `messages` first tells nothing: SDKs write it so, and what is optional by the alphabet after it.
    """
    if "messages" not in keys or keys[0] == "messages":
        return False
    return all(map(str.__le__, keys, keys[1:]))
