"""Shows Doxygen the project's comments, which are plain `//`.

A comment directly above a declaration, or behind a member on the same line, is its documentation.
Indented text in a comment is shown as it stands. Doxygen runs this for every header (INPUT_FILTER).
"""

import re
import sys

# What needs no words where it stands, and has some in the manual.
USUAL = [
    (re.compile(r"^\s*[A-Z]\w*(::\w+)?\(const \w+&\) = delete;"), "Not to be copied."),
    (re.compile(r"^\s*\w+& operator=\(const \w+&\) = delete;"), "Not to be copied."),
    (re.compile(r"^\s*friend bool operator==\(.*\) = default;"), "Whether all members are equal."),
]

COMMENT = re.compile(r"^(\s*)//(?!/)(.*)$")
# Code, then two spaces, then the comment: clang-format sees to the two spaces.
TRAILING = re.compile(r"^(\s*\S.*?)  // (.*)$")


def escaped(text):
    """Plain text, with what Doxygen would take for commands or HTML. It takes nothing in `code` and
    "quotes" for either."""
    parts = re.split(r"""(`[^`]*`|"[^"]*")""", text)
    return "".join(part if part[:1] in ("`", '"') else re.sub(r"[\\@<>#%&*|~]", r"\\\g<0>", part)
                   for part in parts)


def documentation(block):
    """A block of comment lines as Doxygen's."""
    as_it_stands = False
    for indent, text in block:
        indented = re.match(r" {3,}\S", text) is not None
        if indented != as_it_stands and (indented or text.strip()):
            yield f"{indent}/// {'@code{.cpp}' if indented else '@endcode'}"
            as_it_stands = indented
        yield f"{indent}///{text if as_it_stands else escaped(text)}"
    if as_it_stands:
        yield f"{block[-1][0]}/// @endcode"


def filtered(lines):
    yield "/// @file"
    block = []
    for line in lines:
        comment = COMMENT.match(line)
        if comment:
            block.append((comment[1], comment[2]))
            continue
        is_declaration = line.strip() and not re.match(r"\s*(#(?!define)|})", line)
        if block and is_declaration:
            yield from documentation(block)
        else:
            yield from (f"{indent}//{text}" for indent, text in block)
        has_words = bool(block)
        block = []
        usual = [words for pattern, words in USUAL if pattern.match(line)]
        if usual and not has_words:
            yield f"{line[:len(line) - len(line.lstrip())]}/// {usual[0]}"
        trailing = TRAILING.match(line)
        if trailing and not trailing[1].strip().startswith("}"):
            line = f"{trailing[1]}  ///< {escaped(trailing[2])}"
        # Doxygen 1.9 takes the ' in 20'000 for the beginning of a character.
        yield re.sub(r"(?<=\d)'(?=\d{3})", "", line)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as header:
        print("\n".join(filtered(header.read().split("\n"))))
