"""Runs what README.md shows: its shell walk against a real server; and compares the C++ and C of all
Markdown, and the widget's HTML, CSS and JavaScript, with the files that CI compiles and runs
(tests/examples, tests/browser).
Usage: readme_test.py README.md SERVER"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import shown_code
from started import Started

README, SERVER = (Path(argument).resolve() for argument in sys.argv[1:3])
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

    def test_code_is_cut_from_files_that_are_compiled(self):
        pages = [README, ROOT / "server/web/widget/README.md",
                 *sorted((ROOT / "libtwinchat" / "doc").glob("*.md"))]
        for page in pages:
            shown = shown_code.blocks(page)
            fences = re.findall(rf"^```(?:{shown_code.LANGUAGES})$", page.read_text(), re.M)
            with self.subTest(page=page.name):
                self.assertEqual(len(shown), len(fences),
                                 "a block without '<!-- shown: FILE NAME -->' before it")
            for file, name, code in shown:
                with self.subTest(page=page.name, file=file, name=name):
                    self.assertEqual(code, shown_code.piece(ROOT, file, name))

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
