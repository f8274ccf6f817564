"""`excise test`: what policies are to do, tried out on requests in virtual time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from proxy.assembly import collect_garbage_less
from proxy.cli.drawn import drawn
from proxy.cli.numbers import NumberRange
from proxy.console import printable
from proxy.scenarios.coverage import Coverage, coverage_of
from proxy.scenarios.junit import junit as junit_of
from proxy.scenarios.load import LoadedSuite, SuiteError, load_suite
from proxy.scenarios.run import Failure, Outcome, run

Run = list[tuple[LoadedSuite, list[Outcome]]]


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-k", "words", metavar="WORDS", help="Only tests whose name or file holds the words.")
@click.option(
    "-v", "--verbose", is_flag=True, help="Each test in a line, and each rule's coverage."
)
@click.option(
    "--fail-under",
    type=NumberRange(0, 100),
    metavar="PERCENT",
    help="Fail where fewer of a policy's rules are shown both ways.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the results as JUnit's XML besides.",
)
def test(
    *,
    paths: tuple[Path, ...],
    words: str | None,
    verbose: bool,
    fail_under: float | None,
    junit: Path | None,
) -> None:
    """Run suites of tests of policies: files, or all *.yaml in folders. How one is written:
    docs/testing-policies.md.

    A rule is covered when one test needs it to fire, another needs it to be silent on a request that it is
    about, and both pass. Exits with 0 when all tests pass, 1 when one fails or coverage is too low, 2 when
    a suite, its policy or its accounts cannot be read.
    """
    suites = _loaded(paths)
    collect_garbage_less()
    done = [(loaded, _suite(loaded, words, verbose=verbose)) for loaded in suites]
    done = [(loaded, outcomes) for loaded, outcomes in done if outcomes]
    if not done:
        raise click.UsageError(f"no test holds the words `{words}`")
    covered = coverage_of(done)
    low = [one for one in covered if fail_under is not None and 100 * one.share < fail_under]
    for one in covered:
        _show_coverage(one, verbose=verbose, low=one in low)
    if junit is not None:
        _write(junit, junit_of(done, covered, lambda failure: "\n".join(_failure(failure))))
    failed = _sum_up(done)
    if low:
        names = ", ".join(str(one.policy) for one in low)
        click.secho(f"coverage below {fail_under:g} %: {names}", fg="red", err=True)
    if failed or low:
        sys.exit(1)


def _loaded(paths: tuple[Path, ...]) -> list[LoadedSuite]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(path.rglob("*.yaml"))
        elif path.is_file():
            files.append(path)
        else:
            raise click.UsageError(f"{path}: no such file or folder")
    if not files:
        raise click.UsageError("no *.yaml files there")
    loaded: list[LoadedSuite] = []
    sound = True
    for file in files:
        try:
            loaded.append(load_suite(file))
        except SuiteError as error:
            sound = False
            for mistake in error.mistakes:
                click.secho(str(mistake), fg="red", err=True)
    if not sound:
        sys.exit(2)
    return loaded


def _suite(loaded: LoadedSuite, words: str | None, *, verbose: bool) -> list[Outcome]:
    wanted = [
        number
        for number, one in enumerate(loaded.suite.tests)
        if words is None or words.lower() in f"{loaded.path} {one.name}".lower()
    ]
    if wanted and verbose:
        click.secho(str(loaded.path), bold=True)
    outcomes: list[Outcome] = []
    for outcome in run(loaded, wanted):
        outcomes.append(outcome)
        _show(loaded, outcome, verbose=verbose)
    if outcomes and not verbose and all(one.passed for one in outcomes):
        click.echo(f"{loaded.path}: {len(outcomes)} passed")
    return outcomes


def _show(loaded: LoadedSuite, outcome: Outcome, *, verbose: bool) -> None:
    name = printable(outcome.test.name)
    if outcome.passed:
        if verbose:
            click.echo(f"  {click.style('passed', fg='green')}  {name}")
        return
    place = f"{loaded.path}:{outcome.line}:"
    click.echo(f"{click.style('FAILED', fg='red', bold=True)}  {place} {name}")
    for failure in outcome.failures:
        click.echo("\n".join(f"    {line}" for line in _failure(failure)))


def _failure(failure: Failure) -> list[str]:
    lines = [f"{failure.where}: expected of {failure.expected}", f"found {failure.found}"]
    if failure.told is not None:
        lines += [f"its request {failure.number}:", *(f"  {one}" for one in drawn(failure.told))]
    return lines


def _show_coverage(one: Coverage, *, verbose: bool, low: bool) -> None:
    count = f"{len(one.covered)} of {len(one.asked)} rules covered"
    if verbose or low:
        click.echo(f"{one.policy}: {count}")
        for rule in one.rules:
            lacks = one.lacks(rule)
            if lacks is not None or verbose:
                click.echo(f"  {'-' if lacks else '+'} {rule}{f': {lacks}' if lacks else ''}")


def _sum_up(done: Sequence[tuple[LoadedSuite, list[Outcome]]]) -> int:
    outcomes = [one for _, of_suite in done for one in of_suite]
    failed = sum(not one.passed for one in outcomes)
    requests = sum(one.requests for one in outcomes)
    covered = coverage_of(done)
    rules = (
        f"{sum(len(one.covered) for one in covered)} of {sum(len(one.asked) for one in covered)}"
    )
    click.secho(
        f"{len(outcomes) - failed} passed, {failed} failed, {requests:,} requests; {rules} rules covered",
        fg="red" if failed else "green",
    )
    return failed


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from None
