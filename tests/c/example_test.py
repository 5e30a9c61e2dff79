"""Runs the program that examples/from_c.c is. Usage: example_test.py FROM_C STANDIN"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from started import StandIn

FROM_C, STANDIN = (Path(argument).resolve() for argument in sys.argv[1:3])


class Example(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_example(self, **env):
        seen = subprocess.run([FROM_C], env=env, cwd=self.folder, text=True, capture_output=True,
                              timeout=60)
        return seen.returncode, seen.stdout, seen.stderr

    def test_shows_the_answer(self):
        with StandIn(STANDIN, None, self.folder) as standin:
            seen = self.run_example(GEMINI_API_KEY="k", GEMINI_BASE_URL=standin.url)
        self.assertEqual(seen, (0, "Echo 1: How can I reverse diabetes?\n", ""))

    def test_says_what_is_missing(self):
        self.assertEqual(self.run_example(),
                         (1, "", "from_c: Gemini needs an API key or a bearer token.\n"))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
