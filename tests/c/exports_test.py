"""The shared library shows what twinchat.h declares and nothing else, and stays small.
Usage: exports_test.py LIBTWINCHAT_C TWINCHAT_H"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

LIBRARY, HEADER = sys.argv[1:3]


class Exports(unittest.TestCase):
    def test_declared_functions_and_no_others_are_exported(self):
        symbols = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", LIBRARY], text=True,
                                 capture_output=True, check=True).stdout
        # An absolute symbol (A) is the name of a version.
        exported = {name.split("@")[0] for name, kind in
                    (line.split()[:2] for line in symbols.splitlines()) if kind != "A"}
        declared = set(re.findall(r"^TWINCHAT_API[^;]*?(twinchat_\w+)\(", Path(HEADER).read_text(),
                                  re.M))
        self.assertGreater(len(declared), 50)
        self.assertEqual(exported, declared)

    def test_soname_has_its_own_version(self):
        dynamic = subprocess.run(["readelf", "-d", LIBRARY], text=True, capture_output=True,
                                 check=True).stdout
        self.assertRegex(dynamic, r"SONAME.*\[libtwinchat_c\.so\.\d+(\.\d+)?\]")

    def test_stripped_library_is_at_most_two_mebibytes(self):
        undefined = subprocess.run(["nm", "-D", "--undefined-only", LIBRARY], text=True,
                                   capture_output=True, check=True).stdout
        if re.search(r"__(asan|tsan|ubsan)_", undefined):
            self.skipTest("what sanitizers put in is not the library's")
        with tempfile.NamedTemporaryFile() as stripped:
            subprocess.run(["strip", "--strip-unneeded", "-o", stripped.name, LIBRARY], check=True)
            self.assertLessEqual(Path(stripped.name).stat().st_size, 2 << 20)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
