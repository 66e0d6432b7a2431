"""What a request to create a Zap must hold (Zapier docs: create a Zap), and what is wrong with one that does not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from simulator.answers import MALFORMED, Problem, RefusedError
from simulator.forms import form_of, outputs, references, wrong_with
from simulator.switches import Actions, Zaps
from simulator.world import FoundAction, World, ZapStep

LONGEST_ALIAS: Final = 64
_STEPS_WITHOUT_ALIASES: Final = 2
_ALIAS: Final = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class UnknownProblem(Problem):
    """A problem with something that is not there: an action that is stale, an authentication of somebody else."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A Zap that may be created."""

    title: str
    steps: list[ZapStep]


@dataclass(frozen=True, slots=True)
class DraftReader:
    """Reads drafts as one account sees the world at one moment."""

    world: World
    owner: str
    now: int
    actions: Actions
    unknown: int  #: the status for what is not there
    checks_inputs: bool = False
    most_steps: int = Zaps().most_steps

    def read(self, body: Any) -> Draft:  # noqa: ANN401 - JSON has no closer type
        """Return the draft in a request's body. Raises RefusedError with everything that is wrong."""
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict):
            raise RefusedError(400, MALFORMED)
        problems = [*_title_problems(data), *self._steps_problems(data.get("steps"))]
        if not problems and self.checks_inputs:
            problems = list(self._inputs_problems(data["steps"]))
        if problems:
            only_unknown = all(isinstance(problem, UnknownProblem) for problem in problems)
            raise RefusedError(self.unknown if only_unknown else 400, *problems)
        return Draft(title=data["title"], steps=[self._step(step) for step in data["steps"]])

    def _step(self, step: dict[str, Any]) -> ZapStep:
        found = self._action(step["action"])
        assert found is not None, "a step is made after its action was found"  # noqa: S101
        return ZapStep(
            app=found.app.id,
            key=found.action.key,
            action_type=found.action.action_type,
            action=step["action"],
            authentication=step["authentication"],
            alias=step.get("alias"),
            inputs=step["inputs"],
        )

    def _action(self, action_id: str) -> FoundAction | None:
        return self.world.action(action_id, now=self.now, actions=self.actions)

    def _steps_problems(self, steps: Any) -> Iterator[Problem]:  # noqa: ANN401
        if not isinstance(steps, list) or not 1 <= len(steps) <= self.most_steps:
            yield Problem.at("/data/steps", f"Expected a list of 1 to {self.most_steps} steps.")
            return
        aliases: set[str] = set()
        for position, step in enumerate(steps):
            pointer = f"/data/steps/{position}"
            if not isinstance(step, dict):
                yield Problem.at(pointer, "Expected an object.")
                continue
            yield from self._step_problems(step, pointer)
            yield from _alias_problems(step.get("alias"), aliases, f"{pointer}/alias")

    def _inputs_problems(self, steps: list[dict[str, Any]]) -> Iterator[Problem]:
        """Say what is wrong with fields, and which references name nothing of an earlier step."""
        uses_aliases = len(steps) > _STEPS_WITHOUT_ALIASES
        earlier: dict[str | None, set[str]] = {}
        for position, step in enumerate(steps):
            found = self._action(step["action"])
            assert found is not None, "it was found before"  # noqa: S101
            form = form_of(found.app, found.action)
            pointer = f"/data/steps/{position}/inputs"
            for name, complaint in wrong_with(form, step["inputs"]):
                yield Problem.at(f"{pointer}/{name}", complaint)
            for name, value in step["inputs"].items():
                for reference in references(value):
                    alias, _, output = reference.partition(".") if uses_aliases else (None, "", reference)
                    if output not in earlier.get(alias, set()):
                        yield Problem.at(f"{pointer}/{name}", f"{reference!r} is no output of an earlier step.")
            earlier[step.get("alias") if uses_aliases else None] = {output for output, _ in outputs(form.sample)}

    def _step_problems(self, step: dict[str, Any], pointer: str) -> Iterator[Problem]:
        for name in ("action", "inputs", "authentication"):
            if name not in step:
                yield Problem.at(f"{pointer}/{name}", "This field is required.")
        if not isinstance(step.get("inputs", {}), dict):
            yield Problem.at(f"{pointer}/inputs", "Expected an object.")
        action_id = step.get("action", "")
        if not isinstance(action_id, str):
            yield Problem.at(f"{pointer}/action", "Expected a string.")
            return
        found = self._action(action_id)
        if found is None:
            if "action" in step:
                yield UnknownProblem.at(f"{pointer}/action", "No action has this id, or not any longer.")
        elif "authentication" in step:
            yield from authentication_problems(
                self.world,
                step["authentication"],
                found,
                f"{pointer}/authentication",
                owner=self.owner,
                now=self.now,
            )


def authentication_problems(
    world: World,
    given: Any,  # noqa: ANN401 - JSON has no closer type
    found: FoundAction,
    pointer: str,
    *,
    owner: str,
    now: int,
) -> Iterator[Problem]:
    """Say what is wrong with the authentication that an action is to be used with."""
    if not found.app.needs_authentication:
        if given is not None:
            yield Problem.at(pointer, f"{found.app.title} needs no authentication: null is expected.")
        return
    if not isinstance(given, str):
        yield Problem.at(pointer, f"{found.app.title} needs an authentication.")
        return
    authentication = world.authentication(given)
    if (
        authentication is None
        or authentication.owner != owner
        or authentication.app != found.app.id
        or authentication.listed_at > now
    ):
        yield UnknownProblem.at(pointer, "No authentication of yours for this app has this id.")
    elif authentication.is_expired:
        yield Problem.at(pointer, "This authentication has expired and must be reconnected.")


def _title_problems(data: dict[str, Any]) -> Iterator[Problem]:
    title = data.get("title")
    if not isinstance(title, str) or not title.strip():
        yield Problem.at("/data/title", "Expected a title.")


def _alias_problems(alias: Any, taken: set[str], pointer: str) -> Iterator[Problem]:  # noqa: ANN401
    if alias is None:
        return
    if not isinstance(alias, str) or len(alias) > LONGEST_ALIAS or not _ALIAS.fullmatch(alias):
        yield Problem.at(pointer, f"Expected snake_case, at most {LONGEST_ALIAS} characters.")
    elif alias in taken:
        yield Problem.at(pointer, "Another step has this alias.")
    else:
        taken.add(alias)
