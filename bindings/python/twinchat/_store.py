"""Where sessions, messages and turns are kept."""

from __future__ import annotations

import abc
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import cast

from . import _twinchat
from ._values import (
    BegunTurn,
    Consent,
    Duration,
    Feedback,
    FinishedTurn,
    Message,
    MessageQuery,
    NewConsent,
    NewTurn,
    PastTurn,
    Session,
    Turn,
    UserDetails,
    UserDetailsUpdate,
)


class Store(abc.ABC):
    """Derive from it to keep sessions, messages and turns elsewhere. The library's own come from
    open_store(), open_sqlite_store() and make_memory_store(), and have these functions, too.

    Every function is one transaction: it has happened wholly, and durably as far as the store
    promises durability, when it returns, or not at all when it raises. It raises NotFound for a
    session or turn that is not there, Unavailable when the data cannot be reached or written now,
    DataLoss when it is damaged, FailedPrecondition when it is of a newer or foreign schema; of any
    other exception the caller of the assistant gets Unknown, with that as its __cause__. No text of
    an exception holds details or messages of visitors.

    Functions may wait for a disk or the network, but never for a model. Each is called from any
    number of threads at once.
    """

    @abc.abstractmethod
    def create_session(self, session_id: str, user: UserDetails, now: datetime) -> Session:
        """Adds a session with that public id. AlreadyExists when the id is taken."""

    @abc.abstractmethod
    def find_session(self, session_id: str) -> Session | None:
        """The session, or None."""

    @abc.abstractmethod
    def update_user(self, session_id: str, update: UserDetailsUpdate, now: datetime) -> Session:
        """Applies `update` and moves updated_at, also when the update is empty. NotFound."""

    @abc.abstractmethod
    def messages(self, session_id: str, query: MessageQuery) -> Sequence[Message]:
        """The session's messages, oldest first. Empty for an unknown session."""

    @abc.abstractmethod
    def turns(self, session_id: str, limit: int) -> Sequence[Turn]:
        """The session's newest `limit` turns, oldest first, whatever their status."""

    @abc.abstractmethod
    def begin_turn(self, turn: NewTurn) -> BegunTurn:
        """Finds or creates the session, applies the details, inserts the visitor's message and a
        pending turn, and moves updated_at. With an idempotency key that the session has seen:
        AlreadyExists when the fingerprint differs; Aborted while that turn is pending and has not
        expired; otherwise complete, truncated and blocked turns are REPLAYED, all others RESUMED.
        RateLimited with the reason "DAILY_TOKENS" when the day's tokens are used up."""

    @abc.abstractmethod
    def finish_turn(self, turn: FinishedTurn) -> Turn:
        """Closes a turn: inserts the answer as a bot message, records how it went, adds its tokens
        to those of the day of `now` (UTC), moves updated_at, and returns the turn. NotFound when
        there is none. A turn that was marked interrupted in the meantime is closed all the same;
        FailedPrecondition for one that ended otherwise."""

    @abc.abstractmethod
    def past_turns(self, session_id: str, before_turn: int, limit: int) -> Sequence[PastTurn]:
        """The newest `limit` answered (complete or truncated) turns of the session, oldest first;
        without the turn `before_turn` and those after it, unless that is 0."""

    @abc.abstractmethod
    def answered_turns(
        self, session_id: str, first_answer: int, last_answer: int
    ) -> Sequence[Turn]:
        """The session's turns whose answer is a message with an id from `first_answer` to
        `last_answer`, in the order of those ids."""

    @abc.abstractmethod
    def set_feedback(
        self, session_id: str, answer_id: int, feedback: Feedback, now: datetime
    ) -> Turn:
        """Records what the visitor thinks of the turn whose answer is the message `answer_id`, in
        place of what was said before; NONE takes it back. NotFound when no turn of that session has
        this answer. A turn that is resumed loses it."""

    @abc.abstractmethod
    def record_consent(self, consent: NewConsent) -> Consent:
        """Adds a consent to those of the session. NotFound."""

    @abc.abstractmethod
    def consents(self, session_id: str) -> Sequence[Consent]:
        """The session's consents, oldest first; those that were withdrawn, too."""

    @abc.abstractmethod
    def withdraw_consents(self, session_id: str, now: datetime) -> Sequence[Consent]:
        """Stamps those that stand as withdrawn, and returns all of them. NotFound."""

    def check(self) -> None:
        """Raises what whoever comes next would likely get."""
        self.find_session("")


Store.register(_twinchat.NativeStore)


def open_store(url: str) -> Store:
    """Opens the store that `url` names, creating what is missing:

    sqlite:///relative/path.db   sqlite:////absolute/path.db   a SQLite file
    postgresql://user:password@host/name                       a PostgreSQL database
    memory:                      nothing is kept

    InvalidArgument for any other form, Unimplemented for a database that this build has no store
    for; else as open_sqlite_store().
    """
    return cast(Store, _twinchat.open_store(url))


def open_sqlite_store(
    file: str | os.PathLike[str],
    *,
    busy_timeout: Duration = timedelta(seconds=10),
    durable: bool = True,
    max_readers: int = 16,
    create: bool = True,
    on_warning: Callable[[str], object] | None = None,
) -> Store:
    """Opens the SQLite file, or makes it. A file that Django made is taken as it is.

    busy_timeout  how long to wait for another program's lock on the file before Unavailable
    durable       whether a commit waits for the disk; off, a power failure may lose the last ones
    max_readers   connections for reading at most
    create        create the file and the tables when they are missing; off, a missing file is
                  NotFound and missing tables are FailedPrecondition
    on_warning    told in plain words about what an operator should know, while the file is opened

    FailedPrecondition for a schema from a newer version or tables that are not ours, DataLoss for a
    damaged file or one that is no database: such a file is left as it was. Unavailable when it
    cannot be opened or written.
    """
    options = {
        "busy_timeout": busy_timeout,
        "durable": durable,
        "max_readers": max_readers,
        "create": create,
    }
    return cast(Store, _twinchat.open_sqlite_store(file, options, on_warning))


def make_memory_store() -> Store:
    """A store in memory: for tests, and for programs that need no history beyond their own life."""
    return cast(Store, _twinchat.make_memory_store())
