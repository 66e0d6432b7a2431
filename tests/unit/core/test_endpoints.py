"""Endpoints, and the addresses that may be spoken to."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.endpoints import (
    LONGEST_URL,
    Endpoint,
    Networks,
    Pause,
    check_url,
    endpoint_id,
    session_of,
)
from orchestrator.core.errors.webhooks import EndpointUrlRefusedError
from orchestrator.core.events import EventName
from tests.support.stories import NOON

ONE: Final = Endpoint(
    id="wh1", tenant_id="default", url="https://hooks.example/", created_at=NOON, secrets=("whsec_a",)
)
OPEN: Final = Networks()
INSIDE: Final = Networks.of(["10.1.0.0/16", "fd00::/8"])

PUBLIC: Final = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")
HIDDEN: Final = (
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - nobody binds to it here
    "0.1.2.3",
    "10.0.0.1",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001:db8::1",
    "2001::7f00:1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_internet_are_admitted(address: str) -> None:
    """By https only."""
    assert OPEN.admits(address, is_secure=True)
    assert not OPEN.admits(address, is_secure=False)


@pytest.mark.parametrize("address", HIDDEN)
def test_hidden_addresses_are_not(address: str) -> None:
    """Loopback, private, link-local, metadata, reserved, and all ways to write one of them inside another."""
    assert not OPEN.admits(address, is_secure=True)
    assert not Networks.of(["192.0.2.64/26"]).admits(address, is_secure=True)


def test_allowed_networks_are_admitted_by_either_scheme() -> None:
    """And nothing beside them."""
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:ec2::254"):
        assert INSIDE.admits(address, is_secure=False)
    assert not INSIDE.admits("10.2.0.1", is_secure=True)
    assert not INSIDE.admits("8.8.8.8", is_secure=False)


def test_what_is_no_network_is_refused() -> None:
    """At the start, not at the first delivery."""
    with pytest.raises(ValueError, match="has host bits set"):
        Networks.of(["10.1.0.1/16"])


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example",
        "https://hooks.example:8443/a/b?c=d%20e",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://xn--bcher-kva.example/",
        "https://a_b.example./",
    ],
)
def test_urls_of_the_internet_are_taken(url: str) -> None:
    """As they are written."""
    assert check_url(url, OPEN) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://hooks.example/", "use https"),
        ("ftp://hooks.example/", "begin it with https://"),
        ("hooks.example", "begin it with https://"),
        ("https://", "name a host"),
        ("https:///path", "name a host"),
        ("https://user:pass@hooks.example/", "leave user and password out"),
        ("https://@hooks.example/", "leave user and password out"),
        ("https://hooks.example/#part", "name a host and a path"),
        ("https://hooks.example:99999/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://höks.example/", "printable ASCII"),
        ("https://hooks.example/a b", "printable ASCII"),
        ("https://hooks.example/\n", "printable ASCII"),
        ("", "printable ASCII"),
        ("https://hooks.example/" + "a" * LONGEST_URL, "at most"),
        ("https://localhost/", "not on the Internet"),
        ("https://metadata.google.internal/", "not on the Internet"),
        ("https://x.localhost/", "not on the Internet"),
        *(
            (f"https://[{address}]/" if ":" in address else f"https://{address}/", "its address is not")
            for address in HIDDEN
            if "%" not in address
        ),
    ],
)
def test_other_urls_are_refused_with_the_reason(url: str, why: str) -> None:
    """Before anything is connected."""
    with pytest.raises(EndpointUrlRefusedError, match=why):
        check_url(url, OPEN)


def test_allowed_networks_allow_http() -> None:
    """Where a name leads is found out later, where an address lies at once."""
    assert check_url("http://10.1.2.3:3000/", INSIDE)
    assert check_url("http://receiver.default.svc/", INSIDE)
    assert check_url("https://localhost/", INSIDE)
    with pytest.raises(EndpointUrlRefusedError):
        check_url("http://8.8.8.8/", INSIDE)


def test_an_endpoint_hears_of_what_it_wants() -> None:
    """Of outcomes, unless it says otherwise."""
    few = replace(ONE, events=frozenset({EventName.POPUP_OPENED}))

    assert ONE.wants(EventName.ZAP_CREATED)
    assert not ONE.wants(EventName.POPUP_OPENED)
    assert few.wants(EventName.POPUP_OPENED)


def test_two_secrets_live_at_a_time() -> None:
    """The newest first; a third one ends the oldest."""
    renewed = ONE.renew("whsec_b", asked_by=None).renew("whsec_c", asked_by="r1")

    assert renewed.secrets == ("whsec_c", "whsec_b")
    assert renewed.asked_by == "r1"
    assert "whsec" not in repr(renewed)


def test_the_first_reason_for_a_pause_stays() -> None:
    """Until it listens again."""
    paused = ONE.pause(Pause.GONE, now=NOON).pause(Pause.REQUESTED, now=NOON + 1)

    assert (paused.paused, paused.paused_at) == (Pause.GONE, NOON)
    assert paused.resume() == ONE


def test_an_id_says_whose_it_is() -> None:
    """A session's names it; anything else is a tenant's."""
    session_id = "zs03abcdefghij"

    assert session_of(endpoint_id("abc", session_id)) == session_id
    assert [session_of(text) for text in (endpoint_id("abc", None), "", "wh-", "wh-zsxx-a", f"x-{session_id}-a")] == [
        None
    ] * 5
