"""Runs what README.md shows: its shell walk against a real server, and its C++ against the file
that CI compiles. Usage: readme_test.py README.md SERVER QUICKSTART STANDIN"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

README, SERVER, QUICKSTART, STANDIN = (Path(argument).resolve() for argument in sys.argv[1:5])
ROOT = README.parent


def blocks(language):
    """The bodies of the README's fenced blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.M | re.S)


def steps(console):
    """(command, expected output) pairs of a console block: a command begins with '$ '."""
    parts = re.split(r"^\$ ", console, flags=re.M)[1:]
    for part in parts:
        lines = part.split("\n")
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        yield "\n".join(lines[:count]), "\n".join(lines[count:]).strip()


def masked(text):
    """The text with what differs from run to run taken out."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", text).strip()


class Started:
    """A program that says on a line where it listens; ended by pid."""

    def __init__(self, command, env, cwd, stream):
        self.process = subprocess.Popen(command, env=env, cwd=cwd, text=True, **{stream: subprocess.PIPE})
        for line in getattr(self.process, stream):
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise RuntimeError(f"{command[0]} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Readme(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}

    def test_walk_gives_what_is_shown(self):
        walks = [block for block in blocks("console") if "/api/chat/" in block]
        self.assertTrue(walks)
        command = [SERVER, "serve", "--port", "0", "--debug", "True"]
        with Started(command, self.env, self.folder, "stderr") as server:
            shell = subprocess.Popen(["bash"], env=self.env, cwd=self.folder, text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for walk in walks:
                for command, shown in steps(walk):
                    command = command.replace("localhost:8000", f"127.0.0.1:{server.port}")
                    shell.stdin.write(command + "\necho; echo --end--\n")
                    shell.stdin.flush()
                    seen = "".join(iter(shell.stdout.readline, "--end--\n"))
                    with self.subTest(command=command):
                        self.assertEqual(masked(seen), masked(shown))
            shell.stdin.close()
            shell.wait()
            shell.stdout.close()
            server.process.stderr.close()

    def test_cpp_is_the_example_that_is_compiled(self):
        source = (ROOT / "examples" / "quickstart.cc").read_text()
        body = re.search(r"// README: begin\n(.*?)\n *// README: end", source, re.S)[1]
        lines = [line[4:] for line in body.split("\n")]
        self.assertIn("\n".join(lines).strip(), "\n".join(blocks("cpp")))

    def test_c_is_the_example_that_is_compiled(self):
        source = (ROOT / "examples" / "from_c.c").read_text()
        body = re.search(r"^ *// shown: from_c\n(.*?)^ *// shown: end$", source, re.M | re.S)[1]
        self.assertEqual([textwrap.dedent(body)], blocks("c"))

    def test_example_runs(self):
        with Started([STANDIN], self.env, self.folder, "stdout") as standin:
            env = dict(self.env, GEMINI_API_KEY="k",
                       GEMINI_BASE_URL=f"http://127.0.0.1:{standin.port}")
            seen = subprocess.run([QUICKSTART], env=env, cwd=self.folder, text=True,
                                  capture_output=True, timeout=60)
            standin.process.stdout.close()
        self.assertEqual(seen.stderr, "")
        self.assertEqual(seen.stdout, "Echo 1: How can I reverse diabetes?\n2 messages stored\n")

    def test_settings_table_is_complete(self):
        printed = subprocess.run([SERVER, "settings"], env=self.env, text=True,
                                 capture_output=True, check=True).stdout
        names = set(re.findall(r"^# ([A-Z_]+)=", printed, re.M))
        self.assertTrue(names)
        rows = set(re.findall(r"^\| `([A-Z_]+)`", README.read_text(), re.M))
        self.assertEqual(rows, names)

    def test_env_example_is_what_the_program_prints(self):
        printed = subprocess.run([SERVER, "settings"], env=self.env, text=True,
                                 capture_output=True, check=True).stdout
        self.assertEqual((ROOT / ".env.example").read_text(), printed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
