"""Connections: a conversation's turns and a shelf's passages share one, what stands alone shares none."""

from __future__ import annotations

from proxy.facts import Ask, Turn
from proxy.signals.chunks import connections

PASSAGE = (
    "Returns are accepted within thirty days of delivery, with the receipt and in the original box."
)
OTHER = "Parcels to the islands take two days more, and nothing is delivered there on Sundays or holidays."


def ask(*turns: tuple[str, str]) -> Ask:
    return Ask("m", tuple(Turn(role, text) for role, text in turns))


def test_every_turn_of_a_conversation_shows_where_it_began() -> None:
    first = connections(ask(("system", "Be brief."), ("user", "Where is my parcel?")))
    later = connections(
        ask(
            ("system", "Be brief."),
            ("user", "Where is my parcel?"),
            ("assistant", "On its way."),
            ("user", "And when does it come?"),
        )
    )
    assert len(first) == 1
    assert set(first) <= set(later)


def test_passages_that_come_again_connect_other_questions() -> None:
    def question(text: str) -> tuple[bytes, ...]:
        lead = "Answer by what stands here, and by nothing else that you may know of."
        return connections(
            ask(("user", f"{lead}\n{PASSAGE}\n{OTHER}\n{text}, please tell me now!"))
        )

    one, other = question("May I send it back after a month"), question("Do you deliver on Sunday")
    assert len(set(one) & set(other)) == 2


def test_what_wraps_a_prompt_connects_nothing() -> None:
    def wrapped(text: str) -> set[bytes]:
        head = (
            "Rewrite the given prompt into a more complex version of itself, as experts would ask."
        )
        tail = "Do not answer it. Write the rewritten prompt and nothing else, in no more than ten words."
        return set(connections(ask(("user", f"{head}\n{text}\n{tail}"))))

    assert not wrapped("Name three primary colours.") & wrapped("How are bees related to wasps?")


def test_what_a_tool_has_brought_is_a_passage_too() -> None:
    one = connections(ask(("user", "Can I return it?"), ("tool", PASSAGE)))
    other = connections(ask(("user", "Is thirty days the limit?"), ("tool", PASSAGE)))
    assert set(one) & set(other)


def test_where_nobody_speaks_there_is_nothing_to_connect() -> None:
    assert connections(ask(("system", PASSAGE))) == ()
    assert connections(ask(("user", ""))) == ()


def test_a_lone_surrogate_breaks_nothing() -> None:
    assert connections(ask(("user", "a\ud800b")))
