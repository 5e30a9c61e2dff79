"""Errors: one class a code, with what is known."""

from datetime import timedelta

import pytest

import twinchat


def test_every_code_has_a_class_and_every_class_a_code():
    classes = twinchat.TwinchatError.__subclasses__()
    assert sorted(each.code for each in classes) == sorted(twinchat.ErrorCode)
    for each in classes:
        assert getattr(twinchat, each.__name__) is each


@pytest.mark.parametrize("made", twinchat.TwinchatError.__subclasses__())
def test_every_class_goes_through_the_library_and_comes_back(made, store):
    class Raising(twinchat.Model):
        def name(self):
            return "raising"

        def generate(self, request, options):
            raise made("It did not work.", reason="WHY", retry_after=timedelta(seconds=2))

    with twinchat.Assistant(store, Raising()) as assistant:
        session = assistant.create_session()
        with pytest.raises(made) as raised:
            assistant.send(session.session_id, "Hello")
    assert type(raised.value) is made
    assert str(raised.value) == "It did not work."
    assert raised.value.reason == "WHY"
    assert raised.value.retry_after == timedelta(seconds=2)


def test_the_natural_builtin_classes_catch_them_too(assistant, session_id):
    with pytest.raises(LookupError):
        assistant.session("no-such-session")
    with pytest.raises(ValueError):
        assistant.send(session_id, "")
    assert issubclass(twinchat.DeadlineExceeded, TimeoutError)


def test_a_quota_says_when_to_come_back(assistant, session_id, standin):
    standin.script(
        {
            "error": {
                "code": 429,
                "status": "RESOURCE_EXHAUSTED",
                "message": "Quota.",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.RetryInfo",
                        "retryDelay": "7.5s",
                    }
                ],
            }
        }
    )
    with pytest.raises(twinchat.RateLimited) as raised:
        assistant.send(session_id, "Hello")
    error = raised.value
    assert error.retry_after == timedelta(seconds=7.5)
    assert error.retryable
    assert error.http_status == 429
    assert error.upstream_status == "RESOURCE_EXHAUSTED"
    assert error.attempts == 1
    assert error.model == "gemini-3.5-flash-lite"
    assert assistant.history(session_id)[-1].error_code == "RESOURCE_EXHAUSTED"


def test_a_limit_of_time_says_which(assistant, session_id, standin):
    standin.script({"hang": True})
    with pytest.raises(twinchat.DeadlineExceeded) as raised:
        assistant.send(session_id, "Hello", timeout=0.5)
    assert raised.value.stage == "deadline"
    standin.script({"hang": True})
    with pytest.raises(TimeoutError) as raised:
        assistant.send(
            session_id,
            "Hello",
            model_timeouts=twinchat.Timeouts(first_byte=timedelta(milliseconds=200)),
        )
    assert raised.value.stage == "first byte"


def test_a_refused_key_is_told_without_the_key(store, standin):
    model = twinchat.make_gemini_model(api_key="bad-key", base_url=standin.url)
    with twinchat.Assistant(store, model) as assistant:
        session = assistant.create_session()
        with pytest.raises(twinchat.TwinchatError) as raised:
            assistant.send(session.session_id, "Hello")
    assert raised.value.reason == "API_KEY_INVALID"
    assert "bad-key" not in repr(raised.value) + str(vars(raised.value))


def test_options_that_cannot_work_are_refused():
    with pytest.raises(twinchat.InvalidArgument, match="API key"):
        twinchat.make_gemini_model()
    with pytest.raises(twinchat.InvalidArgument):
        twinchat.open_store("ftp://example.com")
    # Whether or not this build knows PostgreSQL.
    with pytest.raises((twinchat.Unimplemented, twinchat.Unavailable)):
        twinchat.open_store("postgresql://127.0.0.1:1/x")
