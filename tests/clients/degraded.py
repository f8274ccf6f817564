"""What the tests of degraded answers share: a policy by the model's name, and a model that shows all."""

from __future__ import annotations

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
""" + "".join(
    f"""
  - name: {name}
    kind: datacenter_ip
    per: account
    kinds: [private]
    match: {{model: {models}}}
    action: {{degrade: {taken}}}
"""
    for name, models, taken in (
        ("hidden", "[hidden, inline, hidden-cut]", "[strip_logprobs, hide_reasoning]"),
        ("cut", "[cut, hidden-cut]", "[{cut_after: 5}]"),
        ("paced", "paced", "[{pace: 40/second}]"),
        (
            "lowered",
            "lowered",
            (
                "[strip_logprobs, drop_logit_bias, single_choice, hide_reasoning, "
                "{cap_output_tokens: 512}, {lower_reasoning_effort: low}]"
            ),
        ),
    )
)
