"""Sessions, their messages, and a model that answers: the library's main class."""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import traceback
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from . import _twinchat
from ._model import Model
from ._store import Store
from ._twinchat import StopToken
from ._values import (
    KEEP,
    Consent,
    Duration,
    Feedback,
    GenerationConfig,
    Keep,
    Message,
    Session,
    Timeouts,
    Tool,
    Turn,
    UserDetailsUpdate,
)

_log = logging.getLogger("twinchat")


def _caller_of(tool: Tool) -> Callable[[str], str]:
    """The tool's function from JSON text to JSON text."""

    def call(args_json: str) -> str:
        try:
            return json.dumps(tool.function(json.loads(args_json)))
        except Exception as error:
            # Never the exception's text: it may hold what a visitor wrote.
            place = traceback.extract_tb(error.__traceback__)[-1]
            name, kind = tool.declaration.name, type(error).__name__
            _log.error("tool %s failed: %s at %s:%s", name, kind, place.filename, place.lineno)
            raise

    return call


def _send_options(
    timeout: Duration | None,
    idempotency_key: str,
    generation: GenerationConfig | None,
    details: UserDetailsUpdate | None,
    create_session: bool,
    model_timeouts: Timeouts | None,
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "timeout": timeout,
        "idempotency_key": idempotency_key,
        "create_session": create_session,
        "model_timeouts": model_timeouts,
    }
    if generation is not None:
        options["generation"] = generation
    if details is not None:
        options["details"] = details
    return options


class Stream(Iterator[str]):
    """An answer on its way: iterate over the pieces of its text.

    What comes too fast for the loop waits here; the model is not held up. Leaving early stops the
    model: by close() or the end of a `with`, which wait until the turn is stored as cancelled with
    what had come, or by letting go of the stream. The errors of Assistant.send() are raised from
    the iteration.

    For one thread at a time.
    """

    def __init__(self, assistant: Assistant, send: _twinchat.Send) -> None:
        self._assistant = assistant  # lives as long as its answers
        self._send = send
        self._turn: Turn | None = None
        self._ended = False

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> str:
        if self._ended:
            raise StopIteration
        piece = self._send.next()
        if piece is not None:
            return piece
        self._ended = True
        self._turn = self._send.result()
        raise StopIteration

    @property
    def turn(self) -> Turn | None:
        """The turn as it was stored; None before the end of the iteration, and when it was left."""
        return self._turn

    def close(self) -> None:
        """Stops the model and waits until the turn is stored. Nothing after the end."""
        if self._ended:
            return
        self._ended = True
        self._send.stop()
        self._send.wait()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Bell:
    """Wakes a coroutine from other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def ring(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()


async def _until_done(send: _twinchat.Send, bell: _Bell) -> None:
    while not send.done():
        await bell.wait()


class AsyncStream(AsyncIterator[str]):
    """An answer on its way, for `async for`; else as Stream. Cancelling the task that iterates
    stops the model, too. Made in the event loop that iterates over it."""

    def __init__(self, assistant: Assistant, start: Callable[[_Bell], _twinchat.Send]) -> None:
        self._assistant = assistant  # lives as long as its answers
        self._bell = _Bell()
        self._send = start(self._bell)
        self._pieces: deque[str] = deque()
        self._turn: Turn | None = None
        self._ended = False

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> str:
        if self._pieces:
            return self._pieces.popleft()
        if self._ended:
            raise StopAsyncIteration
        try:
            while True:
                # In this order: no piece comes after the end.
                done = self._send.done()
                self._pieces.extend(self._send.take())
                if self._pieces:
                    return self._pieces.popleft()
                if done:
                    break
                await self._bell.wait()
        except asyncio.CancelledError:
            await self.aclose()
            raise
        self._ended = True
        self._turn = self._send.result()
        raise StopAsyncIteration

    @property
    def turn(self) -> Turn | None:
        """The turn as it was stored; None before the end of the iteration, and when it was left."""
        return self._turn

    async def aclose(self) -> None:
        """Stops the model and waits until the turn is stored. Nothing after the end."""
        if self._ended:
            return
        self._ended = True
        self._pieces.clear()
        self._send.stop()
        await _until_done(self._send, self._bell)

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class Assistant:
    """Sessions, their messages, and a model that answers.

    What a visitor wrote is stored before the model is asked, and the answer before it is handed
    over. Only answered turns are sent to the model later, so a failed send leaves a session in which
    the next send works. Turns of one session run one after the other in the order of their sends;
    turns of different sessions run side by side.

    Every function may be called from any number of threads at once, and none holds the GIL while it
    waits. An assistant, a store and a model belong to the process that made them: in one that was
    forked off they raise FailedPrecondition.

    store, model            shared with whoever else holds them
    system_prompt           who the assistant is and how it speaks
    history_turns           at most so many answered turns go along with a question ...
    history_tokens          ... and about so many tokens of them
    generation              how answers are generated
    tools                   functions that the model may call
    max_tool_rounds         how often it may do so before it has to answer, in one turn
    max_message_length      the longest message, in code points
    refusal                 what a visitor is answered when the model refuses; None: the library's
    turn_timeout            the end of a turn, waiting included, when a send gives no other
    max_queued_per_session  turns that may wait behind others of their session; one more is
                            RateLimited
    daily_tokens            tokens that the turns of one UTC day may use; 0 for no limit
    now                     the clock for what is stored: an aware datetime; None: the system's
    """

    def __init__(
        self,
        store: Store,
        model: Model,
        *,
        system_prompt: str = "",
        history_turns: int = 20,
        history_tokens: int = 16384,
        generation: GenerationConfig = GenerationConfig(),
        tools: Sequence[Tool] = (),
        max_tool_rounds: int = 8,
        max_message_length: int = 5000,
        refusal: str | None = None,
        turn_timeout: Duration = timedelta(seconds=180),
        max_queued_per_session: int = 16,
        daily_tokens: int = 0,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        options: dict[str, Any] = {
            "system_prompt": system_prompt,
            "history_turns": history_turns,
            "history_tokens": history_tokens,
            "generation": generation,
            "max_tool_rounds": max_tool_rounds,
            "max_message_length": max_message_length,
            "turn_timeout": turn_timeout,
            "max_queued_per_session": max_queued_per_session,
            "daily_tokens": daily_tokens,
        }
        if refusal is not None:
            options["refusal"] = refusal
        callers = [(tool.declaration, _caller_of(tool)) for tool in tools]
        self._native = _twinchat.NativeAssistant(store, model, options, callers, now)
        _open.add(self)

    def close(self) -> None:
        """Cancels the turns under way, stores them as cancelled, and returns when all have ended.
        Does not wait for the network. A second time it does nothing; all else is FailedPrecondition
        from then on. FailedPrecondition in a function that this assistant calls."""
        self._native.close()
        _open.discard(self)

    def __enter__(self) -> Assistant:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def create_session(
        self, *, name: str | None = None, email: str | None = None, phone: str | None = None
    ) -> Session:
        """A new session with a fresh random UUID. InvalidArgument for details that problems()
        refuses."""
        return self._native.create_session({"name": name, "email": email, "phone": phone})

    def find_session(self, session_id: str) -> Session | None:
        """The session, or None."""
        return self._native.find_session(session_id)

    def session(self, session_id: str) -> Session:
        """The session. NotFound."""
        return self._native.session(session_id)

    def update_user(
        self,
        session_id: str,
        *,
        name: str | None | Keep = KEEP,
        email: str | None | Keep = KEEP,
        phone: str | None | Keep = KEEP,
    ) -> Session:
        """Sets the details that are given; None clears one. NotFound; InvalidArgument for details
        that problems() refuses."""
        return self._native.update_user(
            session_id, {"name": name, "email": email, "phone": phone}
        )

    def messages(
        self,
        session_id: str,
        *,
        after_id: int = 0,
        limit: int = 0,
        before_id: int = 0,
        newest: bool = False,
    ) -> list[Message]:
        """What was said, oldest first: only messages with a greater id than `after_id`, and unless
        it is 0 a smaller one than `before_id`; and at most `limit`, those at the beginning, or at
        the end if `newest`; 0 for all. Empty for an unknown session."""
        query = {"after_id": after_id, "limit": limit, "before_id": before_id, "newest": newest}
        return self._native.messages(session_id, query)

    def history(self, session_id: str, limit: int = 100) -> list[Turn]:
        """The newest `limit` turns with how each ended, oldest first."""
        return self._native.history(session_id, limit)

    def answered_turns(
        self, session_id: str, first_answer: int, last_answer: int
    ) -> list[Turn]:
        """The turns whose answer is a message with an id from `first_answer` to `last_answer`: what
        became of the bot messages on a page of messages()."""
        return self._native.answered_turns(session_id, first_answer, last_answer)

    def set_feedback(self, session_id: str, answer_id: int, feedback: Feedback) -> Turn:
        """Records what the visitor thinks of an answer, by the id of its message; Feedback.NONE
        takes it back. NotFound when it is no answer of that session."""
        return self._native.set_feedback(session_id, answer_id, feedback)

    def record_consent(
        self, session_id: str, version: str, language: str, text: str
    ) -> Consent:
        """Records that the visitor agreed to `text`, which the program calls `version` and showed
        in `language`. NotFound; InvalidArgument for a version that is empty or has more than 64
        bytes, and a language of more than 35."""
        return self._native.record_consent(session_id, version, language, text)

    def consents(self, session_id: str) -> list[Consent]:
        """What the visitor agreed to, oldest first. Empty for an unknown session."""
        return self._native.consents(session_id)

    def withdraw_consents(self, session_id: str) -> list[Consent]:
        """The visitor agrees no longer: stamps all consents that stand, and gives all there are.
        NotFound."""
        return self._native.withdraw_consents(session_id)

    def stop(self, session_id: str, idempotency_key: str = "") -> bool:
        """Ends the answer that this assistant is making for the session where it is: the turn is
        cancelled with what had come, and its send gives that Turn. With a key only the send of that
        key, which may still wait behind another. False when there is none. Does not wait for the
        end."""
        return self._native.stop(session_id, idempotency_key)

    def in_flight(self) -> int:
        """Turns under way or waiting."""
        return self._native.in_flight()

    def send(
        self,
        session_id: str,
        text: str,
        *,
        on_text: Callable[[str], object] | None = None,
        stop_token: StopToken | None = None,
        timeout: Duration | None = None,
        idempotency_key: str = "",
        generation: GenerationConfig | None = None,
        details: UserDetailsUpdate | None = None,
        create_session: bool = False,
        model_timeouts: Timeouts | None = None,
    ) -> Turn:
        """Asks and waits. The turn is complete, truncated or blocked (answer: the refusal), or
        cancelled when on_text returned False. Raises when there is no answer:

        InvalidArgument  empty, too long or malformed text, bad details or key; nothing was stored
        NotFound         no such session (and create_session is off)
        Aborted, AlreadyExists   the idempotency key is in use, or was used for another text
        RateLimited, reason "DAILY_TOKENS"   daily_tokens are used up; nothing was stored,
                         retry_after is the time to midnight UTC
        Cancelled        stopped; what had come is stored
        DeadlineExceeded, Unavailable, RateLimited, Internal and the others of the model's: the
                         message is stored, the turn has failed (or is empty: reason "EMPTY_ANSWER")

        on_text          receives the text as it comes, on the calling thread; when it returns
                         False, the model stops there. An exception of its own does, too, and is
                         raised from here
        stop_token       of a StopSource: stops the turn wherever it is
        timeout          in place of turn_timeout
        idempotency_key  a name of the caller's for this message, at most 255 bytes: a second send
                         under the same name in the same session gives the first one's answer, or
                         goes on where it failed, and never asks or stores anything twice
        generation       over the assistant's, field by field
        details          applied to the session together with the message
        create_session   create the session when there is none of that id
        model_timeouts   the limits of the model call, in place of the model's own

        Ctrl-C stops the turn, which is stored as cancelled, and is raised as KeyboardInterrupt.
        """
        options = _send_options(
            timeout, idempotency_key, generation, details, create_session, model_timeouts
        )
        return self._native.send(session_id, text, options, stop_token, on_text)

    def stream(
        self,
        session_id: str,
        text: str,
        *,
        stop_token: StopToken | None = None,
        timeout: Duration | None = None,
        idempotency_key: str = "",
        generation: GenerationConfig | None = None,
        details: UserDetailsUpdate | None = None,
        create_session: bool = False,
        model_timeouts: Timeouts | None = None,
    ) -> Stream:
        """Asks, and gives the answer piece by piece: `for piece in assistant.stream(...)`. Options
        and errors as of send()."""
        options = _send_options(
            timeout, idempotency_key, generation, details, create_session, model_timeouts
        )
        return Stream(
            self, self._native.start(session_id, text, options, stop_token, True, None)
        )

    async def asend(
        self,
        session_id: str,
        text: str,
        *,
        timeout: Duration | None = None,
        idempotency_key: str = "",
        generation: GenerationConfig | None = None,
        details: UserDetailsUpdate | None = None,
        create_session: bool = False,
        model_timeouts: Timeouts | None = None,
    ) -> Turn:
        """Asks without holding up the event loop or a thread. Options and errors as of send().
        Cancelling the task stops the turn, and the cancellation goes on when it is stored."""
        options = _send_options(
            timeout, idempotency_key, generation, details, create_session, model_timeouts
        )
        bell = _Bell()
        send = self._native.start(session_id, text, options, None, False, bell.ring)
        try:
            await _until_done(send, bell)
        except asyncio.CancelledError:
            send.stop()
            await _until_done(send, bell)
            raise
        return send.result()

    def astream(
        self,
        session_id: str,
        text: str,
        *,
        timeout: Duration | None = None,
        idempotency_key: str = "",
        generation: GenerationConfig | None = None,
        details: UserDetailsUpdate | None = None,
        create_session: bool = False,
        model_timeouts: Timeouts | None = None,
    ) -> AsyncStream:
        """Asks, and gives the answer piece by piece: `async for piece in assistant.astream(...)`.
        Called in a coroutine. Options and errors as of send()."""
        options = _send_options(
            timeout, idempotency_key, generation, details, create_session, model_timeouts
        )
        return AsyncStream(
            self,
            lambda bell: self._native.start(session_id, text, options, None, True, bell.ring),
        )


_open: weakref.WeakSet[Assistant] = weakref.WeakSet()


def _close_all() -> None:
    """At the interpreter's end nothing may be left that would call into it."""
    for assistant in list(_open):
        assistant.close()
    _twinchat.stop_calls()


atexit.register(_close_all)
