"""The document of switches: defaults, merging, refusals."""

from typing import Any

import msgspec
import pytest

from simulator.apps import CATALOGUE
from simulator.switches import SwitchError, Switches, changed, merged, parse_switches

SLACK = next(app for app in CATALOGUE.apps if app.title == "Slack")


def switches(document: object = None) -> Switches:
    """Parse a document."""
    return parse_switches(document or {}, catalogue=CATALOGUE)


def test_the_defaults_are_what_is_documented() -> None:
    """60 and 150 a minute, pages of 10, bare Zaps, integers."""
    defaults = switches()

    assert (
        defaults.limits.ip,
        defaults.limits.partner,
        defaults.limits.window_ms,
        defaults.limits.cooldown_ms,
    ) == (60, 150, 60_000, 60_000)
    assert (
        defaults.paging.default,
        defaults.paging.max,
        defaults.answers.zap,
        defaults.answers.error_status,
    ) == (10, 25, "bare", "integer")


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_rfc_7396_says(target: Any, patch: Any, result: Any) -> None:
    """The examples of the RFC's appendix."""
    assert result == merged(target, patch)


def test_a_patch_changes_only_what_it_names() -> None:
    """Every other switch stays as it was set before."""
    before = changed(switches(), {"limits": {"ip": 5}}, catalogue=CATALOGUE)
    after = changed(before, {"answers": {"unknown": 404}}, catalogue=CATALOGUE)

    assert (after.limits.ip, after.limits.partner, after.answers.unknown) == (5, 150, 404)


def test_null_takes_a_switch_back_to_its_default() -> None:
    """One switch, a section, or a rule."""
    before = switches({"limits": {"ip": 5, "partner": 6}, "rules": {"slow": {"fault": "slow", "ms": 1}}})
    after = changed(before, {"limits": {"ip": None}, "rules": {"slow": None}}, catalogue=CATALOGUE)

    assert (after.limits.ip, after.limits.partner, after.rules) == (60, 6, {})


def test_a_document_survives_a_round_trip() -> None:
    """What GET shows may be sent back."""
    before = switches(
        {"apps": {"slack": {"reconnect": "new_id"}}, "rules": {"r": {"fault": "status", "status": 503, "app": "Slack"}}}
    )

    assert before == switches(msgspec.to_builtins(before))


def test_a_rule_that_says_its_fault_replaces_the_rule_of_its_name() -> None:
    """Members of the former fault do not get in the way."""
    before = switches({"rules": {"r": {"fault": "status", "status": 503, "times": 2}}})
    after = changed(before, {"rules": {"r": {"fault": "slow", "ms": 5}}}, catalogue=CATALOGUE)

    assert after == switches({"rules": {"r": {"fault": "slow", "ms": 5}}})


def test_a_rule_that_does_not_say_its_fault_changes_the_rule_of_its_name() -> None:
    """One member can be changed alone."""
    before = switches({"rules": {"r": {"fault": "status", "status": 503, "times": 2}}})
    after = changed(before, {"rules": {"r": {"status": 500}}}, catalogue=CATALOGUE)

    assert after == switches({"rules": {"r": {"fault": "status", "status": 500, "times": 2}}})


def test_apps_are_named_by_title_and_kept_by_id() -> None:
    """So that a patch by title finds what another set by id."""
    before = switches({"apps": {SLACK.id: {"listed_after_ms": 5}}})
    after = changed(before, {"apps": {"SLACK": {"reconnect": "new_id"}}}, catalogue=CATALOGUE)

    assert (after.listed_after_ms(SLACK.id), after.reconnection(SLACK.id)) == (5, "new_id")
    assert (after.listed_after_ms("other"), after.reconnection("other")) == (0, "keeps_id")


def test_an_app_without_switches_of_its_own_follows_the_rest() -> None:
    """An app's section need not say everything."""
    document = {"authentications": {"listed_after_ms": 7, "reconnect": "new_id"}, "apps": {"Slack": {}}}

    assert (
        switches(document).listed_after_ms(SLACK.id),
        switches(document).reconnection(SLACK.id),
    ) == (7, "new_id")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "Expected `object`, got `array`"),
        ({"limit": {}}, "unknown field `limit`"),
        ({"limits": {"ip": -1}}, "Expected `int` >= 0 - at `$.limits.ip`"),
        ({"limits": {"ip": "5"}}, "Expected `int`, got `str` - at `$.limits.ip`"),
        ({"limits": {"retry_after": "never"}}, "Invalid enum value 'never' - at `$.limits.retry_after`"),
        ({"paging": {"default": 30}}, "`default` must not exceed `max` - at `$.paging`"),
        ({"apps": {"Slak": {}}}, "No app is called 'Slak' - at `$.apps`"),
        ({"rules": {"r": {}}}, "missing required field `fault`"),
        ({"rules": {"r": {"fault": "flood"}}}, "Invalid value 'flood'"),
        ({"rules": {"r": {"fault": "status"}}}, "missing required field `status`"),
        ({"rules": {"r": {"fault": "status", "status": 200}}}, "Expected `int` >= 400"),
        ({"rules": {"r": {"fault": "hang", "ms": 5}}}, "unknown field `ms`"),
        ({"rules": {"r": {"fault": "hang", "times": 0}}}, "Expected `int` >= 1"),
        ({"rules": {"r": {"fault": "hang", "probability": 1.5}}}, "<= 1"),
        ({"rules": {"r": {"fault": "hang", "endpoint": "GET /v2/zap"}}}, "Invalid enum value"),
        ({"rules": {"r": {"fault": "hang", "app": "Slak"}}}, "No app is called 'Slak' - at `$.rules.r.app`"),
        ({"rules": {"r": {"fault": "hang", "app": 5}}}, "Expected `str | null`, got `int`"),
        ({"rules": {"r": 5}}, "Expected `object`, got `int`"),
        ({"rules": {"": {"fault": "hang"}}}, "'' is no name for a rule"),
        ({"rules": {"r": {"fault": "shift", "endpoint": "GET /v2/actions"}}}, "Such a rule meets"),
        ({"rules": {"r": {"fault": "hang", "endpoint": "POST /v2/zaps", "app": "Slack"}}}, "Such a rule meets"),
    ],
)
def test_a_bad_document_is_refused_with_the_place_that_is_wrong(document: object, message: str) -> None:
    """Nobody should have to guess which switch was misspelt."""
    with pytest.raises(SwitchError) as refused:
        parse_switches(document, catalogue=CATALOGUE)

    assert message in str(refused.value)


def test_a_patch_that_is_no_object_is_refused() -> None:
    """It would replace everything."""
    with pytest.raises(SwitchError):
        changed(switches(), [], catalogue=CATALOGUE)
