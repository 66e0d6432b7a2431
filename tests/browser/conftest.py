"""What browser tests rely on: one Chromium, one installation, and a product's page on an origin of its own."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import pytest
from playwright.async_api import Browser, BrowserContext, expect

from tests.acceptance.installation import WITHOUT_LIMITS, Installation, everything_up
from tests.browser import product as products
from tests.browser.chromium import PROGRAM, SHELL, launched
from tests.browser.product import Product
from tests.browser.scenes import SOON_MS
from tests.support.suite_rules import BROWSER_PROGRAMS

SHORT: Final = {"ZAPWRIGHT_ATTEMPT_S": "60", "ZAPWRIGHT_ATTEMPT_VISIBLE_S": "60"}
"""Popups are waited for as long as a message that names nothing listed is, and twice that."""

PRODUCT_HOST: Final = "product.localhost"

expect.set_options(timeout=SOON_MS)


@pytest.fixture(scope="session", autouse=True)
def programs() -> None:
    """Fail where there is no Chromium, or nothing that moves its windows: `make test` installs them where it can."""
    missing = [program for program in BROWSER_PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.fail(
            f"the browser's tests need {', '.join(missing)}: run `make test` as root on Debian, install them yourself, "
            "or leave these tests out by -m 'not browser'",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def product_socket() -> Iterator[socket.socket]:
    """Where the product's page is going to be."""
    with products.listening() as listening:
        yield listening


@pytest.fixture(scope="session")
def product_origin(product_socket: socket.socket) -> str:
    """An origin that is neither the API's nor the simulator's, of another site than both."""
    return f"http://{PRODUCT_HOST}:{product_socket.getsockname()[1]}"


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory, product_origin: str) -> Iterator[Installation]:
    """Everything that `zapwright up` starts, for the product's origin and without Zapier's limits."""
    folder = tmp_path_factory.mktemp("browser") / "data"
    with everything_up(folder, ZAPWRIGHT_ORIGINS=product_origin, **WITHOUT_LIMITS, **SHORT) as running:
        yield running


@pytest.fixture(scope="session")
async def product(
    installation: Installation, product_origin: str, product_socket: socket.socket
) -> AsyncIterator[Product]:
    """The product's backend and page."""
    variables = installation.variables
    product = Product(
        product_origin,
        api_url=variables["ZAPWRIGHT_API_URL"],
        api_key=variables["ZAPWRIGHT_API_KEY"],
        simulator_url=variables["SIMULATOR_URL"],
    )
    async with product.backend, product.simulator:
        with products.serving(product, product_socket):
            yield product


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """What of Debian's Chromium draws pages, or else all of it; `windows` has all of it in any case."""
    async with launched(program=SHELL if shutil.which(SHELL) else PROGRAM) as browser:
        yield browser


@pytest.fixture
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A browser of one user: nothing is remembered of any other test, and no page's script may fail."""
    context = await chromium.new_context()
    failures: list[str] = []
    context.on("weberror", lambda failed: failures.append(str(failed.error)))
    yield context
    await context.close()
    assert failures == []
