"""The GIL, signals, forks, and the end of the interpreter. What may end badly runs in a program of
its own."""

import signal
import subprocess
import sys
import threading

import pytest

import twinchat
from conftest import Answering, run_script, wait_until


def test_a_thread_counts_while_others_wait(assistant, standin):
    standin.script({"hang": True, "times": 0})
    sessions = [assistant.create_session().session_id for _ in range(8)]
    source = twinchat.StopSource()
    counted = 0
    ended = threading.Event()

    def wait(session_id):
        try:
            assistant.send(session_id, "Hello", stop_token=source.get_token())
        except twinchat.Cancelled:
            pass

    waiting = [threading.Thread(target=wait, args=(each,)) for each in sessions]
    for thread in waiting:
        thread.start()
    wait_until(lambda: standin.stats()["in_flight"] == 8)

    def count():
        nonlocal counted
        while not ended.is_set() and counted < 100_000:
            counted += 1

    # While they wait: were the GIL held, this thread would not get to its end.
    counting = threading.Thread(target=count)
    counting.start()
    counting.join(60)
    ended.set()
    assert counted == 100_000
    assert standin.stats()["in_flight"] == 8
    source.request_stop()
    for thread in waiting:
        thread.join()


def test_callbacks_of_many_threads_do_not_meet_in_a_deadlock(store):
    with twinchat.Assistant(store, Answering(lambda text: text + " " + "word " * 20)) as assistant:
        sessions = [assistant.create_session().session_id for _ in range(8)]
        lengths = []

        def talk(session_id):
            for i in range(10):
                pieces = []
                assistant.send(session_id, f"{i}", on_text=pieces.append)
                lengths.append(len(pieces))
                assert "".join(assistant.stream(session_id, f"{i}"))

        threads = [threading.Thread(target=talk, args=(each,)) for each in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(lengths) == 80


def test_an_assistant_that_is_let_go_of_stops_what_is_under_way(store, model, standin):
    standin.script({"hang": True})
    assistant = twinchat.Assistant(store, model)
    session = assistant.create_session()
    stream = assistant.stream(session.session_id, "Hello")
    wait_until(lambda: standin.stats()["in_flight"] == 1)
    del stream, assistant
    wait_until(lambda: standin.stats()["in_flight"] == 0)
    assert store.turns(session.session_id, 1)[0].status is twinchat.TurnStatus.CANCELLED


BEGIN = """
import os, signal, sys, threading, time
import twinchat

class Slow(twinchat.Model):
    def name(self):
        return "slow"
    def generate(self, request, options):
        print("asked", flush=True)
        while not options.stop_token.stop_requested():
            time.sleep(0.002)
            if options.on_text:
                options.on_text("word ")
        raise twinchat.Cancelled("Stopped.")

def store():
    return twinchat.open_store("sqlite:///" + sys.argv[1])

def gemini():
    return twinchat.make_gemini_model(api_key="key", base_url=sys.argv[2])
"""


# Whether it is streamed or not.
ENDLESS = (
    {"match": {"stream": True}, "chunks": ["word "] * 5000, "chunk_ms": 5},
    {"match": {"stream": False}, "hang": True},
)


@pytest.fixture
def database(tmp_path):
    return tmp_path / "chat.db"


def statuses(database):
    store = twinchat.open_sqlite_store(database, create=False)
    return [turn.status for turn in store.turns("s", 10)]


@pytest.mark.parametrize("model", ["Slow()", "gemini()"])
@pytest.mark.parametrize(
    "begun",
    [
        # In a thread that the interpreter does not wait for, ...
        "threading.Thread(target=lambda: assistant.send('s', 'Hi', create_session=True),"
        " daemon=True).start()",
        "threading.Thread(target=lambda: assistant.send('s', 'Hi', create_session=True,"
        " on_text=lambda piece: None), daemon=True).start()",
        # ... and in none at all.
        "stream = assistant.stream('s', 'Hi', create_session=True)",
    ],
)
def test_the_interpreter_ends_with_sends_under_way(database, standin, model, begun):
    standin.script(*ENDLESS)
    ended = run_script(
        BEGIN
        + f"assistant = twinchat.Assistant(store(), {model})\n"
        + begun
        + "\nwhile not assistant.history('s'): time.sleep(0.002)\n"
        + "time.sleep(0.05)\n",
        str(database),
        standin.url,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Fatal" not in ended.stderr
    assert statuses(database) == [twinchat.TurnStatus.CANCELLED]


def test_the_interpreter_ends_with_a_models_call_under_way(database, standin):
    standin.script({"hang": True})
    ended = run_script(
        BEGIN
        + """
model = gemini()
request = twinchat.GenerateRequest(contents=(twinchat.text_content(twinchat.Role.USER, "Hi"),))
def ask():
    try:
        model.generate(request, twinchat.CallOptions())
    except twinchat.Cancelled:
        pass  # Python itself dies when a thread writes to stdout while the interpreter ends.
threading.Thread(target=ask, daemon=True).start()
time.sleep(0.2)
""",
        str(database),
        standin.url,
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    "call, status",
    [
        ("assistant.send('s', 'Hi', create_session=True)", "CANCELLED"),
        ("assistant.send('s', 'Hi', create_session=True, on_text=lambda p: None)", "CANCELLED"),
        ("list(assistant.stream('s', 'Hi', create_session=True))", "CANCELLED"),
    ],
)
@pytest.mark.parametrize("model", ["Slow()", "gemini()"])
def test_ctrl_c_stops_a_call_that_blocks(database, standin, call, status, model):
    standin.script(*ENDLESS)
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            BEGIN
            + f"""
with twinchat.Assistant(store(), {model}) as assistant:
    print("ready", flush=True)
    try:
        {call}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
""",
            str(database),
            standin.url,
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdout
    assert program.stdout.readline() == "ready\n"
    wait_until(lambda: program.poll() is not None or database.exists() and statuses(database))
    program.send_signal(signal.SIGINT)
    assert program.wait(60) == 0
    assert "interrupted" in program.stdout.read()
    program.stdout.close()
    assert statuses(database) == [twinchat.TurnStatus[status]]


def test_ctrl_c_stops_a_models_call(database, standin):
    standin.script({"hang": True})
    program = subprocess.Popen(
        [
            sys.executable,
            "-c",
            BEGIN
            + """
model = gemini()
request = twinchat.GenerateRequest(contents=(twinchat.text_content(twinchat.Role.USER, "Hi"),))
try:
    model.generate(request, twinchat.CallOptions())
except KeyboardInterrupt:
    sys.exit(7)
""",
            str(database),
            standin.url,
        ]
    )
    wait_until(lambda: standin.stats()["in_flight"] == 1)
    program.send_signal(signal.SIGINT)
    assert program.wait(60) == 7


def test_a_forked_process_is_told_and_ends(database, standin):
    standin.script({"hang": True, "times": 0})
    ended = run_script(
        BEGIN
        + """
import warnings
warnings.simplefilter("ignore")
the_store, model = store(), gemini()
assistant = twinchat.Assistant(the_store, model)
stream = assistant.stream("s", "Hi", create_session=True)
threading.Thread(target=lambda: assistant.send("t", "Hi", create_session=True), daemon=True).start()
while assistant.in_flight() < 2: time.sleep(0.002)

pid = os.fork()
if pid == 0:
    request = twinchat.GenerateRequest(contents=(twinchat.text_content(twinchat.Role.USER, "Hi"),))
    told = 0
    for use in (lambda: assistant.send("s", "Hi"), lambda: assistant.messages("s"),
                lambda: next(stream), lambda: the_store.find_session("s"),
                lambda: model.generate(request, twinchat.CallOptions()),
                lambda: twinchat.Assistant(the_store, model)):
        try:
            use()
        except twinchat.FailedPrecondition as error:
            told += "fork" in str(error)
    assert told == 6, told
    # What is made after the fork is of use.
    class Saying(Slow):
        def generate(self, request, options):
            return twinchat.ModelAnswer(twinchat.text_content(twinchat.Role.MODEL, "said"))
    with twinchat.Assistant(twinchat.make_memory_store(), Saying()) as mine:
        assert mine.send("s", "Hi", create_session=True).text == "said"
    assistant.close()
    del stream, assistant, the_store, model
    sys.exit(0)  # with all that an interpreter does at its end
deadline = time.monotonic() + 60
while True:
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended or time.monotonic() > deadline:
        break
    time.sleep(0.01)
if not ended:
    os.kill(pid, signal.SIGKILL)
print("child:", status if ended else "hangs", assistant.in_flight())
""",
        str(database),
        standin.url,
    )
    assert ended.stdout.splitlines()[-1:] == ["child: 0 2"], ended.stdout + ended.stderr
    assert ended.returncode == 0, ended.stderr


def test_garbage_collected_inside_a_callback_ends_without_a_deadlock(database):
    ended = run_script(
        BEGIN
        + """
import gc
kept = []
class Collecting(Slow):
    def generate(self, request, options):
        while not kept: time.sleep(0.001)
        kept.clear()
        gc.collect()
        return twinchat.ModelAnswer(twinchat.text_content(twinchat.Role.MODEL, "fine"))
for _ in range(20):
    assistant = twinchat.Assistant(twinchat.make_memory_store(), Collecting())
    cycle = [assistant]
    cycle.append(cycle)
    kept.append(assistant.stream("s", "Hi", create_session=True))
    del assistant, cycle
    while kept: time.sleep(0.001)
print("ended")
""",
        str(database),
        "",
    )
    assert ended.stdout.splitlines()[-1:] == ["ended"], ended.stderr
    assert ended.returncode == 0, ended.stderr
