"""An answer piece by piece, by iteration."""

import gc
import weakref

import pytest

import twinchat
from conftest import wait_until


def last_status(assistant, session_id):
    turns = assistant.history(session_id)
    return turns[-1].status if turns else None


def test_the_pieces_make_up_the_answer(assistant, session_id, standin):
    standin.script({"chunks": ["One ", "two ", "three"]})
    stream = assistant.stream(session_id, "Count")
    assert stream.turn is None
    assert "".join(stream) == "One two three"
    assert stream.turn == assistant.history(session_id)[-1]
    assert list(stream) == []


def test_a_loop_that_is_left_stops_the_model(assistant, session_id, standin):
    standin.script({"chunks": ["word "] * 500, "chunk_ms": 20})
    for piece in assistant.stream(session_id, "Go on"):
        assert piece == "word "
        break
    wait_until(lambda: standin.stats()["aborted"] == 1)
    wait_until(lambda: last_status(assistant, session_id) is twinchat.TurnStatus.CANCELLED)


def test_a_stream_that_is_closed_is_stored_then(assistant, session_id, standin):
    standin.script({"chunks": ["word "] * 500, "chunk_ms": 20})
    with assistant.stream(session_id, "Go on") as stream:
        next(stream)
    turn = assistant.history(session_id)[-1]
    assert turn.status is twinchat.TurnStatus.CANCELLED
    assert turn.text.startswith("word ")
    assert stream.turn is None
    stream.close()
    assert list(stream) == []


def test_an_exception_in_the_loop_stops_the_model(assistant, session_id, standin):
    standin.script({"chunks": ["word "] * 500, "chunk_ms": 20})
    with pytest.raises(KeyError):
        with assistant.stream(session_id, "Go on") as stream:
            for _ in stream:
                raise KeyError
    assert last_status(assistant, session_id) is twinchat.TurnStatus.CANCELLED


def test_an_error_is_raised_from_the_iteration(assistant, session_id, standin):
    standin.script({"status": 503})
    stream = assistant.stream(session_id, "Hello")
    with pytest.raises(twinchat.Unavailable):
        next(stream)
    assert list(stream) == []
    with pytest.raises(twinchat.NotFound):
        next(assistant.stream("nobody", "Hello"))


def test_a_stop_source_stops_a_stream(assistant, session_id, standin):
    standin.script({"chunks": ["word "] * 500, "chunk_ms": 20})
    source = twinchat.StopSource()
    stream = assistant.stream(session_id, "Go on", stop_token=source.get_token())
    next(stream)
    source.request_stop()
    with pytest.raises(twinchat.Cancelled):
        for _ in stream:
            pass


def test_a_stream_that_nobody_reads_is_stored_all_the_same(assistant, session_id, standin):
    standin.script({"chunks": ["One ", "two"]})
    stream = assistant.stream(session_id, "Count")
    wait_until(lambda: last_status(assistant, session_id) is twinchat.TurnStatus.COMPLETE)
    assert "".join(stream) == "One two"


def test_many_streams_at_once_each_get_their_own(assistant, standin):
    sessions = [assistant.create_session().session_id for _ in range(20)]
    streams = [assistant.stream(each, each) for each in sessions]
    assert ["".join(stream) for stream in streams] == [f"Echo 1: {each}" for each in sessions]


def test_a_stream_keeps_its_assistant(store, model, standin):
    assistant = twinchat.Assistant(store, model)
    session = assistant.create_session()
    stream = assistant.stream(session.session_id, "Hello")
    watched = weakref.ref(assistant)
    del assistant
    gc.collect()
    assert "".join(stream) == "Echo 1: Hello"
    del stream
    gc.collect()
    assert watched() is None
