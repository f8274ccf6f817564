"""Generate, replay, score: one JSON file of results for each scenario, seed and policy."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from bench.detection.addresses import LISTS
from bench.detection.generate import generate, settings
from bench.detection.policies import SHIPPED, Judge, ablations, baselines
from bench.detection.prompts import data_or_none
from bench.detection.scenario import Scenario
from bench.detection.scoreboard import DAY, lines, score

HERE = Path(__file__).parent
HONEYPOTLLM = HERE / "peers" / "honeypotllm_judge.py"


@dataclass(frozen=True)
class Plan:
    """What is to be run, and where it goes."""

    out: Path
    scale: float = 1.0
    days: float | None = None
    data: Path | None = None
    grammar: bool = False
    """Leave the evaluation data alone, where it is."""
    policy: Path | None = None
    baselines: bool = False
    ablation: bool = False
    honeypotllm: Path | None = None
    """A Python that has the package."""
    pack: str = "zst"
    jobs: int = 1
    """Replays side by side."""

    @property
    def source(self) -> Path | None:
        """The evaluation data, or None."""
        return None if self.grammar else data_or_none(self.data)

    def judges(self) -> list[Judge]:
        """The policies to replay by."""
        own = self.policy or SHIPPED
        found = [Judge(own.stem, own)]
        if self.baselines:
            found += baselines()
        if self.ablation:
            folder = self.out / "policies"
            folder.mkdir(parents=True, exist_ok=True)
            found += ablations(own, folder)
        return found


def generated(plan: Plan, scenario: Scenario, seed: int) -> Path:
    """The traffic of a scenario and seed; made anew only where anything that makes it has changed."""
    plan.out.mkdir(parents=True, exist_ok=True)
    file = plan.out / f"{scenario.name}-{seed}.jsonl{'.' + plan.pack if plan.pack else ''}"
    beside = plan.out / f"{scenario.name}-{seed}.traffic.json"
    made_with = _stamp(plan, scenario)
    if file.exists() and beside.exists():
        known = json.loads(beside.read_text(encoding="utf-8"))
        if known["made_with"] == made_with:
            return file
    started = time.monotonic()
    summary = generate(
        file, settings(scenario, seed, plan.source, scale=plan.scale, days=plan.days)
    )
    told = {
        "scenario": scenario.name,
        "seed": seed,
        "made_with": made_with,
        "scale": plan.scale,
        "days": plan.days or scenario.days,
        "prompts": "grammar" if plan.source is None else "evaluation data, then grammar",
        "seconds": round(time.monotonic() - started, 1),
        "populations": summary,
    }
    beside.write_text(json.dumps(told, indent=1), encoding="utf-8")
    return file


def _stamp(plan: Plan, scenario: Scenario) -> str:
    """What the traffic comes of: code, words, parameters."""
    digest = blake2b(digest_size=12)
    for file in sorted([*HERE.glob("*.py"), *HERE.glob("*.yaml")]):
        digest.update(file.read_bytes())
    digest.update(json.dumps(asdict(scenario), sort_keys=True).encode())
    digest.update(f"{plan.scale}:{plan.days}:{plan.source is None}".encode())
    return digest.hexdigest()


def run(plan: Plan, scenario: Scenario, seed: int) -> None:
    """Replay a scenario by each policy, score it, and keep the results."""
    traffic = generated(plan, scenario, seed)
    judges = [(one, replayed(plan, one, traffic)) for one in plan.judges()]
    if plan.honeypotllm is not None:
        peer = Judge("honeypotllm", HERE / "baselines" / "no-datacenters.yaml")
        judges.append((peer, [str(plan.honeypotllm), str(HONEYPOTLLM), str(traffic)]))
    with ThreadPoolExecutor(plan.jobs) as pool:
        for told in pool.map(lambda one: _judged(plan, scenario, seed, traffic, *one), judges):
            print(told)


def _judged(
    plan: Plan, scenario: Scenario, seed: int, traffic: Path, judge: Judge, command: list[str]
) -> str:
    """One policy's results, kept; what to say of it."""
    started = time.monotonic()
    until = (plan.days or scenario.days) * DAY
    with _decisions(command) as decided:
        board = score(lines(traffic), decided, judge.plain, until)
    told = {
        "scenario": scenario.name,
        "seed": seed,
        "policy": judge.name,
        "scale": plan.scale,
        "seconds": round(time.monotonic() - started, 1),
        **board.told(),
    }
    file = plan.out / f"{scenario.name}-{seed}-{judge.name.replace(' ', '-')}.result.json"
    file.write_text(json.dumps(told, indent=1), encoding="utf-8")
    requests = sum(row.requests for row in board.rows.values())
    return f"{file.name}: {requests:,} requests in {told['seconds']:,.0f} s"


def replayed(plan: Plan, judge: Judge, traffic: Path) -> list[str]:
    """The command that writes a policy's decisions on standard output."""
    command = [sys.executable, "-c", "from proxy.cli import main; main()", "replay", str(traffic)]
    command += ["--policy", str(judge.file), "--decisions", "-"]
    if plan.source is None:
        config = plan.out / "excise.yaml"
        config.write_text(f"networks:\n  lists: [{json.dumps(str(LISTS))}]\n", encoding="utf-8")
        command += ["--config", str(config)]
    return command


@contextmanager
def _decisions(command: list[str]) -> Iterator[Iterator[bytes]]:
    """The lines that a program writes. Raises RuntimeError where it fails."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=HERE.parents[1]) as process:
        assert process.stdout is not None
        try:
            yield iter(process.stdout)
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            raise RuntimeError(f"{' '.join(command[:4])} … has failed")


Results = list[dict[str, Any]]


def results(folder: Path) -> Results:
    """All results of a folder."""
    found = [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.result.json"))]
    return sorted(found, key=lambda one: (one["scenario"], one["policy"], one["seed"]))
