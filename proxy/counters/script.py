"""The one Lua script that carries out every counter, put together from a file a kind."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Final

PARTS: Final = (
    "prelude",
    "gcra",
    "count",
    "distinct",
    "novel",
    "tally",
    "lease",
    "seen",
    "score",
    "notices",
    "dispatch",
)


def _compose() -> str:
    folder = resources.files(__package__)
    texts = {part: folder.joinpath(f"{part}.lua").read_text("utf-8") for part in PARTS}
    # A block for each kind keeps its local names its own; the first and the last belong to all.
    blocks = (
        text if part in {"prelude", "dispatch"} else f"do\n{text}end\n"
        for part, text in texts.items()
    )
    return "\n".join(blocks)


SCRIPT: Final = _compose().encode()
"""What the server runs, commented."""

SHA: Final = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()
"""The name that Redis gives the script: EVALSHA takes nothing else."""
