"""
Every route that is known, in one table: what Excise does with it, and whose errors and replies it speaks.

- `inspected`: the body is read and judged as what it asks of a model.
- `metered`: it takes or gives model output that no body here tells: who asks is judged, and the output
  that its reply reports is counted to whoever reads it.
- `passed`: metadata. Who asks is judged, nothing else.
- `refused`: nobody has looked at it yet, so it is not served. The last column names it; `also_serve` in
  a policy lets a name through as metered, save for what needs a WebSocket.

What stands nowhere here is `unknown`, and `unknown_routes` in the policy says what becomes of it.
Sources: the OpenAPI descriptions of OpenAI and Azure OpenAI, anthropic-python and python-genai, vLLM's
`entrypoints/openai/api_server.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast, get_args

from proxy.facts import RouteClass
from proxy.value import value

_OPENAI: Final = """
POST             /chat/completions                           inspected  openai_chat         chat
GET              /chat/completions                           metered    openai_chat         chat
GET              /chat/completions/{id}                      metered    openai_chat         chat
GET              /chat/completions/{id}/messages             metered    openai_chat         chat
POST,DELETE      /chat/completions/{id}                      passed     openai_chat
POST             /completions                                inspected  openai_completions  text_completion
POST             /embeddings                                 inspected  openai_inputs       embeddings
POST             /moderations                                inspected  openai_inputs       moderations
POST             /responses                                  inspected  openai_responses    chat
POST             /responses/compact                          inspected  openai_responses    chat
POST             /responses/input_tokens                     inspected  openai_responses    count_tokens
GET              /responses/{id}                             metered    openai_responses    chat
GET              /responses/{id}/input_items                 metered    openai_responses    chat
POST             /responses/{id}/cancel                      metered    openai_responses    chat
DELETE           /responses/{id}                             passed     openai_responses
POST             /conversations                              inspected  openai_responses    conversation
POST             /conversations/{id}/items                   inspected  openai_responses    conversation
GET              /conversations/{id}                         passed     openai_responses
POST,DELETE      /conversations/{id}                         passed     openai_responses
GET              /conversations/{id}/items                   metered    openai_responses    conversation
GET              /conversations/{id}/items/{item}            metered    openai_responses    conversation
DELETE           /conversations/{id}/items/{item}            passed     openai_responses
POST             /files                                      inspected  openai_files        batch
GET              /files                                      passed     openai_files
GET,DELETE       /files/{id}                                 passed     openai_files
GET              /files/{id}/content                         metered    openai_files        batch
POST             /batches                                    inspected  openai_batches      batch
GET              /batches                                    passed     openai_files
GET              /batches/{id}                               metered     gemini_batch        batch
POST             /batches/{id}/cancel                        passed     openai_files
POST             /images/generations                         inspected  openai_inputs       image
POST             /images/edits                               metered    openai_inputs       image
POST             /images/variations                          metered    openai_inputs       image
POST             /audio/{call}                               refused    openai_chat         audio
POST             /realtime/{call}                            refused    openai_chat         realtime
POST             /realtime/calls                             refused    openai_chat         realtime
POST             /realtime/calls/{id}/{call}                 refused    openai_chat         realtime
GET              /realtime                                   refused    openai_chat         realtime
GET              /responses                                  refused    openai_responses    realtime
GET,POST         /assistants                                 refused    openai_chat         assistants
GET,POST,DELETE  /assistants/{id}                            refused    openai_chat         assistants
POST             /threads                                    refused    openai_chat         assistants
POST             /threads/runs                               refused    openai_chat         assistants
GET,POST,DELETE  /threads/{id}                               refused    openai_chat         assistants
GET,POST         /threads/{id}/{kind}                        refused    openai_chat         assistants
GET,POST,DELETE  /threads/{id}/{kind}/{item}                 refused    openai_chat         assistants
GET,POST         /threads/{id}/{kind}/{item}/{call}          refused    openai_chat         assistants
GET              /threads/{id}/{kind}/{item}/{call}/{step}   refused    openai_chat         assistants
GET,POST         /vector_stores                              refused    openai_chat         vector_stores
GET,POST,DELETE  /vector_stores/{id}                         refused    openai_chat         vector_stores
GET,POST         /vector_stores/{id}/{kind}                  refused    openai_chat         vector_stores
GET,POST,DELETE  /vector_stores/{id}/{kind}/{item}           refused    openai_chat         vector_stores
GET,POST         /vector_stores/{id}/{kind}/{item}/{call}    refused    openai_chat         vector_stores
GET,POST         /fine_tuning/{kind}                         refused    openai_chat         fine_tuning
GET,POST         /fine_tuning/{kind}/{id}                    refused    openai_chat         fine_tuning
GET,POST         /fine_tuning/{kind}/{id}/{call}             refused    openai_chat         fine_tuning
GET,POST         /evals                                      refused    openai_chat         evals
GET,POST,DELETE  /evals/{id}                                 refused    openai_chat         evals
GET,POST         /evals/{id}/runs                            refused    openai_chat         evals
GET,POST,DELETE  /evals/{id}/runs/{run}                      refused    openai_chat         evals
GET              /evals/{id}/runs/{run}/output_items         refused    openai_chat         evals
GET              /evals/{id}/runs/{run}/output_items/{item}  refused    openai_chat         evals
POST             /uploads                                    refused    openai_chat         uploads
POST             /uploads/{id}/{call}                        refused    openai_chat         uploads
GET,POST         /containers                                 refused    openai_chat         containers
GET,DELETE       /containers/{id}                            refused    openai_chat         containers
GET,POST         /containers/{id}/files                      refused    openai_chat         containers
GET,DELETE       /containers/{id}/files/{file}               refused    openai_chat         containers
GET              /containers/{id}/files/{file}/content       refused    openai_chat         containers
GET,POST         /videos                                     refused    openai_chat         videos
GET,DELETE       /videos/{id}                                refused    openai_chat         videos
GET              /videos/{id}/content                        refused    openai_chat         videos
POST             /videos/{id}/remix                          refused    openai_chat         videos
"""
"""Under `/v1`, Azure's `/openai/v1` and `/openai`, and Gemini's `/v1beta/openai`. What stands at
`/batches/{id}` may be Gemini's under `/v1`, with the answers in it."""

_DEPLOYMENT: Final = """
POST      /chat/completions             inspected  openai_chat         chat
POST      /extensions/chat/completions  inspected  openai_chat         chat
POST      /completions                  inspected  openai_completions  text_completion
POST      /embeddings                   inspected  openai_inputs       embeddings
POST      /images/generations           inspected  openai_inputs       image
POST      /images/edits                 metered    openai_inputs       image
POST      /images/variations            metered    openai_inputs       image
POST      /audio/{call}                 refused    openai_chat         audio
GET,POST  /realtime                     refused    openai_chat         realtime
"""
"""Under Azure's `/openai/deployments/{deployment}`: the path names the model."""

_SERVERS: Final = """
POST      /v1/chat/completions/batch   inspected  openai_chat    chat
POST      /v1/chat/completions/render  inspected  openai_inputs  tokenize
POST      /v1/completions/render       inspected  openai_inputs  tokenize
POST      /v1/score                    inspected  openai_inputs  score
POST      /score                       inspected  openai_inputs  score
POST      /v1/rerank                   inspected  openai_inputs  rerank
POST      /v2/rerank                   inspected  openai_inputs  rerank
POST      /rerank                      inspected  openai_inputs  rerank
POST      /pooling                     inspected  openai_inputs  embeddings
POST      /classify                    inspected  openai_inputs  classify
POST      /tokenize                    inspected  openai_inputs  tokenize
POST      /detokenize                  inspected  openai_inputs  tokenize
GET,HEAD  /health                      passed     -
GET,HEAD  /ping                        passed     -
GET,HEAD  /version                     passed     -
GET       /get_model_info              passed     -
POST      /generate                    refused    openai_chat    native_generate
POST      /inference/v1/generate       refused    openai_chat    native_generate
POST      /invocations                 refused    openai_chat    invocations
"""
"""vLLM and SGLang, beside what they share with OpenAI."""

_ANTHROPIC: Final = """
POST        /v1/messages                       inspected  anthropic_messages  chat
POST        /v1/messages/count_tokens          inspected  anthropic_messages  count_tokens
POST        /v1/messages/batches               inspected  anthropic_batches   batch
GET         /v1/messages/batches               passed     anthropic_batches
GET,DELETE  /v1/messages/batches/{id}          passed     anthropic_batches
POST        /v1/messages/batches/{id}/cancel   passed     anthropic_batches
GET         /v1/messages/batches/{id}/results  metered    anthropic_batches   batch
POST        /v1/complete                       inspected  anthropic_complete  text_completion
"""

_GEMINI: Final = """
POST              /models/{model}:generateContent             inspected  gemini_generate  chat
POST              /models/{model}:streamGenerateContent       inspected  gemini_generate  chat
POST              /models/{model}:countTokens                 inspected  gemini_generate  count_tokens
POST              /models/{model}:computeTokens               inspected  gemini_generate  count_tokens
POST              /models/{model}:embedContent                inspected  gemini_embed     embeddings
POST              /models/{model}:batchEmbedContents          inspected  gemini_embed     embeddings
POST              /models/{model}:batchGenerateContent        inspected  gemini_batch     batch
POST              /models/{model}:asyncBatchEmbedContent      refused    gemini_generate  file_batches
POST              /models/{model}:predict                     refused    gemini_generate  predict
POST              /models/{model}:predictLongRunning          refused    gemini_generate  predict
POST              /models/{model}:rawPredict                  refused    gemini_generate  predict
POST              /models/{model}:streamRawPredict            refused    gemini_generate  predict
POST              /models/{model}:generateAnswer              refused    gemini_generate  predict
POST              /models/{model}:generateText                refused    gemini_generate  predict
POST              /models/{model}:generateMessage             refused    gemini_generate  predict
POST              /tunedModels/{model}:generateContent        inspected  gemini_generate  chat
POST              /tunedModels/{model}:streamGenerateContent  inspected  gemini_generate  chat
POST              /dynamic/{model}:generateContent            inspected  gemini_generate  chat
POST              /dynamic/{model}:streamGenerateContent      inspected  gemini_generate  chat
GET,POST          /tunedModels                                refused    gemini_generate  fine_tuning
GET,PATCH,DELETE  /tunedModels/{model}                        refused    gemini_generate  fine_tuning
POST              /cachedContents                             inspected  gemini_generate  cache
GET               /cachedContents                             passed     gemini_generate
GET,PATCH,DELETE  /cachedContents/{id}                        passed     gemini_generate
GET               /batches                                    passed     gemini_batch
GET               /batches/{id}                               metered    gemini_batch     batch
DELETE            /batches/{id}                               passed     gemini_batch
POST              /batches/{id}:cancel                        passed     gemini_batch
POST              /batches/{id}:delete                        passed     gemini_batch
GET               /files                                      passed     gemini_generate
GET,DELETE        /files/{id}                                 passed     gemini_generate
POST              /files                                      refused    gemini_generate  file_batches
GET               /files/{id}:download                        metered    gemini_batch     batch
GET,POST          /interactions                               refused    gemini_generate  interactions
GET,POST,DELETE   /interactions/{id}                          refused    gemini_generate  interactions
"""
"""Under `/v1beta`, `/v1alpha`, `/v1beta1` and, where OpenAI has nothing of that name, `/v1`."""

_VERTEX: Final = """
POST  /models/{model}:generateContent        inspected  gemini_generate  chat
POST  /models/{model}:streamGenerateContent  inspected  gemini_generate  chat
POST  /models/{model}:countTokens            inspected  gemini_generate  count_tokens
POST  /models/{model}:computeTokens          inspected  gemini_generate  count_tokens
POST  /models/{model}:embedContent           inspected  gemini_embed     embeddings
POST  /models/{model}:predict                refused    gemini_generate  predict
POST  /models/{model}:predictLongRunning     refused    gemini_generate  predict
POST  /models/{model}:rawPredict             refused    gemini_generate  predict
POST  /models/{model}:streamRawPredict       refused    gemini_generate  predict
"""
"""Under a publisher, with a project or without."""

_ENDPOINTS: Final = _VERTEX.replace("/models/", "/endpoints/")

_ELSEWHERE: Final = """
GET,HEAD  /v1/models                  passed   -
GET,HEAD  /v1/models/{id}             passed   -
GET,HEAD  /openai/models              passed   openai_chat
GET,HEAD  /openai/models/{id}         passed   openai_chat
GET,HEAD  /openai/deployments         passed   openai_chat
GET,HEAD  /openai/deployments/{id}    passed   openai_chat
GET,HEAD  /openai/v1/models           passed   openai_chat
GET,HEAD  /openai/v1/models/{id}      passed   openai_chat
GET,HEAD  /v1beta/openai/models       passed   openai_chat
GET,HEAD  /v1beta/openai/models/{id}  passed   openai_chat
GET,HEAD  /v1beta/models              passed   gemini_generate
GET,HEAD  /v1beta/models/{model}      passed   gemini_generate
GET,HEAD  /v1alpha/models             passed   gemini_generate
GET,HEAD  /v1alpha/models/{model}     passed   gemini_generate
POST,PUT  /upload/v1beta/files        refused  gemini_generate  file_batches
POST,PUT  /upload/v1alpha/files       refused  gemini_generate  file_batches
GET       /ws/{service}               refused  gemini_generate  realtime
GET       /ws/{service}/{method}      refused  gemini_generate  realtime
"""

_IN_PROJECT: Final = "/projects/{project}/locations/{location}"
_PUBLISHER: Final = "/publishers/{publisher}"
_VERSIONS: Final = ("/v1", "/v1beta", "/v1alpha", "/v1beta1")

_PARTS: Final = (
    (("/v1", "/openai/v1", "/openai", "/v1beta/openai"), _OPENAI),
    (("/openai/deployments/{deployment}",), _DEPLOYMENT),
    (("",), _SERVERS),
    (("",), _ANTHROPIC),
    (_VERSIONS, _GEMINI),
    (tuple(f"{version}{_PUBLISHER}" for version in _VERSIONS), _VERTEX),
    (tuple(f"{version}{_IN_PROJECT}{_PUBLISHER}" for version in _VERSIONS), _VERTEX),
    (tuple(f"{version}{_IN_PROJECT}" for version in _VERSIONS), _ENDPOINTS),
    (("",), _ELSEWHERE),
)
"""Where a part's routes stand, and the part. A route that an earlier part has keeps what it says there."""


@value
class Row:
    """One method and path of the table."""

    method: str
    template: str
    kind: RouteClass
    dialect: str
    """Empty where several APIs share the path, and only headers tell whose errors it speaks."""
    word: str
    """The operation; of a refused route, the name that `also_serve` knows it by."""


def rows() -> Iterator[Row]:
    """All rows, each method and prefix for itself."""
    seen: set[tuple[str, str]] = set()
    for prefixes, part in _PARTS:
        lines = [line.split() for line in part.strip().splitlines()]
        for prefix in prefixes:
            for methods, path, kind, dialect, *word in lines:
                template = f"{prefix}{path}"
                assert kind in get_args(RouteClass), kind
                for method in methods.split(","):
                    if (method, template) not in seen:
                        seen.add((method, template))
                        name = "" if dialect == "-" else dialect
                        yield Row(method, template, cast("RouteClass", kind), name, *(word or [""]))


def reference() -> str:
    """The table as Markdown, which `docs/routes.md` ends with."""
    lines: list[str] = []
    for prefixes, part in _PARTS:
        where = ", ".join(f"`{prefix}`" for prefix in prefixes if prefix)
        lines += [f"### Under {where}" if where else "### As written", ""]
        lines += ["| method | path | what becomes of it | dialect | operation, or name |"]
        lines += ["|---|---|---|---|---|"]
        for line in part.strip().splitlines():
            methods, path, kind, dialect, *word = line.split()
            shown = "" if dialect == "-" else f"`{dialect}`"
            named = f"`{word[0]}`" if word else ""
            methods = methods.replace(",", ", ")
            lines.append(f"| {methods} | `{path}` | {kind} | {shown} | {named} |")
        lines.append("")
    return "\n".join(lines)
