"""The catalogue."""

import uuid

import pytest

from simulator.apps import ACTION_TYPES, CATALOGUE, App


def test_there_are_enough_apps_with_and_without_authentication() -> None:
    """Lists need several pages, and steps both kinds of app."""
    without = {app.title for app in CATALOGUE.apps if not app.needs_authentication}

    assert len(CATALOGUE.apps) >= 30
    assert without == {"Webhooks", "Filter", "Code", "Schedule", "Formatter", "Delay"}


@pytest.mark.parametrize("app", CATALOGUE.apps, ids=lambda app: str(app.slug))
def test_an_app_is_complete(app: App) -> None:
    """Every app can be shown, can begin a Zap and can go on in one."""
    assert uuid.UUID(app.id).version == 5
    assert len(app.hex_color) == 6
    assert int(app.hex_color, 16) >= 0
    assert app.categories
    assert app.description
    assert {"READ", "WRITE"} <= set(app.action_types) <= set(ACTION_TYPES)


def test_names_are_unique() -> None:
    """An app is found by id, title, picture or connect link, and an action by its key."""
    apps = CATALOGUE.apps

    assert len({app.id for app in apps}) == len({app.title.casefold() for app in apps}) == len(apps)
    assert len({app.slug for app in apps}) == len(apps)
    assert len({app.implementation for app in apps}) == sum(app.needs_authentication for app in apps) + 1
    assert len({(app.id, action.key, action.action_type) for app, action in CATALOGUE.actions}) == len(
        CATALOGUE.actions
    )


def test_only_reading_actions_are_instant() -> None:
    """The reference says so, whatever its examples show."""
    instant = {action.action_type for _, action in CATALOGUE.actions if action.is_instant}

    assert instant == {"READ"}


def test_an_app_is_found_by_title_in_any_case_and_by_id() -> None:
    """People type titles, programs send ids."""
    slack = CATALOGUE.find("Slack")

    assert slack is not None
    assert slack is CATALOGUE.find("sLACK")
    assert slack is CATALOGUE.find(slack.id.upper())
    assert CATALOGUE.find("Slak") is None


def test_an_action_is_found_by_its_lasting_names() -> None:
    """Ids change; these do not."""
    slack = CATALOGUE.find("Slack")
    assert slack is not None

    assert CATALOGUE.action(slack.id, "channel_message", "WRITE") in slack.actions
    assert CATALOGUE.action(slack.id, "channel_message", "READ") is None
