"""Builds examples/from_c.c as others do, against the installed and moved libtwinchat_c, with nothing
but a C compiler in sight. Usage: package_test.py SOURCE PREFIX LIBDIR STANDIN CMAKE C_COMPILER"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from started import StandIn

SOURCE, PREFIX = Path(sys.argv[1]), Path(sys.argv[2])
LIBDIR = PREFIX / sys.argv[3]
STANDIN, CMAKE, CC = sys.argv[4:7]

PROJECT = """
cmake_minimum_required(VERSION 3.22)
project(chat LANGUAGES C)
find_package(twinchat-c 0.1 REQUIRED)
add_executable(chat chat.c)
target_link_libraries(chat PRIVATE twinchat::c)
"""


class Package(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "chat.c").write_text((SOURCE / "examples" / "from_c.c").read_text())
        self.env = dict(os.environ, CC=CC, CMAKE_PREFIX_PATH=str(PREFIX),
                        LD_LIBRARY_PATH=str(LIBDIR), PKG_CONFIG_PATH=str(LIBDIR / "pkgconfig"))

    def run_in_folder(self, *command):
        subprocess.run(command, cwd=self.folder, env=self.env, check=True,
                       stdout=subprocess.DEVNULL)

    def check_program(self, program):
        with StandIn(STANDIN, None, self.folder) as standin:
            env = dict(self.env, GEMINI_API_KEY="k", GEMINI_BASE_URL=standin.url)
            seen = subprocess.run([program], env=env, cwd=self.folder, text=True,
                                  capture_output=True, timeout=60)
        self.assertEqual((seen.stdout, seen.stderr, seen.returncode),
                         ("Echo 1: How can I reverse diabetes?\n", "", 0))

    def test_cmake(self):
        (self.folder / "CMakeLists.txt").write_text(PROJECT)
        self.run_in_folder(CMAKE, "-S", ".", "-B", "build")
        self.run_in_folder(CMAKE, "--build", "build")
        self.check_program(self.folder / "build" / "chat")

    def test_pkg_config(self):
        self.run_in_folder("sh", "-ec", '"$CC" -std=c99 -o chat chat.c '
                                        "$(pkg-config --cflags --libs twinchat-c)")
        self.check_program(self.folder / "chat")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
