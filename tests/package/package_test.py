"""Looks at an installed and moved libtwinchat, and builds what README.md shows against it.
Usage: package_test.py SOURCE PREFIX LIBDIR STANDIN CMAKE"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE, PREFIX = Path(sys.argv[1]), Path(sys.argv[2])
LIBDIR = PREFIX / sys.argv[3]
STANDIN, CMAKE = sys.argv[4:6]


def output(*command, **options):
    return subprocess.run(command, text=True, check=True, stdout=subprocess.PIPE, **options).stdout


class Installed(unittest.TestCase):
    def test_only_our_symbols_are_shown(self):
        shown = output("nm", "--dynamic", "--demangle", "--defined-only", "--extern-only",
                       LIBDIR / "libtwinchat.so")
        names = [re.sub(r"@@.*", "", line.split(" ", 2)[2]) for line in shown.splitlines()]
        ours = re.compile(r"((typeinfo( name)?|vtable) for )?twinchat::|TWINCHAT_[\d.]+$")
        self.assertEqual([name for name in names if not ours.match(name)], [])
        # Nor the library's own inside.
        inner = re.compile(r"lambda|\(anonymous namespace\)|twinchat::\w+::Impl\b|twinchat::(gemini|postgres|sqlite)::")
        self.assertEqual([name for name in names if inner.search(name)], [])
        # What is derived from, caught and called is there.
        for name in ("Error", "Model", "Store"):
            self.assertIn(f"typeinfo for twinchat::{name}", names)
            self.assertIn(f"vtable for twinchat::{name}", names)
        self.assertIn("twinchat::version()", names)

    def test_every_exported_function_of_the_headers_is_in_the_library(self):
        shown = output("nm", "--dynamic", "--demangle", "--defined-only", LIBDIR / "libtwinchat.so")
        for header in (PREFIX / "include" / "twinchat").glob("*.h"):
            for name in re.findall(r"(?<!define )TWINCHAT_EXPORT [^;{]*?(\w+)\(", header.read_text()):
                self.assertRegex(shown, rf"twinchat::(\w+::)?{name}(\[abi:cxx11\])?\(", header.name)

    def test_version_is_said_once(self):
        version = re.search(r"project\(twinchat VERSION ([\d.]+)",
                            (SOURCE / "CMakeLists.txt").read_text())[1]
        minor = version.rsplit(".", 1)[0]
        dynamic = output("readelf", "--dynamic", LIBDIR / "libtwinchat.so")
        self.assertIn(f"[libtwinchat.so.{minor}]", dynamic)
        self.assertTrue((LIBDIR / f"libtwinchat.so.{version}").is_file())
        self.assertIn(f"@TWINCHAT_{minor}", output("nm", "-D", LIBDIR / "libtwinchat.so"))
        env = dict(os.environ, PKG_CONFIG_PATH=str(LIBDIR / "pkgconfig"))
        self.assertEqual(output("pkg-config", "--modversion", "twinchat", env=env).strip(), version)

    def test_headers_are_those_of_the_sources(self):
        there = {path.name for path in (PREFIX / "include" / "twinchat").iterdir()}
        public = SOURCE / "libtwinchat" / "include" / "twinchat"
        self.assertEqual(there, {path.name for path in public.iterdir()} | {"version.h"})

    def test_no_file_names_where_it_was_built_or_installed(self):
        texts = [path for path in PREFIX.rglob("*")
                 if path.is_file() and path.suffix in {".h", ".cmake", ".pc"}]
        self.assertGreater(len(texts), 10)
        for path in texts:
            for place in (str(SOURCE), str(PREFIX) + ".installed"):
                self.assertNotIn(place, path.read_text(), path.name)

    def test_shared_library_carries_what_is_no_shared_library(self):
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]",
                            output("readelf", "--dynamic", LIBDIR / "libtwinchat.so"))
        self.assertTrue(any(name.startswith("libcurl.so") for name in needed))
        undefined = output("nm", "-D", "--demangle", "--undefined-only", LIBDIR / "libtwinchat.so")
        self.assertNotIn("SQLite::", undefined)


class Readme(unittest.TestCase):
    """The program of README.md, built by the commands of README.md."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "chat.cc").write_text((SOURCE / "examples" / "quickstart.cc").read_text())
        self.env = dict(os.environ, CMAKE_PREFIX_PATH=str(PREFIX), LD_LIBRARY_PATH=str(LIBDIR),
                        PKG_CONFIG_PATH=str(LIBDIR / "pkgconfig"), CXXFLAGS="-O0")

    def block(self, language, part):
        blocks = re.findall(rf"^```{language}\n(.*?)^```$", (SOURCE / "README.md").read_text(),
                            re.M | re.S)
        found = [block for block in blocks if part in block]
        self.assertEqual(len(found), 1)
        return found[0]

    def check_program(self, program):
        standin = subprocess.Popen([STANDIN], text=True, stdout=subprocess.PIPE)
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", standin.stdout.readline())[0]
            env = dict(self.env, GEMINI_API_KEY="k", GEMINI_BASE_URL=url)
            seen = output(program, env=env, cwd=self.folder, timeout=60)
        finally:
            standin.terminate()
            standin.wait(30)
            standin.stdout.close()
        self.assertEqual(seen, "Echo 1: How can I reverse diabetes?\n2 messages stored\n")

    def test_cmake(self):
        text = self.block("cmake", "find_package(twinchat")
        (self.folder / "CMakeLists.txt").write_text(text)
        output(CMAKE, "-S", ".", "-B", "build", cwd=self.folder, env=self.env)
        output(CMAKE, "--build", "build", cwd=self.folder, env=self.env)
        self.check_program(self.folder / "build" / "chat")

    def test_pkg_config(self):
        commands = self.block("sh", "pkg-config")
        output("bash", "-e", "-c", commands, cwd=self.folder, env=self.env)
        self.check_program(self.folder / "chat")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
