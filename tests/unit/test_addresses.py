"""Addresses of stores: what is understood, and what is refused in which words."""

from __future__ import annotations

import pytest

from orchestrator.addresses import BehindSentinels, OnCluster, OneServer, read_address


@pytest.mark.parametrize(
    "url", ["redis://h", "redis://u:p@h:1/2?socket_keepalive=yes", "rediss://h", "unix:///run/valkey.sock?db=1"]
)
def test_one_server_has_the_address_that_was_given(url: str) -> None:
    """These forms are redis-py's."""
    assert read_address(url) == OneServer(url)


def test_sentinels_have_hosts_and_a_service() -> None:
    """Who we are is said to the servers, not to the sentinels; ports and database have defaults."""
    address = read_address("redis+sentinel://user:p%40ss@one:1,two,[::1]:3/prime")

    assert isinstance(address, BehindSentinels)
    assert address.hosts == (("one", 1), ("two", 26379), ("::1", 3))
    assert address.service == "prime"
    assert address.servers.url(("::1", 6)) == "redis://user:p%40ss@[::1]:6/"
    assert address.sentinels.url(("one", 1)) == "redis://one:1/"


def test_sentinels_may_want_to_know_us_too() -> None:
    """By two options; the others are for both, and so is TLS."""
    url = "rediss+sentinel://:p@h/s/5?sentinel_password=a%2Fb&sentinel_username=w&ssl_ca_certs=/ca.pem"
    address = read_address(url)

    assert isinstance(address, BehindSentinels)
    assert address.servers.url(("h", 6)) == "rediss://:p@h:6/5?ssl_ca_certs=%2Fca.pem"
    assert address.sentinels.url(("h", 7)) == "rediss://w:a%2Fb@h:7/?ssl_ca_certs=%2Fca.pem"


def test_a_cluster_has_hosts() -> None:
    """Any number; options go to every node."""
    address = read_address("rediss+cluster://u:p@one,two:7000/0?ssl_cert_reqs=none")

    assert isinstance(address, OnCluster)
    assert address.hosts == (("one", 6379), ("two", 7000))
    assert address.nodes.url(("three", 1)) == "rediss://u:p@three:1/?ssl_cert_reqs=none"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "begins with one of redis://"),
        ("store.test:6379", "begins with one of redis://"),
        ("valkey://:hush@h", "begins with one of redis://"),
        ("redis+sentinel://:hush@h:1", "needs the name of the service"),
        ("redis+sentinel://:hush@h:1/s/x", "database that is no number"),
        ("redis+sentinel://:hush@h:hush/s", "no host:port \\(number 1\\)"),
        ("redis+sentinel://:hush@h,,i/s", "lacks a host \\(number 2\\)"),
        ("redis+cluster://:hush@", "lacks a host \\(number 1\\)"),
        ("redis+cluster://:hush@h:99999", "no host:port \\(number 1\\)"),
        ("redis+cluster://:hush@h/1", "a cluster only one database"),
    ],
)
def test_a_bad_address_is_refused_in_clear_words(url: str, problem: str) -> None:
    """Which never repeat what may be secret."""
    with pytest.raises(ValueError, match=problem) as refused:
        read_address(url)

    assert "hush" not in str(refused.value)


def test_an_address_does_not_print_its_secrets() -> None:
    """Whatever its kind."""
    urls = ["redis://:hush@h", "redis+sentinel://:hush@h/s?sentinel_password=hush", "redis+cluster://:hush@h?x=hush"]

    assert "hush" not in repr([read_address(url) for url in urls])
