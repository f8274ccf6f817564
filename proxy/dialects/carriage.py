"""
What the headers say of a body: which of it only some upstreams would heed is not read at all. Pure.

A body that we read as UTF-8 JSON while the upstream decompresses it, or decodes it by another charset, or
takes it for a form, would be another request than the one that was judged.
"""

from __future__ import annotations

import re

from proxy.dialects.jsonbody import UnreadableBody
from proxy.head import Head, RawHeaders

_JSON = re.compile(
    rb"application/(?:json|[a-z0-9.-]+\+json)\s*(?:;\s*charset=\"?(?:utf-8|us-ascii)\"?\s*)?;?\s*",
    re.IGNORECASE,
).fullmatch
_TELLING = frozenset({b"content-encoding", b"content-type"})
_FORM = re.compile(
    rb"multipart/form-data\s*;\s*boundary="
    rb"(?:[A-Za-z0-9'()+_,./:=?-]{1,70}|\"[A-Za-z0-9'()+_,./:=? -]{1,70}\")\s*",
    re.IGNORECASE,
).fullmatch


def is_form(headers: RawHeaders) -> bool:
    """Whether a body is said, once, to be a form: then no server reads it as JSON."""
    types = [value for name, value in headers if name.lower() == b"content-type"]
    return len(types) == 1 and types[0].lstrip().lower().startswith(b"multipart/form-data")


def refuse_other_forms(headers: RawHeaders) -> None:
    """Raise UnreadableBody unless the body is said, once, to be a form with files, and not compressed."""
    types = [value for name, value in headers if name.lower() == b"content-type"]
    if len(types) != 1 or not _FORM(types[0].strip()):
        raise UnreadableBody(
            "content_type",
            "Content-Type must be multipart/form-data with a boundary, and stand once.",
        )
    if any(name.lower() == b"content-encoding" for name, _ in headers):
        raise UnreadableBody("content_encoding", "The body must not be compressed.")


def refuse_other_encodings(head: Head) -> None:
    """Raise UnreadableBody unless the body is said to be plain JSON in UTF-8, or nothing is said."""
    said = False
    for name, value in head.among(_TELLING):
        if name == b"content-type":
            if said or not _JSON(value.strip()):
                raise UnreadableBody(
                    "content_type",
                    "Content-Type must be application/json, in UTF-8, and stand once.",
                )
            said = True
        elif value.strip().lower() != b"identity":
            raise UnreadableBody("content_encoding", "The body must not be compressed.")
