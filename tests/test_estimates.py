"""What is estimated before, and what is learned from what was used."""

from __future__ import annotations

from dataclasses import replace

from proxy.estimates import COLD_OUTPUT, COLD_OVERHEAD, LEAST_OUTPUT, Estimates
from proxy.facts import Ask, Reasoning, Turn, Usage, prompt_bytes
from tests.policy.facts import facts

CLIENT = facts().client


def asked(text: str = "", **fields: object) -> Ask:
    return replace(Ask("large", (Turn("user", text),)), **fields)  # type: ignore[arg-type]


def test_at_a_cold_start_the_estimate_is_high() -> None:
    given = "Why is the sky blue? " * 20
    told = Estimates().of(CLIENT, asked(given), "chat")
    assert told == Usage(COLD_OVERHEAD + len(given) // 2, COLD_OUTPUT, 0)
    # A prompt of this length has some hundred tokens, an answer some hundreds.


def test_an_output_limit_is_taken_at_its_word_for_each_answer() -> None:
    estimates = Estimates()
    for answers in (1, 4):
        told = estimates.of(CLIENT, asked(max_output_tokens=300, choices=answers), "chat")
        assert told.output_tokens == 300 * answers
    assert estimates.of(CLIENT, asked(choices=4), "chat").output_tokens == 4 * COLD_OUTPUT


def test_what_an_account_and_a_model_have_used_is_learned_for_them_alone() -> None:
    estimates = Estimates()
    text = "x" * 400
    estimates.learn(CLIENT, [asked(text)], Usage(100, 200))
    told = estimates.of(CLIENT, asked(text), "chat")
    assert (told.input_tokens, told.output_tokens) == (100, 301)
    assert estimates.of(CLIENT, asked(text + text), "chat").input_tokens == 200
    cold = Estimates().of(CLIENT, asked(text), "chat")
    assert estimates.of(replace(CLIENT, account="other"), asked(text), "chat") == cold
    assert estimates.of(CLIENT, asked(text, model="small"), "chat") == cold


def test_what_comes_with_short_prompts_is_not_taken_for_their_bytes() -> None:
    """Tools or an image: ten thousand tokens beside a word."""
    estimates = Estimates()
    estimates.learn(CLIENT, [asked("Look!")], Usage(10_000, 50))
    told = estimates.of(CLIENT, asked("y" * 2000), "chat").input_tokens
    assert told is not None
    assert 10_000 <= told <= 12_000
    for _ in range(30):
        estimates.learn(CLIENT, [asked("y" * 2000)], Usage(500, 50))
    told = estimates.of(CLIENT, asked("y" * 2000), "chat").input_tokens
    assert told is not None
    assert 450 <= told <= 600


def test_one_long_answer_fades_and_none_makes_an_estimate_boundless() -> None:
    estimates = Estimates()
    estimates.learn(CLIENT, [asked()], Usage(1, 10**12))
    assert estimates.of(CLIENT, asked(), "chat").output_tokens == 65_536
    for _ in range(100):
        estimates.learn(CLIENT, [asked()], Usage(1, 1000))
    assert estimates.of(CLIENT, asked(), "chat").output_tokens == 1501
    for _ in range(100):
        estimates.learn(CLIENT, [asked()], Usage(1, 1))
    assert estimates.of(CLIENT, asked(), "chat").output_tokens == LEAST_OUTPUT


def test_several_prompts_in_one_body_share_what_was_used() -> None:
    estimates = Estimates()
    estimates.learn(CLIENT, [asked("z" * 100, choices=2)] * 3, Usage(75, 6000))
    told = estimates.of(CLIENT, asked("z" * 100), "chat")
    assert (told.input_tokens, told.output_tokens) == (25, 1501)


def test_reasoning_is_the_budget_that_is_asked_for_else_what_is_known_of_the_past() -> None:
    estimates = Estimates()

    def told(reasoning: Reasoning | None, **fields: object) -> int | None:
        ask = asked(reasoning=reasoning, **fields)
        return estimates.of(CLIENT, ask, "chat").reasoning_tokens

    assert told(None) == 0
    assert told(Reasoning("high")) == COLD_OUTPUT
    assert told(Reasoning("none")) == 0
    assert told(Reasoning(None, 500)) == 500
    assert told(Reasoning(None, 500), choices=3) == 1500
    assert told(Reasoning(None, 500), max_output_tokens=100) == 100  # it is part of the output
    estimates.learn(CLIENT, [asked()], Usage(1, 400, 200))
    assert told(None) == told(Reasoning("high")) == 301


def test_what_answers_with_no_text_has_no_output() -> None:
    told = Estimates().of(CLIENT, asked("some text"), "embeddings")
    assert (told.output_tokens, told.reasoning_tokens) == (0, 0)


def test_a_body_that_was_not_read_has_no_estimate() -> None:
    assert Estimates().of(CLIENT, None, "chat") == Usage()


def test_only_so_many_are_remembered_those_seen_last() -> None:
    estimates = Estimates(most=2)
    for number in range(1000):
        estimates.learn(replace(CLIENT, account=f"a{number}"), [asked()], Usage(1, 1000))
    assert len(estimates) == 2
    assert estimates.of(replace(CLIENT, account="a999"), asked(), "chat").output_tokens == 1501


def test_invented_keys_are_remembered_by_their_address() -> None:
    estimates = Estimates()
    for number in range(10):
        invented = replace(CLIENT, account=f"key_{number}", unproven=True)
        estimates.learn(invented, [asked()], Usage(1, 10))
    assert len(estimates) == 1


def test_a_prompts_size_is_its_bytes_whatever_its_script() -> None:
    assert prompt_bytes(asked("abc")) == 3
    assert prompt_bytes(asked("天空")) == 6
    assert prompt_bytes(asked("\ud800")) == 3  # a lone surrogate, which JSON can hold
