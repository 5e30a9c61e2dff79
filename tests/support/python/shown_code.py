"""The code that Markdown shows is cut from files that CI compiles and runs.

In the source, the comment `// shown: NAME` (or `<!-- ... -->`, `/* ... */`, as the language has it)
begins a piece and `// shown: end` ends it. In the Markdown,
`<!-- shown: FILE NAME -->` stands before the block; FILE is relative to the project's root.

    shown_code.py ROOT MARKDOWN...      writes the pieces into the blocks
"""

import re
import sys
import textwrap
from pathlib import Path

LANGUAGES = "cpp|c|html|js|css"
COMMENT = r"^ *(?://|<!--|/\*) shown: {}(?: -->| \*/)?"
PIECE = re.compile(COMMENT.format(r"(?!end\b)(\S+)") + r"\n(.*?)" + COMMENT.format("end") + "$",
                   re.M | re.S)
BLOCK = re.compile(rf"^<!-- shown: (\S+) (\S+) -->\n```(?:{LANGUAGES})\n(.*?)^```$", re.M | re.S)


def piece(root, file, name):
    """The piece of that name, without the indentation that all of it has."""
    pieces = dict(PIECE.findall((root / file).read_text()))
    return textwrap.dedent(pieces[name])


def blocks(markdown):
    """(file, name, code) of the blocks that are said to be cut."""
    return BLOCK.findall(markdown.read_text())


def written(root, markdown):
    """The Markdown with every such block as its source has it."""
    def cut(found):
        marker, fence = found[0].split("\n")[:2]
        return f"{marker}\n{fence}\n{piece(root, found[1], found[2])}```"
    return BLOCK.sub(cut, markdown.read_text())


if __name__ == "__main__":
    for argument in sys.argv[2:]:
        Path(argument).write_text(written(Path(sys.argv[1]), Path(argument)))
