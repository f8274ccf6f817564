"""
`python -m bench.expressions`: what an expression costs: handing over its facts, and evaluating it.

CPU µs of this process, the best and the median of eleven rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from proxy.expressions.declared import DECLARED, MAX_ITEMS, MAX_TEXT
from proxy.expressions.program import Program, Sight
from proxy.facts import Ask, Client, Facts, Route, Signals

ROUNDS = 11
CALLER = Client(
    address="203.0.113.7",
    subnet="203.0.113.0/24",
    key_id="key_aaaaaaaaaaaaaaaa",
    account="acme",
    account_source="file",
    tier="pro",
    profile="rag",
    asn=64500,
    organization="Example Hosting",
    network_kind="hosting",
    country="NO",
    user_agent="OpenAI/Python 2.8.1",
)
ASK = Ask(
    "sample-large",
    max_output_tokens=512,
    temperature=0.7,
    tools=("search", "calculate", "fetch"),
    parameters=("model", "messages", "max_tokens", "temperature", "tools", "stream"),
)
ROUTE = Route("inspected", "openai_chat", "chat", "/v1/chat/completions")
USUAL = Facts(CALLER, ROUTE, ASK, "eu_1", signals=Signals((1,), "sys_", "tpl_", "en", "c", ("x",)))
LONG = "a" * MAX_TEXT
FULL = replace(USUAL, ask=replace(ASK, tools=(LONG,) * MAX_ITEMS, parameters=(LONG,) * MAX_ITEMS))
HANDED = {
    "one fact": ("client.asn",),
    "three facts": ("client.asn", "client.tier", "ask.turns"),
    "six facts": (
        *("client.asn", "client.tier", "client.provisional"),
        *("ask.turns", "ask.model", "ask.stream"),
    ),
    "a list of three texts": ("ask.tools",),
    "all facts": tuple(DECLARED),
}
EVALUATED = (
    "client.asn != 64496",
    "client.asn != 64496 && client.tier == 'pro' && ask.turns < 3 && ask.model != 'm'",
    "client.user_agent.startsWith('python')",
    "client.user_agent.matches(r'^python-requests/[0-9.]+$')",
    "ask.tools.exists(t, t.startsWith('web_'))",
)


def measured(run: Callable[[], object], count: int) -> str:
    """CPU µs of one run, best and median."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(count):
            run()
        rounds.append((time.process_time_ns() - began) / count / 1000)
    return f"{min(rounds):.2f} | {statistics.median(rounds):.2f}"


def handing(paths: tuple[str, ...], facts: Facts) -> str:
    sight = Sight([Program(f"has({path})") for path in paths])
    return measured(lambda: sight.context(facts), 5000)


def evaluating(text: str, facts: Facts) -> str:
    program = Program(text)
    context = Sight([program]).context(facts)
    return measured(lambda: program.evaluate(context), 1000)


def main() -> None:
    print("| handed over | best | median |\n|---|---|---|")
    for name, paths in HANDED.items():
        print(f"| {name} | {handing(paths, USUAL)} |")
    print(f"| a list of {MAX_ITEMS} long texts | {handing(('ask.tools',), FULL)} |")
    print("\n| evaluated | best | median |\n|---|---|---|")
    for text in EVALUATED:
        print(f"| `{text}` | {evaluating(text, USUAL)} |")
    print(f"| the same, {MAX_ITEMS} long texts | {evaluating(EVALUATED[-1], FULL)} |")


if __name__ == "__main__":
    main()
