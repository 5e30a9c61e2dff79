# The extension module that the package is written over. Not for programs: what is theirs is in
# twinchat itself, with the same names as in the library's headers.
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any

from ._model import Model
from ._store import Store
from ._values import (
    BegunTurn,
    CallOptions,
    Content,
    FieldProblem,
    FinishedTurn,
    FinishReason,
    FunctionDeclaration,
    GenerateRequest,
    Message,
    MessageQuery,
    ModelAnswer,
    NewTurn,
    PastTurn,
    Session,
    Turn,
    UserDetails,
    UserDetailsUpdate,
)

__version__: str

class StopToken:
    """Tells a call whether it is to stop."""

    def stop_requested(self) -> bool:
        """Whether somebody asked for it."""

class StopSource:
    """Stops what was given its token, from any thread."""

    def __init__(self) -> None: ...
    def get_token(self) -> StopToken:
        """The token to give to send() and others."""
    def request_stop(self) -> bool:
        """Stops it. False when that had been asked for before."""
    def stop_requested(self) -> bool:
        """Whether request_stop() was called."""

class NativeStore:
    def create_session(self, session_id: str, user: UserDetails, now: datetime) -> Session: ...
    def find_session(self, session_id: str) -> Session | None: ...
    def update_user(
        self, session_id: str, update: UserDetailsUpdate, now: datetime
    ) -> Session: ...
    def messages(self, session_id: str, query: MessageQuery) -> list[Message]: ...
    def turns(self, session_id: str, limit: int) -> list[Turn]: ...
    def begin_turn(self, turn: NewTurn) -> BegunTurn: ...
    def finish_turn(self, turn: FinishedTurn) -> Turn: ...
    def past_turns(self, session_id: str, before_turn: int, limit: int) -> list[PastTurn]: ...
    def check(self) -> None: ...

class NativeModel:
    def name(self) -> str: ...
    def generate(self, request: GenerateRequest, options: CallOptions) -> ModelAnswer: ...

class Send:
    def next(self) -> str | None: ...
    def take(self) -> list[str]: ...
    def done(self) -> bool: ...
    def wait(self) -> None: ...
    def result(self) -> Turn: ...
    def stop(self) -> None: ...

class NativeAssistant:
    def __init__(
        self,
        store: Store,
        model: Model,
        given: Mapping[str, Any],
        tools: Sequence[tuple[FunctionDeclaration, Callable[[str], str]]],
        now: Callable[[], datetime] | None,
        /,
    ) -> None: ...
    def close(self) -> None: ...
    def create_session(self, given: Mapping[str, Any]) -> Session: ...
    def find_session(self, session_id: str) -> Session | None: ...
    def session(self, session_id: str) -> Session: ...
    def update_user(self, session_id: str, given: Mapping[str, Any]) -> Session: ...
    def messages(self, session_id: str, given: Mapping[str, Any]) -> list[Message]: ...
    def history(self, session_id: str, limit: int) -> list[Turn]: ...
    def in_flight(self) -> int: ...
    def send(
        self,
        session_id: str,
        text: str,
        given: Mapping[str, Any],
        stop_token: StopToken | None,
        on_text: Callable[[str], object] | None,
    ) -> Turn: ...
    def start(
        self,
        session_id: str,
        text: str,
        given: Mapping[str, Any],
        stop_token: StopToken | None,
        streaming: bool,
        on_event: Callable[[], None] | None,
    ) -> Send: ...

def visible_text(content: Content) -> str: ...
def finish_reason_from(raw: str) -> FinishReason: ...
def problems(update: UserDetailsUpdate) -> list[FieldProblem]: ...
def open_store(url: str) -> NativeStore: ...
def open_sqlite_store(
    file: str | PathLike[str],
    given: Mapping[str, Any],
    on_warning: Callable[[str], object] | None,
) -> NativeStore: ...
def make_memory_store() -> NativeStore: ...
def make_gemini_model(
    given: Mapping[str, Any],
    bearer_token: Callable[[], str] | None,
    on_warning: Callable[[str], object] | None,
    on_breaker: Callable[[str, bool], object] | None,
) -> NativeModel: ...
def stop_calls() -> None: ...
def defaults() -> dict[str, dict[str, Any]]: ...
