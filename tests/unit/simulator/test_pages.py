"""What a browser sees."""

import re

from tests.support.simulation import Simulation, zap


async def test_a_connect_link_of_no_app_leads_nowhere(sim: Simulation) -> None:
    """404, and nothing of the address on the page."""
    async with sim.client() as client:
        page = await client.get("/engine/auth/start/<b>@1")

    assert page.status_code == 404
    assert "<b>" not in page.text


async def test_its_address_alone_says_what_it_is(sim: Simulation) -> None:
    """And each link on that page leads somewhere."""
    async with sim.client() as client:
        page = await client.get("/")
        links = re.findall(r'<a href="([^"]+)"', page.text)
        found = [(await client.get(link)).status_code for link in links]

    assert page.status_code == 200
    assert "simulator of Zapier’s Partner API" in page.text
    assert found == [200, 200, 200]


async def test_an_editor_link_leads_to_its_zap(sim: Simulation) -> None:
    """Whose title may hold anything."""
    created = (await sim.post("/v2/zaps", zap(await sim.step("Webhooks"), title="<b>T</b>"))).json()
    async with sim.client() as client:
        page = await client.get(created["links"]["html_editor"])
        other = await client.get("/editor/5")

    assert page.status_code == 200
    assert "&lt;b&gt;T&lt;/b&gt;" in page.text
    assert "<b>" not in page.text
    assert other.status_code == 404


async def test_an_app_has_a_picture_in_every_size(sim: Simulation) -> None:
    """Drawn, not fetched from anywhere."""
    app = (await sim.get("/v2/apps", query="Slack")).json()["data"][0]
    async with sim.client() as client:
        pictures = [await client.get(url) for url in (app["image"], *app["images"].values())]
        odd = await client.get(f"{app['image']}?size=9999")
        missing = await client.get("/images/nothing.svg")

    assert {(picture.status_code, picture.headers["content-type"]) for picture in pictures} == {(200, "image/svg+xml")}
    assert all(f'width="{size}"' in picture.text for size, picture in zip([64, 16, 32, 64, 128], pictures, strict=True))
    assert 'width="64"' in odd.text
    assert missing.status_code == 404


async def test_pages_are_not_limited(sim: Simulation) -> None:
    """They stand for another site than the API's."""
    await sim.switch(
        {"limits": {"ip": 1}, "popups": {"account": "ann"}, "rules": {"r": {"fault": "status", "status": 500}}}
    )
    async with sim.client() as client:
        statuses = [(await client.get("/engine/auth/start/SlackCLIAPI@1.33.2")).status_code for _ in range(3)]

    assert statuses == [200, 200, 200]
