"""Gemini's paths: what generates is inspected, model lists pass, everything else is unknown."""

from __future__ import annotations

import pytest

from proxy.dialects.routes import VARIANT, dialect_for_errors, find_route
from proxy.facts import Route

G = "gemini_generate"
VERTEX = "/projects/p-1/locations/us-central1/publishers/google/models/gemini-2.0-flash-001"


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha", "v1beta1"])
@pytest.mark.parametrize("call", ["generateContent", "streamGenerateContent"])
@pytest.mark.parametrize(
    ("place", "template"),
    [
        ("/models/gemini-2.5-pro", "/models/{model}"),
        ("/models/a.b_c@1-2", "/models/{model}"),
        ("/tunedModels/mine-1", "/tunedModels/{model}"),
        ("/publishers/google/models/g", "/publishers/{publisher}/models/{model}"),
        (
            VERTEX,
            "/projects/{project}/locations/{location}/publishers/{publisher}/models/{model}",
        ),
        (
            "/projects/1/locations/eu/endpoints/7",
            "/projects/{project}/locations/{location}/endpoints/{model}",
        ),
    ],
)
def test_generating_is_inspected(version: str, place: str, template: str, call: str) -> None:
    expected = Route("inspected", G, "chat", f"/{version}{template}:{call}")
    assert find_route("POST", f"/{version}{place}:{call}") == expected


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("version", ["v1beta", "v1alpha"])
def test_models_are_listed_and_looked_up_without_inspection(method: str, version: str) -> None:
    assert find_route(method, f"/{version}/models") == Route("passed", G, "", f"/{version}/models")
    found = find_route(method, f"/{version}/models/gemini-2.5-pro")
    assert found == Route("passed", G, "", f"/{version}/models/{{model}}")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1beta/models/m:generateContent"),
        ("GET", "/v1/models/m:generateContent"),
        ("GET", "/v1/models/m:countTokens"),
        ("GET", "/v1beta/models/m:x"),
        ("GET", "/v1beta/models/.."),
        ("GET", "/v1beta/models/a/operations"),
        ("POST", "/v1beta/models/a%2Fb:generateContent"),
        ("POST", "/v1beta/models/a/b:generateContent"),
        ("POST", "/v1beta/models/a:b:generateContent"),
        ("POST", "/v1beta/models/:generateContent"),
        ("POST", "/v1beta/models/.:generateContent"),
        ("POST", "/v1beta/models/..:generateContent"),
        ("POST", "/v1beta/models/é:generateContent"),
        ("POST", "/v1beta/models/m;a:generateContent"),
        ("POST", "/v1beta/models/" + "m" * 257 + ":generateContent"),
        ("POST", "/v1beta//models/m:generateContent"),
        ("POST", "/v1beta/x/../models/m:generateContent"),
        ("POST", "/v2/models/m:generateContent"),
        ("POST", "/v1beta/projects/p/models/m:generateContent"),
        ("POST", "/v1beta/projects/p/locations/l/models/m:generateContent"),
        ("POST", "/v1/projects/../locations/l/publishers/g/models/m:generateContent"),
        ("POST", "/v1/projects/p/locations/l/publishers/g/endpoints/7:generateContent"),
        ("POST", "/v1beta/batches"),
    ],
)
def test_whatever_is_not_written_exactly_so_is_known_for_no_route(method: str, path: str) -> None:
    route = find_route(method, path)
    assert route.kind == "unknown" or (route.kind, route.name) == ("refused", VARIANT)
    assert (route.template, route.operation) == ("unknown", "")


@pytest.mark.parametrize("model", ["ft:gpt-4o:org::Ab12", "llama3:8b", "llama3:latest"])
def test_models_with_colons_in_their_names_are_still_looked_up(model: str) -> None:
    assert find_route("GET", f"/v1/models/{model}").kind == "passed"


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/v1beta/models/m:generateContent", (), G),
        ("/v1beta/anything", (), G),
        ("/v1/models/m:generateContent", (), G),
        ("/v1/models/m:countTokens", (), G),
        (f"/v1{VERTEX}:generateContent", (), G),
        ("/v1/tunedModels/m:generateContent", ((b"anthropic-version", b"1"),), G),
        ("/v1/models", ((b"X-Goog-Api-Key", b"k"),), G),
        ("/nowhere", ((b"x-goog-api-client", b"google-genai-sdk/3"),), G),
        ("/v1/models/llama3:8b", (), "openai_chat"),
        ("/v1/models/m", (), "openai_chat"),
    ],
)
def test_errors_are_googles_where_the_path_or_the_headers_are(
    path: str, headers: tuple[tuple[bytes, bytes], ...], name: str
) -> None:
    assert dialect_for_errors(path, headers).name == name
