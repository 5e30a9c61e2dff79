"""Builds the reference as HTML. Fails when a public name has no words, or a link leads nowhere.

    build_docs.py DOXYGEN DOXYFILE OUTPUT [PYTHON PACKAGE_FOLDER PYTHON_PAGE]
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


def main(doxygen, doxyfile, output, python=None, package=None, python_page=None):
    output = Path(output)
    failed = False
    if python:
        page = [python, Path(__file__).with_name("python_page.py"), package, python_page]
        failed |= subprocess.run(page, check=False).returncode != 0
    for folder in ("xml", "html"):  # they may hold names that are gone
        shutil.rmtree(output / folder, ignore_errors=True)
    failed |= subprocess.run([doxygen, doxyfile], check=False).returncode != 0
    for name in sorted(set(enumerators_without_words(output / "xml"))):
        print(f"error: enumerator {name} is not documented", file=sys.stderr)
        failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
