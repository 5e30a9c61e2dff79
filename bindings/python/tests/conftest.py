"""The Gemini stand-in (tests/support/gemini_standin), and assistants that ask it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import twinchat


sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "support" / "python"))
import started  # noqa: E402


class StandIn(started.StandIn):
    """One that all tests ask, one after the other."""

    def reset(self) -> None:
        """Forgets script and calls, and sets the counters to zero."""
        request = urllib.request.Request(self.url + "/_script", method="DELETE")
        urllib.request.urlopen(request).close()


def wait_until(holds: Callable[[], Any], what: str = "it") -> None:
    """Returns when it holds; that it comes to hold is the assertion, not when."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.005)


@pytest.fixture(scope="session")
def running_standin() -> Iterator[StandIn]:
    with StandIn(os.environ["GEMINI_STANDIN"], None, None) as standin:
        yield standin


@pytest.fixture
def standin(running_standin: StandIn) -> StandIn:
    running_standin.reset()
    return running_standin


@pytest.fixture
def model(standin: StandIn) -> twinchat.Model:
    return twinchat.make_gemini_model(
        api_key="key", base_url=standin.url, retry=twinchat.RetryOptions(max_attempts=1)
    )


@pytest.fixture
def store(tmp_path: Path) -> twinchat.Store:
    return twinchat.open_store(f"sqlite:///{tmp_path}/chat.db")


@pytest.fixture
def assistant(store: twinchat.Store, model: twinchat.Model) -> Iterator[twinchat.Assistant]:
    with twinchat.Assistant(store, model, system_prompt="Be brief.") as made:
        yield made


@pytest.fixture
def session_id(assistant: twinchat.Assistant) -> str:
    return assistant.create_session(name="Jane").session_id


class Answering(twinchat.Model):
    """A model of a few lines: answers what its function gives for the last text."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer

    def name(self) -> str:
        return "answering"

    def generate(
        self, request: twinchat.GenerateRequest, options: twinchat.CallOptions
    ) -> twinchat.ModelAnswer:
        text = self.answer(twinchat.visible_text(request.contents[-1]))
        if options.on_text:
            for word in text.split(" "):
                if options.on_text(word + " ") is False:
                    break
        return twinchat.ModelAnswer(twinchat.text_content(twinchat.Role.MODEL, text))


def run_script(body: str, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """A Python program of its own with this package; its end is waited for."""
    import sys

    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", body, *arguments],
        text=True,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
