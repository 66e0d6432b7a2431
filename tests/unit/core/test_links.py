"""Links are found by their token's digest, and browsers named by codes that people can read out."""

import re

from orchestrator.core.decide import decide
from orchestrator.core.links import code_of, find
from orchestrator.core.schedule import Policy
from orchestrator.core.session import MINUTE
from orchestrator.core.signals import ConnectLinkMade
from tests.support.stories import NOON, Story


def test_a_link_is_found_by_its_tokens_digest_alone() -> None:
    """Whichever step it is of."""
    story = Story("s1", "s2").choose("slack", "old", step_id="s2")
    made = ConnectLinkMade(step_id="s2", link_id="l1", digest="d1", ttl=MINUTE)
    session = decide(story.session, made, policy=Policy(), now=NOON).session
    found = find(session, "d1")

    assert found is not None
    assert (found[0].id, found[1].id) == ("s2", "l1")
    assert find(session, "d2") is None


def test_codes_can_be_read_out() -> None:
    """Eight letters and digits, none of which is easily taken for another; each browser has its own."""
    codes = {code_of(f"id{number}") for number in range(200)}

    assert len(codes) == 200
    assert all(re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{8}", code) for code in codes)
