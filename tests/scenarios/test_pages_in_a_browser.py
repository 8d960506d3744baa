"""The pages as a person opens them: a real browser logs in at a real control port, with the headers that only browsers send."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from flyball.records.permissions import Role
from flyball.web.app import app

sys.path.insert(0, str(Path(__file__).parent.parent / "unit"))
from paper_workspace import PaperWorkspace

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")


class Page:
    """One page of a headless browser, driven over the two pipes of its debugging protocol."""

    def __init__(self, profile: Path) -> None:
        (reads, self._send), (self._receive, writes) = os.pipe(), os.pipe()
        # The browser reads descriptor 3 and writes 4; a shell puts them there.
        command = f'exec "$@" 3<&{reads} 4>&{writes}'
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        flags += ["--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self._browser = subprocess.Popen(
            ["bash", "-c", command, "bash", str(BROWSER), *flags], pass_fds=(reads, writes), stderr=subprocess.DEVNULL
        )
        os.close(reads)
        os.close(writes)
        self._ids, self._left, self._session = count(1), b"", ""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def close(self) -> None:
        self._browser.terminate()
        self._browser.wait(30)
        os.close(self._send)
        os.close(self._receive)

    def open(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        self.until("document.readyState == 'complete'")

    def run(self, script: str) -> Any:
        return self._call("Runtime.evaluate", expression=script)["result"].get("value")

    def until(self, condition: str) -> None:
        for _ in range(200):
            if self.run(condition):
                return
            time.sleep(0.05)
        pytest.fail(f"never true: {condition}. The page says: {self.run('document.body.innerText')}")

    def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        os.write(self._send, json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0")
        while True:
            while b"\0" not in self._left:
                got = os.read(self._receive, 65536)
                assert got, "the browser ended"
                self._left += got
            line, _, self._left = self._left.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == number:
                return answer.get("result", {"result": {}})


@pytest.fixture
def control() -> Iterator[str]:
    """The control application on a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app(PaperWorkspace()), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(30)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    opened = Page(tmp_path / "profile")
    yield opened
    opened.close()


def log_in(page: Page, token: str) -> None:
    page.run(f"document.querySelector('#token').value = {json.dumps(token)}; document.querySelector('button').click()")


def test_a_person_logs_in_and_out_with_the_forms_of_the_pages(control: str, page: Page) -> None:
    owner = next(token for token, holder in PaperWorkspace().tokens().items() if holder.role is Role.OWNER)
    page.open(control)
    log_in(page, "not it")
    page.until("document.body.innerText.includes('that token is not valid here')")
    log_in(page, owner)
    page.until("document.body.innerText.includes('Champion')")
    page.run("document.querySelector('button').click()")
    page.until("document.querySelector('#token') !== null")
