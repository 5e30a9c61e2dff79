"""A store that is written in Python, and the library's own from Python."""

import sqlite3
import sys
from datetime import datetime, timedelta, timezone

import pytest

import twinchat
from conftest import Answering

NOW = datetime(2026, 11, 26, 13, 0, 0, 123456, tzinfo=timezone.utc)


class Passing(twinchat.Store):
    """Passes everything on to one of the library's, and remembers what was called."""

    def __init__(self):
        self.inner = twinchat.make_memory_store()
        self.calls = []

    def create_session(self, session_id, user, now):
        self.calls.append("create_session")
        return self.inner.create_session(session_id, user, now)

    def find_session(self, session_id):
        self.calls.append("find_session")
        return self.inner.find_session(session_id)

    def update_user(self, session_id, update, now):
        self.calls.append("update_user")
        return self.inner.update_user(session_id, update, now)

    def messages(self, session_id, query):
        self.calls.append("messages")
        return self.inner.messages(session_id, query)

    def turns(self, session_id, limit):
        self.calls.append("turns")
        return self.inner.turns(session_id, limit)

    def begin_turn(self, turn):
        self.calls.append("begin_turn")
        return self.inner.begin_turn(turn)

    def finish_turn(self, turn):
        self.calls.append("finish_turn")
        return self.inner.finish_turn(turn)

    def past_turns(self, session_id, before_turn, limit):
        self.calls.append("past_turns")
        return self.inner.past_turns(session_id, before_turn, limit)

    def answered_turns(self, session_id, first_answer, last_answer):
        self.calls.append("answered_turns")
        return self.inner.answered_turns(session_id, first_answer, last_answer)

    def set_feedback(self, session_id, answer_id, feedback, now):
        self.calls.append("set_feedback")
        return self.inner.set_feedback(session_id, answer_id, feedback, now)

    def record_consent(self, consent):
        self.calls.append("record_consent")
        return self.inner.record_consent(consent)

    def consents(self, session_id):
        self.calls.append("consents")
        return self.inner.consents(session_id)

    def withdraw_consents(self, session_id, now):
        self.calls.append("withdraw_consents")
        return self.inner.withdraw_consents(session_id, now)


def functions():
    return {name for name in twinchat.Store.__abstractmethods__}


def test_an_assistant_uses_every_function_of_it():
    store = Passing()
    with twinchat.Assistant(store, Answering(str.upper)) as assistant:
        session = assistant.create_session(name="Jane", email="j@example.com")
        changed = assistant.update_user(session.session_id, name=None)
        assert changed.user == twinchat.UserDetails(None, "j@example.com", None)
        assert assistant.find_session(session.session_id) == changed
        assert assistant.send(session.session_id, "hello").text == "HELLO"
        options = {"idempotency_key": "k", "details": twinchat.UserDetailsUpdate(phone="123")}
        turn = assistant.send(session.session_id, "again", **options)
        assert assistant.send(session.session_id, "again", **options).replayed
        assert [each.text for each in assistant.messages(session.session_id)] == [
            "hello", "HELLO", "again", "AGAIN",
        ]
        assert assistant.history(session.session_id)[-1] == turn
        assert assistant.session(session.session_id).user.phone == "123"
        liked = assistant.set_feedback(
            session.session_id, turn.answer.id, twinchat.Feedback.UP
        )
        assert liked.feedback is twinchat.Feedback.UP
        assert liked.feedback_at is not None
        assert assistant.answered_turns(session.session_id, turn.answer.id, turn.answer.id) == [
            liked,
        ]
        given = assistant.record_consent(session.session_id, "1", "en", "I agree.")
        assert (given.version, given.text, given.withdrawn_at) == ("1", "I agree.", None)
        withdrawn = assistant.withdraw_consents(session.session_id)
        assert withdrawn[0].withdrawn_at >= given.given_at
        assert assistant.consents(session.session_id) == withdrawn
    assert set(store.calls) == functions()


def test_what_it_is_given_is_what_the_library_meant():
    seen = []

    class Looking(Passing):
        def begin_turn(self, turn):
            seen.append(turn)
            return super().begin_turn(turn)

        def finish_turn(self, turn):
            seen.append(turn)
            return super().finish_turn(turn)

    with twinchat.Assistant(Looking(), Answering(str.upper), now=lambda: NOW) as assistant:
        assistant.send(
            "s",
            "hello",
            create_session=True,
            details=twinchat.UserDetailsUpdate(phone=None, name="Jane"),
            timeout=timedelta(minutes=1),
        )
    begun, finished = seen
    assert begun.details == twinchat.UserDetailsUpdate(name="Jane", phone=None)
    assert begun.details.email is twinchat.KEEP
    assert (begun.text, begun.create_session, begun.now) == ("hello", True, NOW)
    assert NOW < begun.expires_at
    assert (finished.status, finished.answer) == (twinchat.TurnStatus.COMPLETE, "HELLO")


def test_its_exceptions_reach_the_caller():
    class Failing(Passing):
        def find_session(self, session_id):
            raise KeyError("of the store's own")

        def begin_turn(self, turn):
            raise twinchat.Unavailable("The disk is full.", retryable=True)

    with twinchat.Assistant(Failing(), Answering(str)) as assistant:
        with pytest.raises(twinchat.Unknown) as raised:
            assistant.find_session("s")
        assert isinstance(raised.value.__cause__, KeyError)
        with pytest.raises(twinchat.Unavailable, match="The disk is full.") as raised:
            assistant.send("s", "hello")
        assert raised.value.retryable


def test_a_result_of_another_type_is_told_by_name():
    class Wrong(Passing):
        def messages(self, session_id, query):
            return [1]

        def turns(self, session_id, limit):
            return "none"

    with twinchat.Assistant(Wrong(), Answering(str)) as assistant:
        with pytest.raises(twinchat.Unknown) as raised:
            assistant.messages("s")
        assert str(raised.value.__cause__) == "Store.messages: expected Message, not int"
        with pytest.raises(twinchat.Unknown) as raised:
            assistant.history("s")
        assert str(raised.value.__cause__) == "Store.turns: expected a sequence, not str"


def test_exceptions_on_their_way_do_not_pile_up():
    class Failing(Passing):
        def find_session(self, session_id):
            raise KeyError(session_id)

    with twinchat.Assistant(Failing(), Answering(str)) as assistant:
        for _ in range(500):
            with pytest.raises(twinchat.Unknown) as raised:
                assistant.find_session("s")
        cause = raised.value.__cause__
        del raised
        # This name, the argument of getrefcount, and nobody else.
        assert sys.getrefcount(cause) <= 3


def test_a_class_without_all_its_functions_cannot_be_made():
    class Half(twinchat.Store):
        def find_session(self, session_id):
            return None

    with pytest.raises(TypeError, match="begin_turn"):
        Half()


def test_the_librarys_own_has_the_functions_too(store):
    session = store.create_session("s", twinchat.UserDetails("Jane"), NOW)
    assert store.find_session("s") == session
    begun = store.begin_turn(
        twinchat.NewTurn(
            session_id="s", text="hello", now=NOW, expires_at=NOW + timedelta(minutes=1)
        )
    )
    assert begun.kind is twinchat.BegunTurnKind.NEW
    assert begun.turn.status is twinchat.TurnStatus.PENDING
    turn = store.finish_turn(
        twinchat.FinishedTurn(
            turn_id=begun.turn.id,
            status=twinchat.TurnStatus.COMPLETE,
            answer="hi",
            latency=timedelta(seconds=1.5),
            now=NOW,
        )
    )
    assert turn.latency == timedelta(seconds=1.5)
    assert store.turns("s", 10) == [turn]
    assert store.past_turns("s", 0, 10)[0].answer_text == "hi"
    assert len(store.messages("s", twinchat.MessageQuery())) == 2
    answer = turn.answer.id
    liked = store.set_feedback("s", answer, twinchat.Feedback.DOWN, NOW)
    assert (liked.feedback, liked.feedback_at) == (twinchat.Feedback.DOWN, NOW)
    assert store.answered_turns("s", answer, answer) == [liked]
    given = store.record_consent(twinchat.NewConsent(session_id="s", version="1", now=NOW))
    assert store.consents("s") == [given]
    assert store.withdraw_consents("s", NOW)[0].withdrawn_at == NOW
    assert store.messages("s", twinchat.MessageQuery(limit=1, newest=True))[0].text == "hi"
    store.check()
    with pytest.raises(twinchat.AlreadyExists):
        store.create_session("s", twinchat.UserDetails(), NOW)


def test_a_file_is_opened_by_its_path(tmp_path):
    file = tmp_path / "näme.db"
    with pytest.raises(twinchat.NotFound):
        twinchat.open_sqlite_store(file, create=False)
    warnings = []
    store = twinchat.open_sqlite_store(file, busy_timeout=1, on_warning=warnings.append)
    store.create_session("s", twinchat.UserDetails("Jane"), NOW)
    assert all(isinstance(each, str) for each in warnings)
    with sqlite3.connect(file) as connection:
        assert connection.execute("select session_id from chat_chatsession").fetchall() == [("s",)]
    connection.close()


def test_what_is_no_database_is_data_loss(tmp_path):
    file = tmp_path / "text.db"
    file.write_text("This is no database. " * 100)
    with pytest.raises(twinchat.DataLoss):
        twinchat.open_sqlite_store(file)
