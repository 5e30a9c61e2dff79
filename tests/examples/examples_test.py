"""Runs the examples against the Gemini stand-in and compares what they print.
Usage: examples_test.py FOLDER_OF_PROGRAMS STANDIN"""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from contextlib import closing
from pathlib import Path

from started import StandIn

PROGRAMS, STANDIN = (Path(argument).resolve() for argument in sys.argv[1:3])


class Examples(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        self.standin = self.enterContext(StandIn(STANDIN, self.env, self.folder))
        self.env |= {"GEMINI_API_KEY": "k", "GEMINI_BASE_URL": self.standin.url}

    def enterContext(self, context):  # unittest has it from Python 3.11 on
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def run_example(self, name, *arguments, **more):
        return subprocess.run([PROGRAMS / name, *arguments], env=self.env, cwd=self.folder,
                              text=True, capture_output=True, timeout=60, **more)

    def output_of(self, name, *arguments, **more):
        """What an example prints that has nothing to complain about."""
        seen = self.run_example(name, *arguments, **more)
        self.assertEqual((seen.returncode, seen.stderr), (0, ""))
        return seen.stdout

    def rows(self, query):
        with closing(sqlite3.connect(self.folder / "chat.db")) as database:
            return database.execute(query).fetchall()

    def test_quickstart_asks_and_stores(self):
        self.assertEqual(self.output_of("quickstart"),
                         "Echo 1: How can I reverse diabetes?\n2 messages stored\n")

    def test_streaming_shows_the_answer(self):
        self.standin.script({"chunks": ["one ", "two"]})
        self.assertEqual(self.output_of("streaming", "Count"),
                         "one two\n[complete, 7 bytes stored]\n")

    def test_streaming_stops_at_ctrl_c_and_keeps_what_came(self):
        self.standin.script({"chunks": ["one ", "two"], "chunk_ms": 600_000})
        with subprocess.Popen([PROGRAMS / "streaming", "Count"], env=self.env, cwd=self.folder,
                              text=True, stdout=subprocess.PIPE) as program:
            self.assertEqual(program.stdout.read(4), "one ")
            program.send_signal(signal.SIGINT)
            self.assertEqual(program.stdout.read(), "\n[cancelled, 4 bytes stored]\n")
            self.assertEqual(program.wait(60), 0)
        self.assertEqual(self.rows("SELECT content FROM chat_message ORDER BY id"),
                         [("Count",), ("one ",)])
        self.assertEqual(self.rows("SELECT status FROM twinchat_turn"), [("cancelled",)])

    def test_streaming_stops_at_ctrl_c_before_anything_came(self):
        self.standin.script({"hang": True})
        with subprocess.Popen([PROGRAMS / "streaming", "Count"], env=self.env, cwd=self.folder,
                              text=True, stdout=subprocess.PIPE) as program:
            while not self.standin.requests():
                pass
            program.send_signal(signal.SIGINT)
            self.assertEqual(program.stdout.read(), "\n[cancelled, 0 bytes stored]\n")

    def test_custom_model_answers_emergencies_itself(self):
        seen = self.output_of("custom_model", "My father has CHEST PAIN", "What is insulin?")
        self.assertEqual(seen, "emergency-list: This may be an emergency. Please call your local "
                               "emergency number now.\n"
                               "gemini-3.5-flash-lite: Echo 2: What is insulin?\n")
        self.assertEqual(len(self.standin.requests()), 1)

    def test_custom_store_records_who_was_touched_and_no_words(self):
        self.assertEqual(self.output_of("custom_store", "What is insulin?"),
                         "Echo 1: What is insulin?\n")
        log = (self.folder / "audit.log").read_text()
        [(session,)] = self.rows("SELECT session_id FROM chat_chatsession")
        log = re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", "", log, flags=re.M)
        self.assertEqual(log.replace(session, "ID"),
                         "create ID\nquestion ID\nread-for-model ID\ncomplete turn 1\n")

    def test_custom_store_gives_nothing_out_without_a_record(self):
        (self.folder / "audit.log").mkdir()
        seen = self.run_example("custom_store")
        self.assertEqual(seen.returncode, 1)
        self.assertEqual(seen.stderr, "custom_store: The audit log cannot be written.\n")
        self.assertEqual(self.rows("SELECT count(*) FROM chat_chatsession"), [(0,)])

    def call_of_tool(self, arguments):
        return {"body": {"candidates": [{
            "content": {"role": "model", "parts": [
                {"functionCall": {"id": "c1", "name": "average_glucose", "args": arguments},
                 "thoughtSignature": "c2ln"}]},
            "finishReason": "STOP"}]}}

    def answer_of_tool(self):
        last = self.standin.requests()[-1]["body"]["contents"][-1]
        return last["parts"][0]["functionResponse"]

    def test_tool_is_called_and_its_result_reaches_the_model(self):
        (self.folder / "glucose.csv").write_text("2026-11-18,9.0\n2026-11-19,5.0\n2026-11-20,6.0\n")
        self.standin.script(self.call_of_tool({"readings": 2}))
        seen = self.output_of("tool")
        self.assertEqual(self.answer_of_tool(), {"id": "c1", "name": "average_glucose",
                                                 "response": {"mean": 5.5, "readings": 2}})
        self.assertEqual(seen, 'Echo 2: average_glucose={"mean":5.5,"readings":2}\n')
        declared = self.standin.requests()[0]["body"]["tools"][0]["functionDeclarations"][0]
        self.assertEqual(declared["name"], "average_glucose")

    def test_tool_that_throws_tells_the_model_no_more_than_that(self):
        self.standin.script(self.call_of_tool({"readings": "all of them"}))
        self.output_of("tool")
        self.assertEqual(self.answer_of_tool()["response"], {"error": "the function failed"})

    def test_thread_pool_answers_every_line_in_a_session_of_its_own(self):
        questions = [f"Question {i}" for i in range(30)]
        self.standin.script({"match": {"text_contains": "Question 7"}, "error": {
            "code": 400, "status": "INVALID_ARGUMENT", "message": "no"}})
        self.standin.script({"latency_ms": 50, "times": 0})
        lines = self.output_of("thread_pool", input="\n".join(questions)).splitlines()
        self.assertRegex(lines.pop(), r"^30 questions, \d+ tokens$")
        self.assertRegex(lines[7], "^Question 7 -> INVALID_ARGUMENT: ")
        for line, question in zip(lines, questions):
            if question != "Question 7":
                self.assertEqual(line, f"{question} -> Echo 1: {question}")
        self.assertEqual(self.rows("SELECT count(*) FROM chat_chatsession"), [(30,)])
        self.assertGreater(self.standin.stats()["max_in_flight"], 1)
        self.assertLessEqual(self.standin.stats()["max_in_flight"], 8)

    def test_event_loop_ticks_while_two_answers_are_awaited(self):
        self.standin.script({"latency_ms": 1000, "times": 0})
        seen = self.output_of("event_loop", "What is insulin?", "What is a metabolism?")
        lines = seen.splitlines()
        self.assertRegex(lines.pop(), r"^meanwhile the timer ticked [1-9]\d* times$")
        self.assertEqual(sorted(lines), ["What is a metabolism? -> Echo 1: What is a metabolism?",
                                         "What is insulin? -> Echo 1: What is insulin?"])
        self.assertEqual(self.standin.stats()["max_in_flight"], 2)

    def test_event_loop_hands_over_errors(self):
        self.standin.script({"error": {"code": 400, "status": "INVALID_ARGUMENT",
                                       "message": "secret"}})
        seen = self.output_of("event_loop", "What is insulin?")
        self.assertRegex(seen, r"^What is insulin\? -> (?!.*secret).+\n")

    def test_tutorial_runs_as_its_text_says(self):
        self.standin.script(
            {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slowly", "details": [
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "90s"}]},
             "times": 2})
        seen = self.run_example("tutorial")
        self.assertEqual(seen.returncode, 0, seen.stderr)
        lines = seen.stdout.splitlines()
        self.assertEqual(lines[1], "Come back in 90 seconds.")
        self.assertEqual(lines[2:], [
            "Echo 1: What is a metabolism? = Echo 1: What is a metabolism?",
            "What is insulin? [failed] ",
            "What is a metabolism? [complete] Echo 1: What is a metabolism?",
            "Hello"])
        self.assertRegex(seen.stderr, r"RESOURCE_EXHAUSTED after 2 attempts, .*\n$")
        self.assertEqual(self.rows("SELECT user_name, user_phone FROM chat_chatsession"),
                         [("Jane Doe", None)])
        config = self.standin.requests()[-1]["body"]["generationConfig"]
        self.assertEqual(config["responseMimeType"], "application/json")

    def test_every_example_says_that_there_is_no_key(self):
        del self.env["GEMINI_API_KEY"]
        for program in sorted(PROGRAMS.iterdir()):
            if program.is_file() and os.access(program, os.X_OK):
                with self.subTest(program=program.name):
                    seen = self.run_example(program.name, stdin=subprocess.DEVNULL)
                    self.assertIn(seen.returncode, (1, 2))
                    self.assertIn("key", seen.stderr.lower())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
