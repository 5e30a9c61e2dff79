"""Types into the terminal chat as a person does, on a pseudo-terminal.
Usage: terminal_chat_test.py TERMINAL_CHAT THE_SAME_WITHOUT_LIBEDIT STANDIN"""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

from started import StandIn

CHAT, PLAIN, STANDIN = (Path(argument).resolve() for argument in sys.argv[1:4])

UP, CTRL_C, CTRL_D = "\x1b[A", "\x03", "\x04"


class Terminal:
    """A program on a terminal of its own; killed by pid when it outlives the test."""

    def __init__(self, command, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # who started the tests may ignore it
            os.execve(command[0], command, env)
        self.unread = ""
        self.seen = ""
        self.status = None

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def read_more(self, limit):
        """False at the end of the program's output."""
        if not select.select([self.fd], [], [], max(0, limit - time.monotonic()))[0]:
            raise AssertionError(f"nothing more came behind {self.seen[-500:]!r}")
        try:
            piece = os.read(self.fd, 4096).decode(errors="replace")
        except OSError:  # how Linux says that the other side is closed
            piece = ""
        self.unread += piece
        self.seen += piece
        return piece != ""

    def expect(self, text):
        """Reads on until the text has come; gives what came before it."""
        limit = time.monotonic() + 60
        while text not in self.unread:
            if not self.read_more(limit):
                raise AssertionError(f"{text!r} never came behind {self.seen[-500:]!r}")
        before, self.unread = self.unread.split(text, 1)
        return before

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def prompt(self):
        """Waits until a line can be typed: libedit shows the prompt, then takes over the keys."""
        self.expect("you> ")
        limit = time.monotonic() + 60
        while termios.tcgetattr(self.fd)[3] & termios.ICANON:
            if time.monotonic() > limit:
                raise AssertionError("the keys were never taken over")
            time.sleep(0.001)

    def line(self, text):
        """Waits for the prompt, types a line, and reads its echo."""
        self.prompt()
        self.type(text + "\r")
        self.expect("\n")

    def wait(self):
        """The exit status; everything is read before."""
        limit = time.monotonic() + 60
        while self.read_more(limit):
            pass
        _, status = os.waitpid(self.pid, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status


class TerminalChat(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = Path(folder.name) / "state"
        self.env = {"PATH": os.environ["PATH"], "HOME": folder.name, "TERM": "xterm",
                    "LC_ALL": "C.UTF-8"}
        self.standin = StandIn(STANDIN, self.env, folder.name)
        self.addCleanup(self.standin.__exit__)
        self.env |= {"GEMINI_API_KEY": "k", "GEMINI_BASE_URL": self.standin.url}

    def start(self, *arguments, program=CHAT):
        terminal = Terminal([str(program), "--state", str(self.state), *arguments], self.env)
        self.addCleanup(terminal.close)
        return terminal

    def texts_sent(self):
        return [call["body"]["contents"][-1]["parts"][0]["text"]
                for call in self.standin.requests()]

    def test_an_answer_is_shown_as_it_comes(self):
        self.standin.script({"chunks": ["first ", "second"], "chunk_ms": 600_000})
        chat = self.start()
        chat.line("Hello")
        chat.expect("bot> first ")  # the second piece is ten minutes away

    def test_a_conversation_goes_on_and_is_shown_by_history(self):
        chat = self.start()
        chat.line("Hello")
        chat.expect("bot> Echo 1: Hello\r\n")
        chat.line("Wie geht's, Jürgen?")
        chat.expect("bot> Echo 2: Wie geht's, Jürgen?\r\n")
        chat.line("/history")
        shown = chat.expect("bot> Echo 2: Wie geht's, Jürgen?\r\n")
        self.assertIn("you> Hello\r\nbot> Echo 1: Hello\r\n", shown)
        chat.line("/quit")
        self.assertEqual(chat.wait(), 0)

    def test_ctrl_c_stops_the_answer_and_not_the_program(self):
        self.standin.script({"chunks": ["one ", "two"], "chunk_ms": 600_000})
        chat = self.start()
        chat.line("Count")
        chat.expect("bot> one ")
        chat.type(CTRL_C)
        chat.expect("[stopped")
        chat.line("/history")
        chat.expect("bot> one \r\n[cancelled]")
        chat.line("/retry")
        chat.expect("bot> Echo 1: Count\r\n")

    def test_ctrl_c_at_the_prompt_drops_the_line(self):
        chat = self.start()
        chat.prompt()
        chat.type("never to be sent")
        chat.expect("sent")
        chat.type(CTRL_C)
        chat.line("Hello")
        chat.expect("bot> Echo 1: Hello\r\n")
        self.assertEqual(self.texts_sent(), ["Hello"])

    def test_ctrl_z_suspends_it_and_fg_brings_it_back(self):
        shell = Terminal(["/bin/bash", "--norc", "--noediting", "-i"], self.env | {"PS1": "shell> "})
        self.addCleanup(shell.close)
        shell.expect("shell> ")
        shell.type(f"{CHAT} --state {self.state}\n")
        shell.line("Hello")
        shell.expect("bot> Echo 1: Hello")
        shell.prompt()
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.expect("shell> ")
        shell.type("fg\n")
        shell.line("Again")
        shell.expect("bot> Echo 2: Again")
        shell.line("/quit")
        shell.expect("shell> ")
        shell.type("exit\n")
        self.assertEqual(shell.wait(), 0)

    def test_arrow_up_brings_back_what_was_typed_also_by_the_program_before(self):
        chat = self.start()
        chat.line("Hello")
        chat.line(UP)
        chat.expect("bot> Echo 2: Hello")
        chat.prompt()
        chat.type(CTRL_D)
        self.assertEqual(chat.wait(), 0)
        chat = self.start()
        chat.line(UP)
        chat.expect("bot> Echo 1: Hello")

    def test_the_line_can_be_edited(self):
        chat = self.start()
        chat.line("Hallo\x01\x06\x06\x1b[3~\x02e\x04")  # home, right, right, delete; then as well
        chat.expect("bot> ")
        chat.expect("you> ")
        self.assertEqual(self.texts_sent(), ["Helo"])

    def test_a_message_that_failed_is_kept_and_sent_again(self):
        self.standin.script({"error": {"code": 400, "status": "INVALID_ARGUMENT",
                                       "message": "upstream's words"}})
        chat = self.start()
        chat.line("Hello")
        chat.expect("\n! ")
        self.assertNotIn("upstream's words", chat.expect("/retry asks again"))
        chat.line("/retry")
        chat.expect("bot> Echo 1: Hello\r\n")
        chat.line("/retry")
        chat.expect("! The last message has its answer.")
        chat.line("/history")
        self.assertEqual(chat.expect("bot> Echo 1: Hello").count("you> Hello"), 1)

    def test_conversations_are_listed_and_taken_up_again(self):
        chat = self.start()
        chat.line("What is insulin?")
        chat.line("/new")
        chat.line("What is a metabolism?")
        chat.line("/sessions")
        chat.expect("  1  What is insulin?\r\n* 2  What is a metabolism?\r\n")
        chat.line("/resume 1")
        chat.expect("bot> Echo 1: What is insulin?")
        chat.line("And then?")
        chat.expect("bot> Echo 2: And then?")
        chat.line("/resume 7")
        chat.expect("! There is no such conversation")
        chat.line("/quit")
        chat.wait()
        chat = self.start("--continue")
        chat.expect("bot> Echo 1: What is a metabolism?")
        chat.line("Go on")
        chat.expect("bot> Echo 2: Go on")

    def test_details_are_set_cleared_and_checked(self):
        chat = self.start()
        chat.line("/details name Jane Doe")
        chat.expect("name:  Jane Doe\r\nemail: -\r\n")
        chat.line("/details email jane")
        chat.expect("! email: ")
        chat.line("/details name")
        chat.expect("name:  -\r\n")

    def test_help_names_every_command_and_a_wrong_one_is_told(self):
        chat = self.start()
        chat.line("/help")
        shown = chat.expect("/quit")
        for command in ("/new", "/history", "/sessions", "/resume", "/retry", "/details"):
            self.assertIn(command, shown)
        chat.line("/nonsense")
        chat.expect("! There is no /nonsense")
        self.assertEqual(self.texts_sent(), [])

    def test_an_answer_cannot_steer_the_terminal(self):
        self.standin.script({"text": "a\x1b]0;title\x07b\u009b2Jc"})
        chat = self.start()
        chat.line("Hello")
        chat.expect("bot> a]0;titleb2Jc\r\n")

    def test_what_was_said_is_for_its_owner_alone(self):
        chat = self.start()
        chat.line("Hello")
        chat.expect("bot> Echo 1")
        self.assertEqual(self.state.stat().st_mode & 0o077, 0)

    def test_lines_from_a_pipe_are_answered_too(self):
        for program in (CHAT, PLAIN):
            with self.subTest(program=program.name):
                seen = subprocess.run([program, "--state", self.state / program.name],
                                      env=self.env, text=True, input="Hello\n/quit\n",
                                      capture_output=True, timeout=60)
                self.assertEqual((seen.returncode, seen.stderr), (0, ""))
                self.assertIn("bot> Echo 1: Hello\n", seen.stdout)

    def test_without_libedit_ctrl_c_stops_the_answer_and_at_the_prompt_the_program(self):
        self.standin.script({"chunks": ["one ", "two"], "chunk_ms": 600_000})
        chat = self.start(program=PLAIN)
        chat.expect("you> ")
        chat.type("Count\r")
        chat.expect("bot> one ")
        chat.type(CTRL_C)
        chat.expect("[stopped")
        chat.expect("you> ")
        chat.type(CTRL_C)
        self.assertEqual(chat.wait(), -signal.SIGINT)

    def test_without_a_key_it_says_where_to_get_one(self):
        del self.env["GEMINI_API_KEY"]
        chat = self.start()
        self.assertEqual(chat.wait(), 2)
        self.assertRegex(chat.seen, r"GEMINI_API_KEY(.|\s)*aistudio\.google\.com")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
