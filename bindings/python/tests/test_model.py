"""A model that is written in Python, and the library's own used without an assistant."""

import gc
import threading
import time
import weakref

import pytest

import twinchat
from conftest import Answering, wait_until

QUESTION = twinchat.GenerateRequest(
    contents=(twinchat.text_content(twinchat.Role.USER, "Hello"),)
)


def send(model, text="Hello", **options):
    with twinchat.Assistant(twinchat.make_memory_store(), model) as assistant:
        return assistant.send("s", text, create_session=True, **options)


def test_it_gets_the_request_and_its_answer_is_kept():
    seen = []

    class Remembering(twinchat.Model):
        def name(self):
            return "remembering"

        def generate(self, request, options):
            seen.append((request, options))
            return twinchat.ModelAnswer(
                twinchat.text_content(twinchat.Role.MODEL, "Fine."),
                finish_reason_raw="STOP",
                usage=twinchat.Usage(prompt_tokens=3, total_tokens=5),
                model_version="r-1",
                attempts=2,
            )

    with twinchat.Assistant(
        twinchat.make_memory_store(),
        Remembering(),
        system_prompt="Be kind.",
        generation=twinchat.GenerationConfig(temperature=0.5),
        tools=[twinchat.Tool(twinchat.FunctionDeclaration("f", "d"), len)],
    ) as assistant:
        assistant.send("s", "One", create_session=True)
        turn = assistant.send(
            "s", "Two", timeout=30, model_timeouts=twinchat.Timeouts(idle=1.5)
        )
    request, options = seen[-1]
    assert request.system_instruction == "Be kind."
    assert request.config == twinchat.GenerationConfig(temperature=0.5)
    assert request.functions == (twinchat.FunctionDeclaration("f", "d"),)
    assert [(each.role, twinchat.visible_text(each)) for each in request.contents] == [
        (twinchat.Role.USER, "One"),
        (twinchat.Role.MODEL, "Fine."),
        (twinchat.Role.USER, "Two"),
    ]
    assert options.on_text is None
    assert not options.stop_token.stop_requested()
    assert time.monotonic() < options.deadline <= time.monotonic() + 30
    assert options.timeouts.idle.total_seconds() == 1.5
    assert turn.text == "Fine."
    assert (turn.model, turn.model_version, turn.attempts) == ("remembering", "r-1", 2)
    assert turn.usage == twinchat.Usage(prompt_tokens=3, total_tokens=5)


def test_its_pieces_reach_the_caller():
    seen = []
    assert send(Answering(str.upper), "a b c", on_text=seen.append).text == "A B C"
    assert seen == ["A ", "B ", "C "]


def test_it_is_told_that_nobody_listens_any_more():
    heard = []

    class Talking(Answering):
        def generate(self, request, options):
            while options.on_text("word "):
                pass
            heard.append(options.stop_token.stop_requested())
            return twinchat.ModelAnswer(twinchat.text_content(twinchat.Role.MODEL, "word"))

    turn = send(Talking(str), on_text=lambda piece: False)
    assert turn.status is twinchat.TurnStatus.CANCELLED
    assert heard == [True]


def test_its_on_text_is_of_no_use_after_the_call():
    kept = []

    class Keeping(Answering):
        def generate(self, request, options):
            kept.append(options.on_text)
            return super().generate(request, options)

    send(Keeping(str), on_text=print)
    assert kept[0]("late") is False


def test_its_exception_is_the_cause_of_what_the_caller_gets():
    error = ZeroDivisionError("of the model's own")

    def answer(text):
        raise error

    with pytest.raises(twinchat.Unknown) as raised:
        send(Answering(answer))
    assert raised.value.__cause__ is error
    assert [each.tb_frame.f_code.co_name for each in frames(error)][-1] == "answer"
    assert "own" not in str(raised.value.diagnostic)
    assert raised.value.diagnostic == "it raised ZeroDivisionError"


def frames(error):
    trace = error.__traceback__
    while trace:
        yield trace
        trace = trace.tb_next


def test_its_twinchat_errors_come_out_as_themselves():
    class OutOfCredit(twinchat.RateLimited):
        pass

    error = OutOfCredit("No credit is left.", retryable=True)

    def answer(text):
        raise error

    with pytest.raises(OutOfCredit) as raised:
        send(Answering(answer))
    assert raised.value is error


def test_an_answer_of_another_type_is_told_by_name():
    class Wrong(Answering):
        def generate(self, request, options):
            return "text"

    with pytest.raises(twinchat.Unknown) as raised:
        send(Wrong(str))
    assert str(raised.value.__cause__) == "Model.generate: expected ModelAnswer, not str"


def test_a_class_without_its_functions_cannot_be_made():
    class Half(twinchat.Model):
        def name(self):
            return "half"

    with pytest.raises(TypeError, match="generate"):
        Half()


def test_it_lives_for_as_long_as_an_assistant_has_it():
    model = Answering(str.upper)
    watched = weakref.ref(model)
    assistant = twinchat.Assistant(twinchat.make_memory_store(), model)
    del model
    gc.collect()
    assert assistant.send("s", "hello", create_session=True).text == "HELLO"
    assistant.close()
    gc.collect()
    assert watched() is None


def test_it_is_asked_by_many_threads_at_once():
    meeting = threading.Barrier(8, timeout=60)

    def answer(text):
        meeting.wait()
        return text.upper()

    with twinchat.Assistant(twinchat.make_memory_store(), Answering(answer)) as assistant:
        answers = [None] * 8

        def ask(i):
            answers[i] = assistant.send(str(i), f"q{i}", create_session=True).text

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [f"Q{i}" for i in range(8)]


def test_one_that_waits_for_the_stop_is_closed_with_its_assistant():
    began = threading.Event()

    class Waiting(Answering):
        def generate(self, request, options):
            began.set()
            while not options.stop_token.stop_requested():
                time.sleep(0.005)
            raise twinchat.Cancelled("Stopped.")

    assistant = twinchat.Assistant(twinchat.make_memory_store(), Waiting(str))
    stream = assistant.stream("s", "Hello", create_session=True)
    assert began.wait(60)
    assistant.close()
    with pytest.raises(twinchat.Cancelled):
        next(stream)


def test_the_librarys_own_answers_without_an_assistant(model, standin):
    assert model.name() == "gemini-3.5-flash-lite"
    answer = model.generate(QUESTION, twinchat.CallOptions())
    assert twinchat.visible_text(answer.content) == "Echo 1: Hello"
    assert answer.content.role is twinchat.Role.MODEL
    pieces = []
    answer = model.generate(QUESTION, twinchat.CallOptions(on_text=pieces.append))
    assert "".join(pieces) == "Echo 1: Hello"


def test_the_librarys_own_is_stopped_by_a_token_a_deadline_and_an_exception(model, standin):
    standin.script({"hang": True, "times": 2}, {"chunks": ["One ", "two"], "chunk_ms": 50})
    source = twinchat.StopSource()
    stopper = threading.Thread(
        target=lambda: (
            wait_until(lambda: standin.stats()["in_flight"] == 1),
            source.request_stop(),
        )
    )
    stopper.start()
    with pytest.raises(twinchat.Cancelled):
        model.generate(QUESTION, twinchat.CallOptions(stop_token=source.get_token()))
    stopper.join()
    with pytest.raises(twinchat.DeadlineExceeded):
        model.generate(QUESTION, twinchat.CallOptions(deadline=time.monotonic() + 0.2))

    def on_text(piece):
        raise KeyError(piece)

    with pytest.raises(KeyError):
        model.generate(QUESTION, twinchat.CallOptions(on_text=on_text))


def test_one_may_stand_in_front_of_the_librarys_own(model, standin):
    class Watching(twinchat.Model):
        calls = 0

        def name(self):
            return model.name()

        def generate(self, request, options):
            self.calls += 1
            return model.generate(request, options)

    watching, pieces = Watching(), []
    assert send(watching, on_text=pieces.append).text == "".join(pieces) == "Echo 1: Hello"
    assert watching.calls == 1


def test_a_bearer_token_is_asked_for(standin):
    model = twinchat.make_gemini_model(bearer_token=lambda: "tok", base_url=standin.url)
    send(model)
    assert standin.requests()[-1]["headers"]["authorization"] == "Bearer tok"

    def failing():
        raise KeyError("no token")

    model = twinchat.make_gemini_model(bearer_token=failing, base_url=standin.url)
    with pytest.raises(twinchat.Unknown) as raised:
        send(model)
    assert isinstance(raised.value.__cause__, KeyError)


def test_the_breaker_tells(standin):
    told = []
    model = twinchat.make_gemini_model(
        api_key="key",
        base_url=standin.url,
        retry=twinchat.RetryOptions(max_attempts=1),
        breaker=twinchat.BreakerOptions(min_calls=2, failure_ratio=0.5),
        on_breaker=lambda *change: told.append(change),
    )
    standin.script({"status": 503, "times": 2})
    for _ in range(2):
        with pytest.raises(twinchat.Unavailable):
            send(model)
    wait_until(lambda: told)
    assert told == [("gemini-3.5-flash-lite", True)]
