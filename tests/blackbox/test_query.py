"""No parameter of a query makes the upstream read another request than the one that was judged."""

from __future__ import annotations

import pytest

from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise

PATH = "/v1beta/models/g:generateContent"
BODY = b'{"contents":[{"parts":[{"text":"hello"}]}]}'

OVERRIDES = (
    "$httpHeaders=X-Api-Key:sk-other%0D%0A",
    "%24httpHeaders=Content-Type:application/x-protobuf",
    "$HTTPHEADERS=a:b",
    "$http%48eaders=a:b",
    "%2524httpHeaders=a:b",
    "alt=sse&$httpHeaders=a:b",
    "alt=sse;$httpHeaders=a:b",
    "$httpHeaders[]=a:b",
    "$httpHeaders%00=a:b",
    "+$httpHeaders=a:b",
    "%00$httpHeaders=a:b",
    "$http_headers=a:b",
    "httpHeaders=a:b",
    "$httpMethod=GET",
    "$httpmethod=GET",
    "httpMethod=GET",
    "$ct=application/x-protobuf",
    "$CT=application/x-protobuf",
    "%24c%74=application/x-protobuf",
    "$req=%7B%7D",
    "$REQ=%7B%7D",
    "%2524req=%7B%7D",
    "$visibilities=X",
    "$nobody=knows",
    "$=x",
    "%252525252424ct=x",
)
HARMLESS = (
    "alt=sse",
    "$alt=json",
    "%24alt=json",
    "$fields=candidates",
    "$prettyPrint=false",
    "$.xgafv=2",
    "$apiVersion=v1",
    "$quotaUser=a",
    "$userProject=a",
    "$unique=1",
    "$outputDefaults=true",
    "$filter=status%20eq%20%27Completed%27&$orderby=created_at%20asc",
    "api-version=2024-10-21",
    "a=$ct&b=%24httpHeaders&c=$req",
    "ct=1&req=2&x=http://a",
)


@pytest.mark.parametrize("query", OVERRIDES)
def test_what_overrides_a_part_of_the_request_is_refused(
    excise: Excise, upstream: Recorder, query: str
) -> None:
    assert call(excise, "POST", f"{PATH}?{query}", BODY, f"sk-{OVERRIDES.index(query)}")[0] == 400
    assert upstream.requests == []


@pytest.mark.parametrize("query", HARMLESS)
def test_what_is_documented_and_harmless_passes_as_it_came(
    excise: Excise, upstream: Recorder, query: str
) -> None:
    target = f"{PATH}?{query}"
    assert call(excise, "POST", target, BODY, f"sk-harmless-{HARMLESS.index(query)}")[0] == 200
    assert upstream.requests[0].target == target
