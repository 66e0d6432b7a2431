"""What our logs say of calls to Zapier, as they are really written."""

import io
import json

import pytest

from orchestrator import logs
from orchestrator.settings import Settings
from tests.integration.zapier.conftest import Neighbours


@pytest.fixture
def written() -> io.StringIO:
    """Everything that is logged while a test runs, in JSON and in every detail."""
    stream = io.StringIO()
    logs.configure(Settings(log_level="debug", log_format="json"), stream=stream)
    return stream


async def test_a_log_shows_calls_and_never_what_they_were_about(neighbours: Neighbours, written: io.StringIO) -> None:
    """One line for each call: no query, no token, from us or from a library."""
    credential = await neighbours.sign_in()
    await neighbours.client.apps(credential, query="salaries", cursor=None)
    await neighbours.client.authentications(credential, neighbours.app_id("Slack"))
    lines = [json.loads(line) for line in written.getvalue().splitlines()]

    calls = [(line["endpoint"], line["status"]) for line in lines if line["event"] == "upstream_call"]
    assert calls == [("GET /v2/apps", 200), ("GET /v2/authentications", 200)]
    assert "salaries" not in written.getvalue()
    assert credential.access_token not in written.getvalue()
