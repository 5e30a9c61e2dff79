"""The assistant as a program uses it, asking the stand-in over HTTP."""

import json
import logging
import threading
from datetime import datetime, timedelta, timezone

import pytest

import twinchat
from conftest import Answering, wait_until


def test_a_conversation_is_asked_answered_and_kept(assistant, session_id, standin):
    first = assistant.send(session_id, "Hello")
    assert first.text == "Echo 1: Hello"
    assert first.status is twinchat.TurnStatus.COMPLETE
    assert first.finish_reason is twinchat.FinishReason.STOP
    assert first.usage.total_tokens > 0
    assert first.latency >= timedelta(0)
    assert not first.replayed
    assert assistant.send(session_id, "Again").text == "Echo 2: Again"
    assert [message.text for message in assistant.messages(session_id)] == [
        "Hello", "Echo 1: Hello", "Again", "Echo 2: Again",
    ]
    assert assistant.history(session_id)[0] == first
    wait_until(lambda: assistant.in_flight() == 0)
    body = standin.requests()[-1]["body"]
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief."}]


def test_messages_come_in_pages(assistant, session_id):
    assistant.send(session_id, "Hello")
    first, second = assistant.messages(session_id)
    assert assistant.messages(session_id, limit=1) == [first]
    assert assistant.messages(session_id, after_id=first.id) == [second]
    assert assistant.messages(session_id, limit=1, newest=True) == [second]
    assert assistant.messages(session_id, before_id=second.id) == [first]


def test_an_answer_is_stopped_by_whoever_knows_the_session(assistant, session_id, standin):
    assert not assistant.stop(session_id)
    standin.script({"hang": True})
    turns = []
    thread = threading.Thread(
        target=lambda: turns.append(assistant.send(session_id, "q", idempotency_key="k"))
    )
    thread.start()
    wait_until(lambda: standin.stats()["in_flight"] == 1)
    assert not assistant.stop(session_id, "another")
    assert assistant.stop(session_id, "k")
    thread.join()
    assert turns[0].status is twinchat.TurnStatus.CANCELLED


def test_details_are_set_kept_and_cleared(assistant):
    session = assistant.create_session(name="Jane", email="jane@example.com")
    changed = assistant.update_user(session.session_id, phone="123", email=None)
    assert changed.user == twinchat.UserDetails("Jane", None, "123")
    assert assistant.find_session(session.session_id) == changed
    assistant.send(
        session.session_id, "Hello", details=twinchat.UserDetailsUpdate(name=None)
    )
    assert assistant.session(session.session_id).user == twinchat.UserDetails(None, None, "123")
    with pytest.raises(twinchat.InvalidArgument, match="email"):
        assistant.create_session(email="no address")
    assert assistant.find_session("nobody") is None


def test_any_text_goes_through_unchanged(assistant, session_id):
    text = "Größe 😀 漢字 \u200f\ttab"
    assert assistant.send(session_id, text).user_message.text == text


def test_text_that_is_no_unicode_is_refused(assistant, session_id):
    with pytest.raises(twinchat.InvalidArgument, match="UTF-8"):
        assistant.send(session_id, "half a pair: \ud800")


def test_on_text_gets_the_pieces_on_the_calling_thread(assistant, session_id, standin):
    standin.script({"chunks": ["One ", "two ", "three"]})
    seen = []
    turn = assistant.send(
        session_id, "Count", on_text=lambda piece: seen.append((piece, threading.get_ident()))
    )
    assert "".join(piece for piece, _ in seen) == turn.text == "One two three"
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_on_text_stops_the_model_with_false(assistant, session_id, standin):
    standin.script({"chunks": ["One ", "two ", "three"], "chunk_ms": 50})
    turn = assistant.send(session_id, "Count", on_text=lambda piece: False)
    assert turn.status is twinchat.TurnStatus.CANCELLED
    assert turn.text == "One "


def test_an_exception_of_on_text_comes_out_as_itself(assistant, session_id, standin):
    class Mine(Exception):
        pass

    error = Mine("my own")

    def on_text(piece):
        raise error

    standin.script({"chunks": ["One ", "two"], "chunk_ms": 50})
    with pytest.raises(Mine) as raised:
        assistant.send(session_id, "Count", on_text=on_text)
    assert raised.value is error
    assert [each.name for each in raised.traceback][-1] == "on_text"
    assert assistant.history(session_id)[-1].status is twinchat.TurnStatus.CANCELLED
    assert assistant.send(session_id, "Again").status is twinchat.TurnStatus.COMPLETE


def test_generation_settings_are_merged_field_by_field(store, model, standin):
    with twinchat.Assistant(
        store, model, generation=twinchat.GenerationConfig(seed=7, stop_sequences=("END",))
    ) as assistant:
        session = assistant.create_session()
        assistant.send(
            session.session_id, "Hello", generation=twinchat.GenerationConfig(max_output_tokens=50)
        )
    config = standin.requests()[-1]["body"]["generationConfig"]
    assert config["seed"] == 7
    assert config["stopSequences"] == ["END"]
    assert config["maxOutputTokens"] == 50


def test_a_message_under_one_key_is_asked_once(assistant, session_id, standin):
    first = assistant.send(session_id, "Hello", idempotency_key="k")
    again = assistant.send(session_id, "Hello", idempotency_key="k")
    assert again.replayed and again.text == first.text
    assert standin.stats()["calls"] == 1
    with pytest.raises(twinchat.AlreadyExists):
        assistant.send(session_id, "Something else", idempotency_key="k")


def test_an_unknown_session_is_created_on_request(assistant):
    with pytest.raises(twinchat.NotFound):
        assistant.send("new", "Hello")
    assert assistant.send("new", "Hello", create_session=True).session_id == "new"


def test_a_refusal_is_an_answer(store, model, standin):
    standin.script({"block_reason": "SAFETY"})
    with twinchat.Assistant(store, model, refusal="I would rather not.") as assistant:
        session = assistant.create_session()
        turn = assistant.send(session.session_id, "Hello")
    assert turn.status is twinchat.TurnStatus.BLOCKED
    assert turn.text == "I would rather not."
    assert turn.block_reason == "SAFETY"
    with pytest.raises(twinchat.Blocked) as raised:
        turn.raise_for_status()
    assert str(raised.value) == "The model refused to answer."
    assert raised.value.reason == "SAFETY"


def test_a_turn_without_an_answer_can_be_made_an_exception(assistant, session_id, standin):
    assert assistant.send(session_id, "Hello").raise_for_status().text == "Echo 1: Hello"
    standin.script({"status": 400})
    with pytest.raises(twinchat.TwinchatError) as sent:
        assistant.send(session_id, "Fails")
    failed = assistant.history(session_id)[-1]
    assert failed.status is twinchat.TurnStatus.FAILED
    with pytest.raises(type(sent.value)):
        failed.raise_for_status()
    stopped = assistant.send(session_id, "Stops", on_text=lambda text: False)
    with pytest.raises(twinchat.Cancelled):
        stopped.raise_for_status()


def test_the_clock_can_be_given(store, model):
    noon = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
    with twinchat.Assistant(store, model, now=lambda: noon) as assistant:
        assert assistant.create_session().created_at == noon


def test_the_tokens_of_a_day_can_be_limited(store, model):
    with twinchat.Assistant(store, model, daily_tokens=1) as assistant:
        session = assistant.create_session()
        assistant.send(session.session_id, "Hello")
        with pytest.raises(twinchat.RateLimited) as raised:
            assistant.send(session.session_id, "Again")
    assert raised.value.reason == "DAILY_TOKENS"
    assert timedelta(0) < raised.value.retry_after <= timedelta(days=1)


def call_of(name, args):
    return {"body": {"candidates": [{"content": {"role": "model", "parts": [
        {"functionCall": {"name": name, "args": args}, "thoughtSignature": "c2ln"}]},
        "finishReason": "STOP"}]}}


def weather_tool(function):
    schema = json.dumps({"type": "object", "properties": {"city": {"type": "string"}}})
    return twinchat.Tool(twinchat.FunctionDeclaration("weather", "The weather.", schema), function)


def test_a_tool_gets_a_dict_and_gives_what_json_can_say(store, model, standin):
    seen = []

    def weather(args):
        seen.append((args, threading.get_ident()))
        return {"sky": "blue", "degrees": 21.5}

    standin.script(call_of("weather", {"city": "Köln"}), {"text": "It is fine."})
    with twinchat.Assistant(store, model, tools=[weather_tool(weather)]) as assistant:
        session = assistant.create_session()
        assert assistant.send(session.session_id, "The weather?").text == "It is fine."
    assert seen == [({"city": "Köln"}, threading.get_ident())]
    parts = standin.requests()[-1]["body"]["contents"][-1]["parts"]
    assert parts[0]["functionResponse"]["response"] == {"sky": "blue", "degrees": 21.5}


def test_a_tool_that_fails_is_logged_without_what_was_said(store, model, standin, caplog):
    def weather(args):
        raise KeyError("words of a visitor")

    standin.script(call_of("weather", {}), {"text": "I do not know."})
    with twinchat.Assistant(store, model, tools=[weather_tool(weather)]) as assistant:
        session = assistant.create_session()
        with caplog.at_level(logging.ERROR, logger="twinchat"):
            assert assistant.send(session.session_id, "Hm?").text == "I do not know."
    assert "tool weather failed: KeyError at " in caplog.text
    assert "words of a visitor" not in caplog.text
    parts = standin.requests()[-1]["body"]["contents"][-1]["parts"]
    assert parts[0]["functionResponse"]["response"] == {"error": "the function failed"}


def test_a_tool_that_exits_ends_the_send(store, model, standin):
    def weather(args):
        raise SystemExit(3)

    standin.script(call_of("weather", {}), {"hang": True})
    with twinchat.Assistant(store, model, tools=[weather_tool(weather)]) as assistant:
        session = assistant.create_session()
        with pytest.raises(SystemExit):
            assistant.send(session.session_id, "Hm?")
        assert assistant.history(session.session_id)[-1].status is twinchat.TurnStatus.CANCELLED


def test_a_tool_may_use_another_assistant(standin, model):
    def weather(args):
        with twinchat.Assistant(twinchat.make_memory_store(), Answering(str.upper)) as inner:
            return inner.send("inner", "sunny", create_session=True).text

    standin.script(call_of("weather", {}), {"text": "Well."})
    with twinchat.Assistant(
        twinchat.make_memory_store(), model, tools=[weather_tool(weather)]
    ) as assistant:
        assistant.send("outer", "Hm?", create_session=True)
    parts = standin.requests()[-1]["body"]["contents"][-1]["parts"]
    assert parts[0]["functionResponse"]["response"] == {"result": "SUNNY"}


def test_a_stop_source_stops_a_send_from_another_thread(assistant, session_id, standin):
    standin.script({"hang": True})
    source = twinchat.StopSource()

    def stop():
        wait_until(lambda: standin.stats()["in_flight"] == 1)
        source.request_stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(twinchat.Cancelled):
        assistant.send(session_id, "Hello", stop_token=source.get_token())
    stopper.join()
    assert source.stop_requested()
    assert assistant.history(session_id)[-1].status is twinchat.TurnStatus.CANCELLED


def test_closing_stops_what_is_under_way_and_happens_once(store, model, standin):
    standin.script({"hang": True, "times": 0})
    assistant = twinchat.Assistant(store, model)
    session = assistant.create_session()
    raised = []

    def ask():
        try:
            assistant.send(session.session_id, "Hello")
        except twinchat.TwinchatError as error:
            raised.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: standin.stats()["in_flight"] == 1)
    assistant.close()
    assistant.close()
    asking.join()
    assert [type(error) for error in raised] == [twinchat.Cancelled]
    assert store.turns(session.session_id, 1)[0].status is twinchat.TurnStatus.CANCELLED
    for use in (
        lambda: assistant.send(session.session_id, "Hello"),
        lambda: assistant.stream(session.session_id, "Hello"),
        lambda: assistant.messages(session.session_id),
        lambda: assistant.create_session(),
    ):
        with pytest.raises(twinchat.FailedPrecondition, match="closed"):
            use()


def test_closing_in_a_function_that_the_assistant_calls_is_refused(assistant, session_id):
    def on_text(piece):
        assistant.close()

    with pytest.raises(twinchat.FailedPrecondition):
        assistant.send(session_id, "Hello", on_text=on_text)
    assert assistant.send(session_id, "Again").status is twinchat.TurnStatus.COMPLETE


def test_closing_in_its_model_is_refused_on_every_thread():
    refused = []

    def answer(text):
        try:
            assistant.close()
        except twinchat.FailedPrecondition as error:
            refused.append(error)
        return text

    with twinchat.Assistant(twinchat.make_memory_store(), Answering(answer)) as assistant:
        assistant.send("s", "Hello", create_session=True)
        assert "".join(assistant.stream("s", "Hello"))
    assert len(refused) == 2


def test_only_stores_and_models_are_taken(store, model):
    with pytest.raises(TypeError, match="store: expected Store"):
        twinchat.Assistant(model, model)
    with pytest.raises(TypeError, match="model: expected Model"):
        twinchat.Assistant(store, object())
    assert isinstance(store, twinchat.Store) and isinstance(model, twinchat.Model)
