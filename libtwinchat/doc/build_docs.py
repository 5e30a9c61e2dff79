"""Builds the reference as HTML. Fails when a public name has no words, or a link leads nowhere.

    build_docs.py DOXYGEN DOXYFILE OUTPUT
"""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree


def enumerators_without_words(xml):
    """Doxygen before 1.9.8 does not complain about these itself."""
    for file in sorted(xml.glob("*.xml")):
        if file.name == "index.xml":
            continue
        for enum in ElementTree.parse(file).iter("memberdef"):
            for value in enum.iter("enumvalue"):
                words = (value.find(part) for part in ("briefdescription", "detaileddescription"))
                if not any("".join(part.itertext()).strip() for part in words):
                    yield f"{enum.findtext('name')}::{value.findtext('name')}"


def main(doxygen, doxyfile, output):
    output = Path(output)
    for folder in ("xml", "html"):  # they may hold names that are gone
        shutil.rmtree(output / folder, ignore_errors=True)
    done = subprocess.run([doxygen, doxyfile], check=False)
    silent = sorted(set(enumerators_without_words(output / "xml")))
    for name in silent:
        print(f"error: enumerator {name} is not documented", file=sys.stderr)
    return 1 if done.returncode or silent else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
