"""Which links lead to the API, and where its endpoints are."""

import httpx
import pytest

from orchestrator.zapier.address import ApiAddress, offset_of

HERE = "https://zapier.test/v2/authentications?app=a"


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://zapier.test/v2/authentications?offset=10", "https://zapier.test/v2/authentications?offset=10"),
        ("https://zapier.test:443/v2/x", "https://zapier.test/v2/x"),
        ("HTTPS://ZAPIER.TEST/v2/x", "https://zapier.test/v2/x"),
        ("/v2/authentications?offset=10", "https://zapier.test/v2/authentications?offset=10"),
        ("?offset=10", "https://zapier.test/v2/authentications?offset=10"),
        ("https://zapier.test/v2/x#here", "https://zapier.test/v2/x"),
    ],
)
def test_a_link_to_the_api_is_followed(link: str, url: str) -> None:
    """Same scheme, host and port, however they are spelt."""
    found = ApiAddress("https://zapier.test").own(link, seen_on=httpx.URL(HERE))

    assert httpx.URL(url) == found


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.test/v2/x",
        "//elsewhere.test/v2/x",
        "http://zapier.test/v2/x",
        "https://zapier.test:8443/v2/x",
        "https://ann:secret@zapier.test/v2/x",
        "https://zapier.test@elsewhere.test/v2/x",
        "https://zapier.test\\@elsewhere.test/v2/x",
        "https://zapier.test.elsewhere.test/v2/x",
        "javascript:alert(1)",
        "https://[::1/v2/x",
        "https://zapier.test:port/v2/x",
        "\x00",
        "\ud800",
        "x" * 70_000,
    ],
)
def test_a_link_to_any_other_place_is_not_followed(link: str) -> None:
    """The user's token goes nowhere but to the API."""
    assert ApiAddress("https://zapier.test").own(link, seen_on=httpx.URL(HERE)) is None


def test_behind_a_path_links_stay_behind_it() -> None:
    """An API that lives under a path shares its host with others."""
    address = ApiAddress("https://gateway.test/zapier/")

    assert str(address.endpoint("/v2/apps")) == "https://gateway.test/zapier/v2/apps"
    assert address.own("https://gateway.test/other/v2/apps", seen_on=address.endpoint("/v2/apps")) is None
    assert address.own("https://gateway.test/zapier/../other", seen_on=address.endpoint("/v2/apps")) is None


@pytest.mark.parametrize(
    "base_url",
    [
        "zapier.test",
        "ftp://zapier.test",
        "https://",
        "https://a:b@zapier.test",
        "https://zapier.test?x=1",
        "\x00",
        "https://zapier.test/v2/",
    ],
)
def test_an_address_that_is_none_is_refused(base_url: str) -> None:
    """A mistake in a setting is an error at the start, not a failing call later."""
    with pytest.raises(ValueError, match="address"):
        ApiAddress(base_url)


@pytest.mark.parametrize(
    ("query", "offset"),
    [
        ("offset=20", 20),
        ("offset=0", 0),
        ("", None),
        ("offset=-1", None),
        ("offset=²", None),
        ("offset=9999999999", None),
    ],
)
def test_an_offset_is_a_plain_number(query: str, offset: int | None) -> None:
    """Anything else is no offset."""
    assert offset_of(httpx.URL(f"https://zapier.test/v2/apps?{query}")) == offset
