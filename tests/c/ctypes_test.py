"""The C API from a language that knows nothing of C++: the main job through Python's ctypes, written
after twinchat.h alone. Usage: ctypes_test.py LIBTWINCHAT_C STANDIN"""

import ctypes
import sys
import tempfile
import threading
import unittest
from ctypes import (CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32,
                    c_void_p)
from pathlib import Path

from replies import REPLIES
from started import StandIn

LIBRARY, STANDIN = (Path(argument).resolve() for argument in sys.argv[1:3])

NTS = c_size_t(-1).value
OK, CANCELLED, NOT_FOUND, RESOURCE_EXHAUSTED, UNAVAILABLE = 0, 1, 5, 8, 14
UNAUTHENTICATED = 16
COMPLETE, STOPPED = 1, 6

OnText = CFUNCTYPE(c_int, c_void_p, c_char_p, c_size_t)
OnDone = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
Generate = CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)
ToolFunction = CFUNCTYPE(None, c_void_p, c_char_p, c_void_p)


class Sized(ctypes.Structure):
    """A struct of options, whose first field says how long it is."""

    def __init__(self, **fields):
        super().__init__(ctypes.sizeof(self), **fields)


class GeminiOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("api_key", c_char_p), ("model", c_char_p),
                ("fallback_models", POINTER(c_char_p)), ("base_url", c_char_p),
                ("api_version", c_char_p), ("safety_settings", POINTER(c_char_p)),
                ("max_output_tokens", c_int32), ("max_attempts", c_int32),
                ("connect_timeout_ms", c_int64), ("first_byte_timeout_ms", c_int64),
                ("idle_timeout_ms", c_int64), ("total_timeout_ms", c_int64),
                ("max_in_flight", c_int64), ("max_connections", c_int64), ("proxy", c_char_p),
                ("ca_file", c_char_p), ("on_warning", c_void_p), ("user_data", c_void_p)]


class Tool(Sized):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("description", c_char_p),
                ("parameters_json_schema", c_char_p), ("function", ToolFunction),
                ("user_data", c_void_p), ("release", c_void_p)]


class AssistantOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("system_prompt", c_char_p), ("history_turns", c_int64),
                ("history_tokens", c_int64), ("max_message_length", c_int64), ("refusal", c_char_p),
                ("turn_timeout_ms", c_int64), ("max_queued", c_int64), ("daily_tokens", c_int64),
                ("max_tool_rounds", c_int32), ("generation", c_void_p),
                ("tools", POINTER(POINTER(Tool)))]


class Details(Sized):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("email", c_char_p),
                ("phone", c_char_p), ("clear", c_uint32)]


class SendOptions(Sized):
    _fields_ = [("struct_size", c_size_t), ("on_text", OnText), ("user_data", c_void_p),
                ("cancel", c_void_p), ("timeout_ms", c_int64), ("idempotency_key", c_char_p),
                ("generation", c_void_p), ("details", POINTER(Details)), ("create_session", c_int)]


twinchat = ctypes.CDLL(str(LIBRARY))
for name in ("version", "code_name", "status_name", "error_message", "error_reason", "session_id",
             "session_name", "session_email", "message_text", "turn_text", "request_text",
             "request_system_prompt"):
    getattr(twinchat, f"twinchat_{name}").restype = c_char_p
for name in ("message_list_at", "turn_list_at", "turn_answer", "cancel_new"):
    getattr(twinchat, f"twinchat_{name}").restype = c_void_p
for name in ("message_list_count", "turn_list_count", "request_count"):
    getattr(twinchat, f"twinchat_{name}").restype = c_size_t
twinchat.twinchat_error_retry_after_ms.restype = c_int64
twinchat.twinchat_turn_text.argtypes = [c_void_p, c_void_p]
twinchat.twinchat_message_text.argtypes = [c_void_p, c_void_p]
twinchat.twinchat_message_list_at.argtypes = [c_void_p, c_size_t]
twinchat.twinchat_messages.argtypes = [c_void_p, c_char_p, c_int64, c_size_t, c_void_p, c_void_p]
twinchat.twinchat_request_text.argtypes = [c_void_p, c_size_t, c_void_p]
twinchat.twinchat_reply_add.argtypes = [c_void_p, c_char_p, c_size_t]
twinchat.twinchat_reply_fail.argtypes = [c_void_p, c_int, c_char_p, c_int64]
twinchat.twinchat_send.argtypes = [c_void_p, c_char_p, c_char_p, c_size_t, c_void_p, c_void_p,
                                   c_void_p]
twinchat.twinchat_start_send.argtypes = [c_void_p, c_char_p, c_char_p, c_size_t, c_void_p, OnDone,
                                         c_void_p, c_void_p]


class Failure(Exception):
    """A twinchat_error, read and freed."""

    def __init__(self, code, error):
        assert code == twinchat.twinchat_error_code(error)
        self.code = code
        self.reason = twinchat.twinchat_error_reason(error)
        self.retry_after_ms = twinchat.twinchat_error_retry_after_ms(error)
        super().__init__(twinchat.twinchat_error_message(error).decode())
        twinchat.twinchat_error_free(error)


def call(function, *arguments, gives=True):
    """Calls a function that may fail. What it gives, when `gives`, is its last out parameter."""
    out, error = c_void_p(), c_void_p()
    code = getattr(twinchat, f"twinchat_{function}")(*arguments, *([byref(out)] if gives else []),
                                                    byref(error))
    if code != OK:
        assert not out
        raise Failure(code, error)
    assert not error
    return out


def text_of(turn):
    return twinchat.twinchat_turn_text(turn, None)


class CtypesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.standin = self.enterContext(StandIn(STANDIN, None, folder.name))
        self.standin.script(*REPLIES)

    def freed(self, kind, handle):
        self.addCleanup(getattr(twinchat, f"twinchat_{kind}_free"), handle)
        return handle

    def gemini(self, key=b"test-key"):
        options = GeminiOptions(api_key=key, base_url=self.standin.url.encode(), max_attempts=1)
        return self.freed("model", call("model_gemini", byref(options)))

    def assistant(self, model=None, url="memory:", **options):
        store = self.freed("store", call("store_open", url.encode()))
        return self.freed("assistant", call("assistant_new", store, model or self.gemini(),
                                            byref(AssistantOptions(**options))))

    def session(self, assistant, **details):
        session = self.freed("session",
                             call("create_session", assistant, byref(Details(**details))))
        return twinchat.twinchat_session_id(session)

    def send(self, assistant, session, text, **options):
        return self.freed("turn", call("send", assistant, session, text.encode(), NTS,
                                       byref(SendOptions(**options))))

    def test_main_job(self):
        assistant = self.assistant(url=f"sqlite:///{self.folder}/chat.db",
                                   system_prompt="Du bist ein Prüfling.".encode())
        session = self.session(assistant, name="Jané".encode())
        turn = self.send(assistant, session, "Wie geht's, Ärztin? 🙂")
        self.assertEqual(text_of(turn).decode(), "Echo 1: Wie geht's, Ärztin? 🙂")
        self.assertEqual(twinchat.twinchat_turn_status(turn), COMPLETE)
        sent = self.standin.requests()[0]["body"]
        self.assertEqual(sent["systemInstruction"]["parts"][0]["text"], "Du bist ein Prüfling.")

        updated = self.freed("session", call("update_user", assistant, session,
                                             byref(Details(email=b"jane@example.com"))))
        self.assertEqual(twinchat.twinchat_session_name(updated).decode(), "Jané")
        self.assertEqual(twinchat.twinchat_session_email(updated), b"jane@example.com")
        found = call("find_session", assistant, b"nobody")
        self.assertFalse(found)

        messages = self.freed("message_list", call("messages", assistant, session, 0, 0))
        self.assertEqual(twinchat.twinchat_message_list_count(messages), 2)
        last = c_void_p(twinchat.twinchat_message_list_at(messages, 1))
        length = c_size_t()
        text = twinchat.twinchat_message_text(last, byref(length))
        self.assertEqual(len(text), length.value)
        self.assertEqual(twinchat.twinchat_message_is_bot(last), 1)

    def test_streaming_and_stopping(self):
        assistant = self.assistant()
        session = self.session(assistant)
        pieces = []

        @OnText
        def two(_, text, length):
            self.assertEqual(len(text), length)
            pieces.append(text.decode())
            return len(pieces) < 2

        turn = self.send(assistant, session, "slow stream", on_text=two)
        self.assertEqual(pieces, ["one ", "two "])
        self.assertEqual(text_of(turn), b"one two ")
        self.assertEqual(twinchat.twinchat_turn_status(turn), STOPPED)

    def test_cancelling_from_another_thread(self):
        assistant = self.assistant()
        session = self.session(assistant)
        cancel = self.freed("cancel", c_void_p(twinchat.twinchat_cancel_new()))

        def stop_when_asked():
            while self.standin.stats()["in_flight"] == 0:
                pass
            twinchat.twinchat_cancel_request(cancel)

        thread = threading.Thread(target=stop_when_asked)
        thread.start()
        with self.assertRaises(Failure) as caught:
            self.send(assistant, session, "never answered", cancel=cancel)
        thread.join()
        self.assertEqual(caught.exception.code, CANCELLED)

    def test_many_sends_without_waiting(self):
        assistant = self.assistant()
        all_done = threading.Semaphore(0)
        answers = {}

        @OnDone
        def on_done(index, turn, error):
            self.assertIsNone(error)
            answers[index or 0] = text_of(c_void_p(turn)).decode()
            twinchat.twinchat_turn_free(c_void_p(turn))
            all_done.release()

        for index in range(20):
            call("start_send", assistant, self.session(assistant), f"question {index}".encode(), NTS,
                 None, on_done, index, gives=False)
        for _ in range(20):
            self.assertTrue(all_done.acquire(timeout=60))
        self.assertEqual(answers, {i: f"Echo 1: question {i}" for i in range(20)})

    def test_errors(self):
        assistant = self.assistant()
        session = self.session(assistant)
        with self.assertRaises(Failure) as caught:
            self.send(assistant, session, "out of quota")
        self.assertEqual(caught.exception.code, RESOURCE_EXHAUSTED)
        self.assertEqual(caught.exception.retry_after_ms, 77_000)
        with self.assertRaises(Failure) as caught:
            self.send(assistant, b"nobody", "hello")
        self.assertEqual(caught.exception.code, NOT_FOUND)
        assistant = self.assistant(self.gemini(b"bad-key"))
        with self.assertRaises(Failure) as caught:
            self.send(assistant, self.session(assistant), "hello")
        self.assertEqual(caught.exception.code, UNAUTHENTICATED)
        self.assertEqual(caught.exception.reason, b"API_KEY_INVALID")
        self.assertEqual(twinchat.twinchat_code_name(UNAUTHENTICATED), b"UNAUTHENTICATED")

    def test_model_and_tool_in_python(self):
        @Generate
        def generate(_, request, reply):
            request, reply = c_void_p(request), c_void_p(reply)
            count = twinchat.twinchat_request_count(request)
            question = twinchat.twinchat_request_text(request, count - 1, None)
            if question == b"fail":
                twinchat.twinchat_reply_fail(reply, UNAVAILABLE, b"It rains.", 1_500)
            twinchat.twinchat_reply_add(reply, question.upper(), NTS)

        model = self.freed("model", call("model_from_callback", b"python", generate, None, None))
        assistant = self.assistant(model)
        session = self.session(assistant)
        turn = self.send(assistant, session, "hello")
        self.assertEqual(text_of(turn), b"HELLO")

        @ToolFunction
        def weather(_, args_json, reply):
            self.assertEqual(args_json, b'{"town":"Paris"}')
            twinchat.twinchat_reply_add(c_void_p(reply), b'{"degrees":21}', NTS)

        tool = Tool(name=b"weather", description=b"The weather of a town.", function=weather)
        tools = (POINTER(Tool) * 2)(ctypes.pointer(tool), None)
        assistant = self.assistant(tools=tools)
        turn = self.send(assistant, self.session(assistant), "use the tool")
        self.assertEqual(text_of(turn), b'Echo 2: weather={"degrees":21}')


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
