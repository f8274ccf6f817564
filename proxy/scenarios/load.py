"""load: a YAML file → a suite with its policy and accounts, or every mistake in it, each with its place."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from proxy.client.accounts import Account, load_accounts
from proxy.errors import ConfigurationError
from proxy.nearest import nearest
from proxy.policy.load import PolicyError, load
from proxy.policy.mistake import Mistake
from proxy.policy.model import Policy
from proxy.policy.places import Spot, validate
from proxy.policy.suspicion import NAME as SUSPICION
from proxy.policy.yamltree import Path as Place
from proxy.policy.yamltree import Tree, read_tree
from proxy.scenarios.expect import ALL_RULES, Expectation
from proxy.scenarios.model import Burst, Suite
from proxy.scenarios.request import Send
from proxy.scenarios.surroundings import NamedAccount
from proxy.scenarios.wire import unsayable

GATES = ("keys", "unknown_routes", "uninspectable")
"""What decides without being a rule of the policy."""


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A suite with all that it names."""

    path: Path
    suite: Suite
    policy: Policy
    policy_path: Path
    accounts: Mapping[str, Account]
    """By name."""
    lines: tuple[int, ...]
    """Where each test begins."""


class SuiteError(Exception):
    """A suite that cannot be run, with every mistake that it, its policy or its accounts hold."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def load_suite(path: Path) -> LoadedSuite:
    """Load a suite and the files that it names. Raises SuiteError with all mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SuiteError((Mistake(str(path), 1, 1, "the file is not UTF-8"),)) from None
    except OSError as error:
        reason = f"cannot be read: {error.strerror or 'unreadable'}"
        raise SuiteError((Mistake(str(path), 1, 1, reason),)) from None
    tree = read_tree(text, str(path))
    suite = _suite(tree)
    if suite is None or tree.mistakes:
        raise SuiteError(tuple(sorted(tree.mistakes)))
    policy_path = Path(os.path.normpath(path.parent / suite.policy))
    policy = _policy(tree, policy_path)
    accounts = _accounts(tree, path.parent, suite)
    if policy is not None:
        _Check(tree, suite, policy, accounts).all()
    if tree.mistakes or policy is None or accounts is None:
        raise SuiteError(tuple(sorted(set(tree.mistakes))))
    lines = tuple(tree.place(("tests", at, "name"))[0] for at in range(len(suite.tests)))
    return LoadedSuite(path, suite, policy, policy_path, accounts, lines)


def _suite(tree: Tree) -> Suite | None:
    data = tree.data
    if not tree.mistakes and not isinstance(data, dict):
        tree.mistake((), "a suite holds named fields: `policy`, `tests`, …")
    if not isinstance(data, dict) or tree.mistakes:
        return None
    _refuse_nothing(tree, data, ())
    _list_lone_expectations(tree, data)
    return validate(Spot(tree), Suite, data)


def _refuse_nothing(tree: Tree, given: Any, place: Place) -> None:
    """A field without a value is a slip; only a body may hold null."""
    if isinstance(given, dict):
        for key, inner in given.items():
            if inner is None and "body" not in place:
                message = f"`{key}` has no value: give it one or leave it out"
                tree.mistake((*place, key), message, key=True)
            _refuse_nothing(tree, inner, (*place, key))
    elif isinstance(given, list):
        for at, inner in enumerate(given):
            _refuse_nothing(tree, inner, (*place, at))


def _list_lone_expectations(tree: Tree, data: dict[str, Any]) -> None:
    """One expectation may stand without a list's dash; its fields keep their places."""
    tests = data.get("tests")
    for at, test in enumerate(tests if isinstance(tests, list) else []):
        _list_lone(tree, test, ("tests", at))
        steps = test.get("steps") if isinstance(test, dict) else None
        for number, step in enumerate(steps if isinstance(steps, list) else []):
            place: Place = ("tests", at, "steps", number)
            _list_lone(tree, step, place)
            bursts = step.get("together") if isinstance(step, dict) else None
            for order, burst in enumerate(bursts if isinstance(bursts, list) else []):
                _list_lone(tree, burst, (*place, "together", order))


def _list_lone(tree: Tree, holder: Any, place: Place) -> None:
    if not isinstance(holder, dict) or not isinstance(holder.get("expect"), dict):
        return
    holder["expect"] = [holder["expect"]]
    stem = (*place, "expect")
    for places in (tree.values, tree.keys):
        for path in [one for one in places if one[: len(stem)] == stem]:
            if path != stem or places is tree.values:
                places[(*stem, 0, *path[len(stem) :])] = places[path]


def _policy(tree: Tree, path: Path) -> Policy | None:
    try:
        return load(path)
    except PolicyError as error:
        if len(error.mistakes) == 1 and error.mistakes[0].message.startswith("cannot be read"):
            tree.mistake(("policy",), f"`{path}` {error.mistakes[0].message}")
        else:
            tree.mistakes += error.mistakes
        return None


def _accounts(tree: Tree, folder: Path, suite: Suite) -> dict[str, Account] | None:
    named: dict[str, Account] = {}
    if suite.accounts_file is not None:
        try:
            listed = load_accounts(folder / suite.accounts_file).listed
        except ConfigurationError as error:
            tree.mistake(("accounts_file",), str(error))
            return None
        named |= {one.account: one for one in listed}
    for at, one in enumerate(suite.accounts):
        if one.account in named:
            tree.mistake(("accounts", at, "account"), f"`{one.account}` stands here twice")
        named[one.account] = _account(one, one.account)
        for number in range(one.many or 0):
            name = f"{one.account}-{number}"
            named[name] = _account(one, name)
    return named


def _account(one: NamedAccount, name: str) -> Account:
    since = None
    if one.since is not None:
        day = datetime.date.fromisoformat(one.since)
        since = datetime.datetime.combine(day, datetime.time(), datetime.UTC).timestamp()
    return Account(name, one.tier, one.profile, tuple(map(ip_network, one.networks)), since)


class _Check:
    """What only the suite, its policy and its accounts together can tell."""

    def __init__(
        self, tree: Tree, suite: Suite, policy: Policy, accounts: Mapping[str, Account] | None
    ) -> None:
        self._tree = tree
        self._suite = suite
        self._accounts = accounts
        self._rules = [rule.name for rule in policy.rules]
        self._exemptions = [one.name for one in policy.exemptions]

    def all(self) -> None:
        """Note every mistake in the tree."""
        suite = self._suite
        names: dict[str, int] = {}
        if suite.defaults is not None:
            self._send(suite.defaults, ("defaults",))
        for rule in suite.uncovered:
            self._known(rule, self._rules, ("uncovered", rule), "rule", key=True)
        for at, test in enumerate(suite.tests):
            place: Place = ("tests", at)
            if test.name in names:
                message = f"test {names[test.name] + 1} has this name already"
                self._tree.mistake((*place, "name"), message)
            names.setdefault(test.name, at)
            self._expectations(test.expect, place)
            for number, step in enumerate(test.steps):
                within: Place = (*place, "steps", number)
                if step.together is None:
                    self._bursts(step.bursts, within, ())
                else:
                    self._bursts(step.together, within, ("together",))

    def _bursts(self, bursts: tuple[Burst, ...], place: Place, more: Place) -> None:
        for order, burst in enumerate(bursts):
            at = (*place, *more, order) if more else place
            self._send(burst.send, (*at, "send"))
            self._expectations(burst.expect, at)

    def _send(self, send: Send, place: Place) -> None:
        over = send.over(self._suite.defaults)
        named = send.account
        for at, name in enumerate((named,) if isinstance(named, str) else named or ()):
            if "{" not in name and self._accounts is not None and name not in self._accounts:
                message = f"no account is called `{name}` in this suite"
                where = (*place, "account") if isinstance(named, str) else (*place, "account", at)
                self._tree.mistake(where, message, nearest(name, self._accounts))
        if not isinstance(over.body, str) and (field := unsayable(over)) is not None:
            message = f"`{field}` has no field in what is sent to `{over.to}`: write it into `body`"
            self._tree.mistake((*place, field), message, key=True)

    def _expectations(self, expected: tuple[Expectation, ...], place: Place) -> None:
        for at, one in enumerate(expected):
            here: Place = (*place, "expect", at)
            for field, name in one.named:
                known = [*self._rules, SUSPICION]
                known += [ALL_RULES] if field == "silent" else list(GATES)
                self._known(name, known, (*here, field), "rule")
            for name in one.exempted_by or ():
                self._known(name, self._exemptions, (*here, "exempted_by"), "exemption")

    def _known(
        self, name: str, known: list[str], place: Place, what: str, *, key: bool = False
    ) -> None:
        if name not in known:
            message = f"no {what} of the policy is called `{name}`"
            self._tree.mistake(place, message, nearest(name, known), key=key)
