"""Links are found by their token's digest, and browsers named by codes that people can read out."""

import re

import pytest

from orchestrator.core.decide import decide
from orchestrator.core.links import code_meant, code_of, find
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


@pytest.mark.parametrize("text", ["3S1A-T0FH", "3s1at0fh", " 3S1A T0FH ", "3siat0fh", "3SLA-TOFH"])
def test_a_code_is_understood_however_it_is_written(text: str) -> None:
    """With the dash of the page or without, in any case, and with the letters that look like what it has."""
    assert code_meant(text) == "3S1AT0FH"


@pytest.mark.parametrize("text", ["", "order-7", "3S1A-T0F", "3S1A-T0FU", "3S1A-T0FHH"])
def test_what_cannot_be_a_code_is_not_taken_for_one(text: str) -> None:
    """It is looked for as it is alone."""
    assert code_meant(text) is None
