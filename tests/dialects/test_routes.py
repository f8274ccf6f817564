"""Only paths as the table writes them are known; all else is refused or unknown."""

import re
import time

import pytest

from proxy.dialects.routes import (
    DIALECTS,
    VARIANT,
    dialect,
    dialect_for_errors,
    find_route,
    looks_known,
)
from proxy.facts import ALSO_SERVED, OPERATIONS, Route
from proxy.surface import rows


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        (
            "POST",
            "/v1/chat/completions",
            Route("inspected", "openai_chat", "chat", "/v1/chat/completions"),
        ),
        ("POST", "/v1/messages", Route("inspected", "anthropic_messages", "chat", "/v1/messages")),
        ("GET", "/v1/models", Route("passed", "", "", "/v1/models")),
        ("HEAD", "/v1/models", Route("passed", "", "", "/v1/models")),
        ("GET", "/v1/models/gpt-4o", Route("passed", "", "", "/v1/models/{id}")),
        ("HEAD", "/v1/models/ft:m:org::x@1", Route("passed", "", "", "/v1/models/{id}")),
    ],
)
def test_the_served_routes(method: str, path: str, route: Route) -> None:
    assert find_route(method, path) == route


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", "/v1/chat/completions"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/v1//chat/completions"),
        ("POST", "/v1/./chat/completions"),
        ("POST", "/v1/x/../chat/completions"),
        ("POST", "/v1/chat/completions;a"),
        ("POST", "/v1/chat\\completions"),
        ("POST", "http://x/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("DELETE", "/v1/models/m"),
        ("GET", "/v1/models/."),
        ("GET", "/v1/models/.."),
        ("GET", "/v1/models/a/b"),
        ("GET", "/v1/models/a%2Fb"),
        ("GET", "/v1/models/é"),
        ("GET", "/v1/models/" + "a" * 257),
        ("GET", ""),
        ("OPTIONS", "*"),
    ],
)
def test_whatever_is_not_written_exactly_so_is_known_for_no_route(method: str, path: str) -> None:
    route = find_route(method, path)
    assert route.kind == "unknown" or (route.kind, route.name) == ("refused", VARIANT)
    assert route.template == "unknown"
    assert route.operation == ""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/chat/completions//"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/v1/Chat/Completions/"),
        ("GET", "/v1/models/"),
        ("POST", "/OpenAI/deployments/d/chat/completions"),
        ("POST", "/v1beta/models/m:generateContent/"),
        ("POST", "/v1beta/models/m:generatecontent"),
        ("POST", "/v1beta/models/m:GenerateContent"),
        ("POST", "/V1beta/models/m:generateContent"),
        ("POST", "/v1/Audio/speech"),
        ("POST", "/v1/chat/completion%73"),
        ("POST", "/v1/chat%2Fcompletions"),
        ("POST", "/v1/chat/completions%20"),
        ("POST", "/v1/chat/%20completions"),
        ("POST", "/v1/chat./completions"),
        ("POST", "/v1/chat/completions."),
        ("POST", "/v1/chat/completions./"),
        ("POST", "/v1/chat/completions%2E%2E"),
        ("POST", "/v1/chat/completions%E2%80%8B"),
        ("POST", "/v1/chat/completions%C2%A0"),
        ("POST", "/v1/chat/completions%FF"),
        ("POST", "/v1/chat/%EF%BD%83ompletions"),
        ("POST", "/v1beta/models/m:generateContent%20"),
        ("POST", "/v1beta/models/m%20:generateContent"),
        ("GET", "/v1/models/a\n"),
        ("PUT", "/v1/chat/completions"),
        ("PATCH", "/v1/chat/completions"),
        ("PUT", "/v1beta/models/m:generateContent"),
        ("POST", "/v1beta/models/m:generateContent\n"),
        ("POST", "/v1beta/models/m%3AgenerateContent"),
        ("POST", "/v1beta/models/m:generate%43ontent"),
        ("POST", "/v1beta/models/%6D:generateContent"),
        ("POST", "/v1/responses/compact."),
        ("PUT", "/v1/assistants/a"),
        ("POST", "/openai/deployments/d%C3%A9/chat/completions"),
        ("POST", "/openai/deployments/d(1)/chat/completions"),
        ("POST", "/openai/deployments/d,1/chat/completions"),
        ("POST", "/openai/deployments/a%20b/chat/completions"),
        ("POST", "/openai/deployments/%20/chat/completions"),
        ("POST", f"/openai/deployments/{'d' * 300}/chat/completions"),
        ("POST", "/openai/deployments/a/b/c/extensions/chat/completions"),
        ("POST", "/openai/deployments/a/b/embeddings"),
        ("POST", "/v1beta/models/a+b:generateContent"),
        ("POST", "/v1beta/models/a%C3%A9:generateContent"),
        ("POST", "/v1beta/models/org/m:generateContent"),
        ("POST", "/v1beta/models/m:generateContent:"),
        ("POST", "/v1beta/models/a:b:generateContent"),
        ("POST", "/v1/projects/p+1/locations/l/publishers/google/models/m:generateContent"),
        ("GET", "/v1/responses/resp+1"),
        ("GET", "/v1/files/file,1/content"),
        ("POST", "/v1/%E2%80%8B/chat/completions"),
        ("POST", "/%E2%80%8B/v1/chat/completions"),
        ("POST", "/v1/x/%EF%BC%8E%EF%BC%8E/chat/completions"),
        ("POST", "/v1/%EF%BC%8E/chat/completions"),
        ("POST", "/v1/audio/a+b"),
    ],
)
def test_a_known_path_in_another_writing_is_refused_by_name(method: str, path: str) -> None:
    route = find_route(method, path)
    assert (route.kind, route.name, route.template) == ("refused", VARIANT, "unknown")


def test_another_method_without_a_body_or_on_metadata_is_unknown_and_no_variant() -> None:
    for method, path in [("DELETE", "/v1/chat/completions"), ("POST", "/v1/models/GPT-4")]:
        assert find_route(method, path).kind == "unknown"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/a+b",
        "/v1/new_thing",
        "/v1/responses/resp_1/new_thing",
        "/v1/chat/completions/x/y/z",
        "/openai/deployments/d/new_thing",
        "/openai/deployments/a/b/new_thing",
        "/v1beta/models/m:newThing",
        "/v1beta/models/a/b:newThing",
        "/v1beta/models/a+b",
        "/internal/models/a:b",
        "/..",
        "/",
    ],
)
def test_what_is_known_to_nobody_is_unknown_and_no_variant(path: str) -> None:
    assert find_route("POST", path).kind == "unknown"


def test_the_looks_of_a_long_path_cost_no_more_than_its_length() -> None:
    def took(times: int) -> float:
        path = "/v1beta" + "/models/a" * times + "/openai/deployments" * times
        spent = []
        for _ in range(5):
            before = time.process_time()
            assert not looks_known(path)
            spent.append(time.process_time() - before)
        return min(spent)

    # Twice the length is twice the work; four times would be its square.
    assert took(2000) < 3 * took(1000) + 0.001


def test_every_row_of_the_table_is_found_where_it_stands() -> None:
    for row in rows():
        route = find_route(row.method, re.sub(r"\{\w+\}", "x-1", row.template))
        assert (route.kind, route.template) == (row.kind, row.template), row
        if row.dialect:
            assert dialect(route.dialect).name == row.dialect
        word = route.name if route.kind == "refused" else route.operation
        assert word == row.word
        assert word in {"", "realtime", *OPERATIONS, *ALSO_SERVED}
        if row.kind in {"inspected", "metered", "refused"}:
            assert word


def test_the_names_that_a_policy_may_serve_are_those_of_refused_routes() -> None:
    assert {row.word for row in rows() if row.kind == "refused"} == {"realtime", *ALSO_SERVED}


def test_a_model_whose_name_only_starts_with_dots_is_a_model() -> None:
    assert find_route("GET", "/v1/models/..a").kind == "passed"


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/v1/chat/completions", (), "openai_chat"),
        ("/v1/messages", (), "anthropic_messages"),
        ("/v1/messages/count_tokens", (), "anthropic_messages"),
        ("/v1/models", (), "openai_chat"),
        ("/nowhere", (), "openai_chat"),
        ("/v1/models", ((b"Anthropic-Version", b"2023-06-01"),), "anthropic_messages"),
        ("/nowhere", ((b"Accept", b"*/*"), (b"anthropic-version", b"1")), "anthropic_messages"),
        ("/nowhere", ((b"OpenAI-Organization", b"o"),), "openai_chat"),
        ("/v1/chat/completions", ((b"anthropic-version", b"1"),), "openai_chat"),
    ],
)
def test_the_error_format_follows_the_path_then_the_headers(
    path: str, headers: tuple[tuple[bytes, bytes], ...], name: str
) -> None:
    assert dialect_for_errors(path, headers).name == name


def test_an_unknown_path_that_tells_its_dialect_says_so_in_its_route() -> None:
    assert find_route("PUT", "/v1/messages/batches").dialect == "anthropic_messages"
    assert find_route("PUT", "/v1/embeddings").dialect == ""


def test_every_dialect_is_found_by_its_name() -> None:
    assert [dialect(one.name) for one in DIALECTS] == list(DIALECTS)
    with pytest.raises(KeyError):
        dialect("")
