"""An uploaded form out of a record, shown to who inspects it on its way; Python's `email` reads it."""

from __future__ import annotations

from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

from proxy.errors import Refusal
from proxy.head import Head
from proxy.passage import FileInspector

MALFORMED_FORM = Refusal(400, "malformed_form", "The form cannot be read.", close=True)
PIECE: Final = 64 * 1024


async def inspect(file: FileInspector, head: Head, body: bytes) -> Refusal | None:
    """Show the form's parts, the file's piece by piece; why it goes no further, if it does not."""
    kind = head.values(b"content-type")
    try:
        form = BytesParser(policy=HTTP).parsebytes(
            b"Content-Type: " + (kind[0] if kind else b"") + b"\r\n\r\n" + body
        )
    except (MessageError, ValueError):
        return MALFORMED_FORM
    if not form.is_multipart() or form.defects:
        return MALFORMED_FORM
    for part in form.get_payload():
        refusal = await _part(file, part) if isinstance(part, Message) else MALFORMED_FORM
        if refusal is not None:
            return refusal
    return await file.finish()


async def _part(file: FileInspector, part: Message) -> Refusal | None:
    name = part.get_param("name", header="content-disposition")
    payload = part.get_payload(decode=True)
    if not isinstance(name, str) or not isinstance(payload, bytes):
        return MALFORMED_FORM
    if part.get_filename() is None:
        return file.field(name, payload)
    for at in range(0, len(payload), PIECE):
        found = await file.data(payload[at : at + PIECE])
        if isinstance(found, Refusal):
            return found
    end = await file.end_of_file()
    return end if isinstance(end, Refusal) else None
