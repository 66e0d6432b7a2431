"""A desktop on which windows have the focus or have it not: Xvfb, openbox, and a plain Chromium that xdotool moves.

Playwright tells every page that it has the focus, so it is not used here: the browser is asked by its own protocol what
a page shows, and everything that a user would do is done by mouse, keyboard and window manager.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.browser.chromium import ALWAYS, PROGRAM

SCREEN: Final = "1600x1200x24"
ENDS_WITHIN_S: Final = 5.0
SOON_S: Final = 60.0
LONGEST_MESSAGE: Final = 2**24
WITH_PIPES: Final = 'exec "$@" 3<&"$IN" 4>&"$OUT"'
"""Chromium takes commands from descriptor 3, and answers at 4."""


class Desktop:
    """One screen, and the browser on it."""

    def __init__(self, display: str, commands: asyncio.StreamWriter, answers: asyncio.StreamReader) -> None:
        self._environment = {**os.environ, "DISPLAY": display}
        self._commands = commands
        self._answers = answers
        self._numbers = count(1)

    async def xdotool(self, *arguments: str) -> None:
        """Do what a user does."""
        status, _ = await self._xdotool(*arguments)
        assert status == 0, arguments

    async def is_managed(self) -> None:
        """Wait until the window manager is there: who opens a window before may never be given the focus."""
        async with asyncio.timeout(SOON_S):
            while (await self._xdotool("get_num_desktops"))[0] != 0:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)

    async def active_window(self, *, but: str | None = None, titled: str = "") -> str:
        """Return the window that has the focus, as soon as one has it that is not this one, and has this in its title.

        In between none may have it. A page may know that it has it before the window manager says so.
        """
        window = name = ""
        try:
            async with asyncio.timeout(SOON_S):
                while True:
                    status, window = await self._xdotool("getactivewindow")
                    _, name = await self._xdotool("getwindowname", window) if status == 0 else (status, "")
                    if status == 0 and window != but and titled in name:
                        return window
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise AssertionError(f"no such window has the focus, but {window or 'none'}, {name!r}") from error

    async def _xdotool(self, *arguments: str) -> tuple[int | None, str]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "xdotool", *arguments, env=self._environment, stdout=pipe, stderr=pipe
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode().strip()

    async def open(self, address: str) -> Window:
        """Open a window of its own for a page, and return it when it has the focus."""
        made = await self.send("Target.createTarget", url=address, newWindow=True)
        attached = await self.send("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        window = Window(self, attached["sessionId"], made["targetId"])
        await window.until(
            "location.href !== 'about:blank' && document.readyState === 'complete' && document.hasFocus()"
        )
        return window

    async def send(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Ask the browser for something, and return its answer."""
        number = next(self._numbers)
        command = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        self._commands.write(json.dumps(command).encode() + b"\0")
        await self._commands.drain()
        while True:
            answer = json.loads((await self._answers.readuntil(b"\0"))[:-1])
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result


class Window:
    """A page in a window of its own."""

    def __init__(self, desktop: Desktop, session: str, target: str) -> None:
        self._desktop = desktop
        self._session = session
        self._target = target

    async def close(self) -> None:
        """Close it."""
        await self._desktop.send("Target.closeTarget", targetId=self._target)

    async def evaluate(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        answer = await self._desktop.send(
            "Runtime.evaluate", session=self._session, expression=expression, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str, *, or_say: str = "({})", within_s: float = SOON_S) -> None:
        """Wait until an expression is true in the page; what another one is then is said when it does not come true."""
        try:
            async with asyncio.timeout(within_s):
                while not await self.evaluate(expression):  # noqa: ASYNC110 - a page tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise AssertionError(f"{expression} is not true: {await self.evaluate(or_say)}") from error

    async def click(self, selector: str) -> None:
        """Move the mouse there and press."""
        x, y = await self.evaluate(
            "(({ x, y, width, height }) => [screenX + (outerWidth - innerWidth) / 2 + x + width / 2,"
            " screenY + outerHeight - innerHeight - (outerWidth - innerWidth) / 2 + y + height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        await self._desktop.xdotool("mousemove", str(round(x)), str(round(y)), "click", "1")


@asynccontextmanager
async def desktop(folder: Path) -> AsyncIterator[Desktop]:
    """Have a screen with a window manager and a browser; all end with the block."""
    (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
    async with _screen() as display, _running("openbox", DISPLAY=display):
        arguments = [*ALWAYS, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={folder}"]
        command = [
            "bash",
            "-c",
            WITH_PIPES,
            "bash",
            PROGRAM,
            *arguments,
            "--remote-debugging-pipe",
            "--no-startup-window",
        ]
        descriptors = {"IN": str(their_in), "OUT": str(their_out)}
        async with _running(*command, pass_fds=(their_in, their_out), DISPLAY=display, **descriptors):
            os.close(their_in)
            os.close(their_out)
            commands, answers = await _pipes(our_out, our_in)
            screen = Desktop(display, commands, answers)
            try:
                await screen.is_managed()
                yield screen
            finally:
                commands.close()


@asynccontextmanager
async def _screen() -> AsyncIterator[str]:
    """Have a screen that stays when nobody looks at it: else it sends away a window manager that comes just then."""
    told, tells = os.pipe()
    async with _running("Xvfb", "-noreset", "-displayfd", str(tells), "-screen", "0", SCREEN, pass_fds=(tells,)):
        os.close(tells)
        with os.fdopen(told) as number:
            yield f":{(await asyncio.to_thread(number.readline)).strip()}"


@asynccontextmanager
async def _running(*command: str, pass_fds: tuple[int, ...] = (), **environment: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **environment},
        pass_fds=pass_fds,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), ENDS_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _pipes(out: int, into: int) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_MESSAGE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(into, "rb"))
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(out, "wb"))
    return asyncio.StreamWriter(transport, protocol, None, loop), reader
