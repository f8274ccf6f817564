"""
Parameters of a query that make Google's APIs read another request than the one that was judged. Pure.

`$httpMethod`, `$ct` (the Content-Type), `$httpHeaders` (a block of headers, keys included) and `$req` (the
body) stand in the library that serves those APIs (`proto_scrubber/constants.h`, googleapis; the first three
in Closure's `HttpCors`, too). What else begins with a `$` there passes only where it is known and harmless.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_GOOGLES: Final = (
    "$.xgafv $accessToken $access_token $alt $apiFormat $apiVersion $callback $fields $key $oauth_token"
    " $outputDefaults $pp $prettyPrint $quotaUser $trace $unique $userProject"
)
"""System parameters (cloud.google.com/apis/docs/system-parameters), and keys, which `client/credentials.py`
finds."""
_ODATAS: Final = "$count $expand $filter $format $orderby $search $select $skip $skipToken $top"
"""Azure lists batches by `$filter` and `$orderby`."""
_OVERRIDES: Final = frozenset({"httpmethod", "httpheaders"})
"""Names that mean nothing else without the dollar, either."""

_BETWEEN: Final = str.maketrans("", "", "-_.+ " + "".join(map(chr, range(32))))
_SUSPECT: Final = re.compile(r"[$%]|http", re.IGNORECASE).search
_MOST_DECODED: Final = 3


def _plain(name: str) -> str:
    return name.translate(_BETWEEN).partition("[")[0].lower()


_HARMLESS: Final = frozenset(_plain(name) for name in (_GOOGLES + " " + _ODATAS).split())


def overrides(query: str) -> bool:
    """Whether some server would read a method, headers or a body out of this query."""
    if not _SUSPECT(query):
        return False
    return any(
        _overrides(parameter.partition("=")[0])
        for part in query.split("&")
        for parameter in part.split(";")
    )


def _overrides(name: str) -> bool:
    # Servers decode once; one behind another decodes what the first has left.
    for _ in range(_MOST_DECODED):
        decoded = unquote(name)
        if decoded == name:
            break
        name = decoded
    else:
        return True
    plain = _plain(name)
    return plain in _OVERRIDES or (plain.startswith("$") and plain not in _HARMLESS)
