"""
`python -m bench.detection generate|run|report`: labelled traffic out of scenarios, replayed and scored.

    generate SCENARIO…   write the traffic of each scenario and seed
    run SCENARIO…        generate, replay by every policy that is asked for, and score
    report               tables, targets and charts of what has been run

A scenario is `tuning/hydra` or a file. Everything goes to --out; nothing of the evaluation data is kept
elsewhere, and what is generated from it must not be published.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.detection.report import report
from bench.detection.run import Plan, generated, run
from bench.detection.scenario import load_scenario, named

SCENARIOS = (
    *("tuning/hydra", "tuning/harvests"),
    *("testing/hydra", "testing/harvests", "testing/hydra-20k"),
)


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    if given.command == "report":
        report(given.out, given.to)
        return 0
    plan = Plan(
        out=given.out,
        scale=given.scale,
        days=given.days,
        data=given.data,
        grammar=given.grammar,
        policy=given.policy,
        baselines=given.baselines,
        ablation=given.ablation,
        honeypotllm=given.honeypotllm,
        pack=given.pack,
        jobs=given.jobs,
    )
    for name in given.scenarios:
        scenario = load_scenario(named(name))
        for seed in scenario.seeds[: given.seeds]:
            if given.command == "generate":
                print(generated(plan, scenario, seed))
            else:
                run(plan, scenario, seed)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.detection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("generate", "run"):
        one = commands.add_parser(name)
        one.add_argument("scenarios", nargs="*", default=SCENARIOS)
        one.add_argument("--scale", type=float, default=1.0, help="of accounts [1]")
        one.add_argument("--days", type=float, help="instead of the scenario's own")
        one.add_argument("--seeds", type=int, help="how many of the scenario's seeds [all]")
        one.add_argument("--data", type=Path, help="evaluation data [$EXCISE_EVAL_DATA]")
        one.add_argument("--grammar", action="store_true", help="leave the evaluation data alone")
        one.add_argument("--pack", choices=("", "gz", "zst"), default="zst")
        one.add_argument("--policy", type=Path, help="judge by this one [default.yaml]")
        one.add_argument("--baselines", action="store_true", help="plain limits, no datacenters")
        one.add_argument("--ablation", action="store_true", help="the policy less each family")
        one.add_argument("--jobs", type=int, default=1, help="replays side by side [1]")
        one.add_argument("--honeypotllm", type=Path, help="a Python that has honeypotllm")
    commands.add_parser("report").add_argument(
        "--to", type=Path, help="a folder for the charts and tables [OUT/report]"
    )
    for one in commands.choices.values():
        one.add_argument("--out", type=Path, default=Path(".cache/detection"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
