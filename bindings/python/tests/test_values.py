"""Values: dataclasses with the library's fields and defaults."""

import copy
import dataclasses
import enum
import inspect
import pickle
from datetime import datetime, timedelta, timezone

import pytest

import twinchat
from twinchat import _twinchat

NOW = datetime(2026, 11, 26, 13, 0, 0, 123456, tzinfo=timezone.utc)
USER = twinchat.UserDetails("Jane Doe", "jane@example.com", "+123")
QUESTION = twinchat.Message(1, "I have a secret.", False, NOW)
TURN = twinchat.Turn(
    1,
    "80eed4df-02f0-4d0c-ac29-32b408f9cbec",
    twinchat.TurnStatus.COMPLETE,
    QUESTION,
    twinchat.Message(2, "Do tell.", True, NOW),
)


def test_repr_hides_what_visitors_say_and_who_they_are():
    shown = repr([USER, TURN, twinchat.UserDetailsUpdate(name="Jane Doe")])
    for secret in ("Jane", "example.com", "+123", "I have a secret", "Do tell", "4d0c"):
        assert secret not in shown
    assert "name=<8 characters>" in shown
    assert "'80eed4df...'" in shown
    assert "status=<TurnStatus.COMPLETE" in shown


def test_values_are_equal_by_what_they_hold_and_can_be_keys():
    same = copy.deepcopy(TURN)
    assert same == TURN and same is not TURN
    assert {TURN: 1}[same] == 1
    assert dataclasses.replace(TURN, attempts=2) != TURN
    assert TURN.text == "Do tell."


def test_values_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TURN.attempts = 3  # type: ignore[misc]


def test_values_and_errors_survive_pickling():
    assert pickle.loads(pickle.dumps([TURN, twinchat.KEEP])) == [TURN, twinchat.KEEP]
    error = twinchat.RateLimited("later", retry_after=timedelta(seconds=3), reason="QUOTA")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is twinchat.RateLimited
    assert (str(again), again.retry_after, again.reason) == ("later", timedelta(seconds=3), "QUOTA")


def test_values_match_patterns():
    match TURN:
        case twinchat.Turn(status=twinchat.TurnStatus.COMPLETE, answer=twinchat.Message(_, text)):
            assert text == "Do tell."
        case _:
            pytest.fail("no match")


def test_times_are_aware_and_exact(store):
    zone = timezone(timedelta(hours=5, minutes=30))
    made = store.create_session("s", USER, NOW.astimezone(zone))
    assert made.created_at == NOW
    assert made.created_at.tzinfo is timezone.utc
    assert made.user == USER


def test_a_naive_time_is_refused(store):
    with pytest.raises(twinchat.InvalidArgument, match="time zone"):
        store.create_session("s", USER, NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"system_prompt": 3}, r"AssistantOptions.system_prompt: expected str, not int"),
        ({"history_turns": "20"}, r"AssistantOptions.history_turns: expected int, not str"),
        ({"turn_timeout": "1s"}, r"expected timedelta or seconds, not str"),
        ({"generation": {}}, r"expected GenerationConfig, not dict"),
    ],
)
def test_a_wrong_type_is_a_type_error_that_names_the_option(store, model, given, message):
    with pytest.raises(TypeError, match=message):
        twinchat.Assistant(store, model, **given)


@pytest.mark.parametrize("timeout", [float("nan"), float("inf"), 10**30, -(10**30)])
def test_a_duration_that_is_none_is_refused(store, model, timeout):
    with pytest.raises(twinchat.InvalidArgument):
        twinchat.Assistant(store, model, turn_timeout=timeout)


def test_a_number_out_of_range_is_refused(store, model):
    for turns in (-1, 2**70):
        with pytest.raises(twinchat.InvalidArgument, match="history_turns"):
            twinchat.Assistant(store, model, history_turns=turns)


def test_problems_lists_all_that_is_wrong():
    found = twinchat.problems(twinchat.UserDetailsUpdate(email="no", phone="1" * 21))
    assert [problem.field for problem in found] == ["email", "phone"]
    assert twinchat.problems(twinchat.UserDetailsUpdate(email=None)) == []


def test_finish_reasons_are_told_apart():
    assert twinchat.finish_reason_from("MAX_TOKENS") is twinchat.FinishReason.MAX_TOKENS
    assert twinchat.finish_reason_from("NEW_ONE") is twinchat.FinishReason.UNRECOGNIZED
    assert twinchat.finish_reason_from("") is twinchat.FinishReason.NONE


def given_defaults():
    """Class or function of the package, and the library's struct that its defaults are of."""
    yield twinchat.Assistant.__init__, "AssistantOptions"
    yield twinchat.Assistant.send, "SendOptions"
    yield twinchat.Assistant.stream, "SendOptions"
    yield twinchat.Assistant.asend, "SendOptions"
    yield twinchat.Assistant.astream, "SendOptions"
    yield twinchat.Assistant.messages, "MessageQuery"
    yield twinchat.Assistant.create_session, "UserDetails"
    yield twinchat.Assistant.update_user, "UserDetailsUpdate"
    yield twinchat.make_gemini_model, "GeminiOptions"
    yield twinchat.open_sqlite_store, "SqliteStoreOptions"
    yield twinchat.TwinchatError.__init__, "ErrorDetails"
    for name in _twinchat.defaults():
        if hasattr(twinchat, name):
            yield getattr(twinchat, name), name


@pytest.mark.parametrize("made, struct", given_defaults(), ids=lambda each: str(each))
def test_defaults_are_those_of_the_library(made, struct):
    library = _twinchat.defaults()[struct]
    parameters = inspect.signature(made).parameters
    assert library.keys() <= parameters.keys()
    for name, default in library.items():
        ours = parameters[name].default
        if ours is None and (struct, name) in {
            ("AssistantOptions", "refusal"),
            ("SendOptions", "generation"),
            ("SendOptions", "details"),
        }:
            continue  # None stands for the library's
        assert ours == default, name


@pytest.mark.parametrize("made, struct", given_defaults(), ids=lambda each: str(each))
def test_options_are_given_by_name(made, struct):
    if struct in {"Usage", "UserDetails"} or struct in {
        "Part", "Content", "FunctionCall", "FunctionResponse", "GenerateRequest", "ModelAnswer",
    }:
        return
    for name in _twinchat.defaults()[struct]:
        kind = inspect.signature(made).parameters[name].kind
        assert kind is inspect.Parameter.KEYWORD_ONLY, name


def test_public_names_say_where_they_are():
    for name in twinchat.__all__:
        value = getattr(twinchat, name)
        if isinstance(value, type) and not issubclass(value, enum.Enum):
            assert value.__module__ == "twinchat", name


def test_the_version_is_the_librarys():
    assert twinchat.__version__.count(".") == 2
