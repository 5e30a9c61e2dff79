"""The Python module's reference as a Markdown page for Doxygen: signatures and docstrings of every
public name. Fails when one has no docstring.

    python_page.py PACKAGE_FOLDER PAGE
"""

import inspect
import re
import sys

from doxygen_filter import escaped


def signature(name, thing):
    """`name(arguments)`, as far as Python tells; annotations without their quotes."""
    try:
        return name + re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))
    except (TypeError, ValueError):
        return name


def prose(docstring):
    """A docstring. A paragraph with indented lines or columns is shown as it stands."""
    for paragraph in docstring.split("\n\n"):
        if re.search(r"\S {2,}\S", paragraph):
            yield f"~~~\n{paragraph}\n~~~\n"
        elif paragraph.startswith("    "):
            yield f"~~~{{.py}}\n{paragraph}\n~~~\n"
        else:
            yield escaped(paragraph) + "\n"


def entry(heading, name, thing, silent):
    yield f"{heading} {escaped(name)}"
    yield ""
    if callable(thing):
        yield f"~~~{{.py}}\n{signature(name, thing)}\n~~~"
        yield ""
    words = inspect.getdoc(thing)
    if words:
        yield from prose(words)
    else:
        silent.append(name)
    yield ""


def members(cls):
    """The public functions and properties that the class itself has."""
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, (classmethod, staticmethod)):
            member = member.__func__
        if inspect.isroutine(member) or isinstance(member, property):
            yield name, member


def page(module, silent):
    yield f"# Python: {module.__name__} {{#python}}"
    yield ""
    yield from prose(inspect.getdoc(module))
    yield ""
    for name in module.__all__:
        thing = getattr(module, name)
        if not inspect.isclass(thing) and not inspect.isroutine(thing):
            continue
        yield from entry("##", name, thing, silent)
        if inspect.isclass(thing):
            for member, value in members(thing):
                yield from entry("###", f"{name}.{member}", value, silent)


def main(package_folder, path):
    sys.path.insert(0, package_folder)
    import twinchat  # after the path is known

    silent = []
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(page(twinchat, silent)))
    for name in silent:
        print(f"error: Python's {name} has no docstring", file=sys.stderr)
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
