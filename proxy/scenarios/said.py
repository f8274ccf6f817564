"""An expectation in a few words, for whoever reads why it does not hold. Pure."""

from __future__ import annotations

from typing import Final

from proxy.scenarios.expect import QUANTIFIERS, Expectation

_SCOPE: Final = (*QUANTIFIERS, "after", "up_to")


def said(expected: Expectation) -> str:
    """`decision throttle, rule shape-requests, in one of the first 100`."""
    parts = [
        f"{name} {_word(getattr(expected, name))}"
        for name in type(expected).model_fields
        if name in expected.model_fields_set and name not in _SCOPE
    ]
    return f"{_of_which(expected)}: {', '.join(parts)}"


def _word(given: object) -> str:
    if isinstance(given, tuple):
        return " and ".join(given) if len(given) < 3 else ", ".join(given)
    if isinstance(given, bool):
        return str(given).lower()
    return str(getattr(given, "text", given))


def _of_which(expected: Expectation) -> str:
    among = ""
    if expected.after is not None:
        among += f" after the first {expected.after}"
    if expected.up_to is not None:
        among += f" among the first {expected.up_to}"
    if expected.within is not None:
        return f"at least one of the first {expected.within}{among}"
    if expected.count is not None:
        return f"{expected.count.text} requests{among}"
    if expected.share is not None:
        return f"{expected.share.text} of the requests{among}"
    which = expected.which
    if isinstance(which, int):
        return f"request {which}{among}"
    words = {"all": "every request", "any": "at least one request", "none": "no request"}
    return words.get(which, f"the {which} request") + among
