"""The shape of a suite: tests of one policy, as final values."""

from __future__ import annotations

import datetime
from typing import Final, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from proxy.rules.fields import wrong
from proxy.scenarios.expect import Expectation
from proxy.scenarios.fields import STRICT, Gaps, Seconds
from proxy.scenarios.request import Answer, Send
from proxy.scenarios.surroundings import NamedAccount, NamedNetwork

MOST_TIMES: Final = 1_000_000


class Burst(BaseModel):
    """Requests that come one after the other, and what is expected of them."""

    model_config = STRICT

    send: Send
    times: int = Field(default=1, ge=1, le=MOST_TIMES, strict=True)
    """How many are sent."""
    every: Gaps = (1.0, 1.0)
    """From one to the next, `1s`; `[2s, 30s]` draws each gap between the two, the same in each run."""
    response: Answer = Answer()
    expect: tuple[Expectation, ...] = ()
    """What must hold for these requests."""


class Step(BaseModel):
    """Requests, several bursts at once, or a wait."""

    model_config = STRICT

    send: Send | None = None
    """A request, sent `times` times."""
    times: int = Field(default=1, ge=1, le=MOST_TIMES, strict=True)
    """How many are sent."""
    every: Gaps = (1.0, 1.0)
    """From one to the next, `1s`; `[2s, 30s]` draws each gap between the two, the same in each run."""
    response: Answer = Answer()
    expect: tuple[Expectation, ...] = ()
    """What must hold for these requests."""
    together: tuple[Burst, ...] | None = None
    """Bursts that begin at once."""
    wait: Seconds | None = None
    """Time that passes without a request."""

    @model_validator(mode="after")
    def _check_one(self) -> Step:
        given = [name for name in ("send", "together", "wait") if getattr(self, name) is not None]
        if not given and self.expect:
            raise wrong("`expect` stands in the step whose requests it is about", ("expect",))
        if len(given) != 1:
            raise wrong("a step is one of `send`, `together` or `wait`")
        if self.together is not None and len(self.together) < 2:
            raise wrong("`together` needs two bursts or more", ("together",))
        if given != ["send"] and (others := self.model_fields_set - {*given}):
            name = min(others)
            raise wrong(f"`{name}` goes with `send`", (name,))
        return self

    @property
    def bursts(self) -> tuple[Burst, ...]:
        """What is sent, all of it beginning at once."""
        if self.together is not None:
            return self.together
        if self.send is None:
            return ()
        return (
            Burst.model_construct(
                send=self.send,
                times=self.times,
                every=self.every,
                response=self.response,
                expect=self.expect,
            ),
        )


class Scenario(BaseModel):
    """Steps, one after the other, in a world of their own: nothing is counted before."""

    model_config = STRICT

    name: str = Field(min_length=1, max_length=200)
    """What it shows, in a sentence."""
    start: datetime.date = datetime.date(2026, 1, 5)
    """The day, UTC, at whose beginning it starts."""
    steps: tuple[Step, ...]
    expect: tuple[Expectation, ...] = ()
    """What must hold for all requests of the test."""

    @field_validator("start", mode="before")
    @classmethod
    def _read_start(cls, given: object) -> datetime.date:
        try:
            if isinstance(given, str) and len(given) == len("2026-01-05"):
                return datetime.date.fromisoformat(given)
        except ValueError:
            pass
        raise wrong("must be a day such as `2026-01-05`")

    @model_validator(mode="after")
    def _check_expects(self) -> Scenario:
        if not any(step.bursts for step in self.steps):
            raise wrong("`steps` must send something", ("steps",))
        if (
            not any(burst.expect for step in self.steps for burst in step.bursts)
            and not self.expect
        ):
            raise wrong("a test expects something: give a step, or the test, an `expect`")
        return self


class Suite(BaseModel):
    """Tests of one policy."""

    model_config = STRICT

    version: Literal[1] = 1
    policy: str = Field(min_length=1)
    """The policy's file, relative to this one."""
    accounts: tuple[NamedAccount, ...] = ()
    """Accounts that tests may ask as."""
    accounts_file: str | None = Field(default=None, min_length=1)
    """An accounts file, relative to this one, whose accounts they may ask as besides."""
    networks: tuple[NamedNetwork, ...] = ()
    """What is known of addresses."""
    defaults: Send | None = None
    """What requests are like where they do not say otherwise."""
    uncovered: dict[str, str] = Field(default_factory=dict)
    """Rules that no test is asked to cover, and why."""
    tests: tuple[Scenario, ...]

    @model_validator(mode="after")
    def _check_tests(self) -> Suite:
        if not self.tests:
            raise wrong("`tests` must hold a test at least", ("tests",))
        return self
