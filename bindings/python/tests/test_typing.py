"""What type checkers and help() are told is what is there."""

import ast
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import twinchat
from twinchat import _twinchat

PACKAGE = Path(twinchat.__file__).parent
STUB = ast.parse((PACKAGE / "_twinchat.pyi").read_text(encoding="utf-8"))

needs_mypy = pytest.mark.skipif(
    importlib.util.find_spec("mypy") is None, reason="no mypy (Debian: python3-mypy)"
)


def run_mypy(*arguments, cwd):
    environment = dict(os.environ, MYPYPATH=str(PACKAGE.parent))
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd, env=environment, text=True, capture_output=True, check=False,
    )


def public(names):
    return {name for name in names if not name.startswith("_")}


def stub_functions(body):
    return {each.name: each for each in body if isinstance(each, ast.FunctionDef)}


def stub_classes():
    return {each.name: each for each in STUB.body if isinstance(each, ast.ClassDef)}


def count_of_stub(function):
    return len(function.args.posonlyargs) + len(function.args.args)


def count_of_binding(function):
    """pybind11 writes the signature into the first line of the docstring."""
    inside = re.search(r"\((.*)\) ->", function.__doc__.splitlines()[0])[1]
    return len([each for each in inside.split(", ") if each])


def test_the_stub_has_every_name_of_the_extension_and_no_other():
    names = set(stub_functions(STUB.body)) | set(stub_classes())
    assert names == public(vars(_twinchat))
    for name, stub in stub_classes().items():
        native = getattr(_twinchat, name)
        assert public(stub_functions(stub.body)) == public(vars(native)), name


def test_the_stubs_functions_take_as_much_as_the_extensions():
    for name, function in stub_functions(STUB.body).items():
        assert count_of_stub(function) == count_of_binding(getattr(_twinchat, name)), name
    for class_name, stub in stub_classes().items():
        for name, function in stub_functions(stub.body).items():
            native = getattr(getattr(_twinchat, class_name), name)
            assert count_of_stub(function) == count_of_binding(native), f"{class_name}.{name}"


def test_the_extension_shows_python_its_one_function():
    seen = subprocess.run(
        ["nm", "-D", "--defined-only", _twinchat.__file__],
        text=True, capture_output=True, check=True,
    )
    assert [line.split()[-1] for line in seen.stdout.splitlines()] == ["PyInit__twinchat"]


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").exists()


def test_everything_public_says_what_it_is():
    assert sorted(twinchat.__all__, key=str) == sorted(set(twinchat.__all__))
    for name in twinchat.__all__:
        value = getattr(twinchat, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            if value.__module__ == "twinchat._twinchat" and inspect.isroutine(value):
                continue
            assert inspect.getdoc(value), name
    for made in (twinchat.Assistant, twinchat.Store, twinchat.Model, twinchat.StopSource):
        for name in public(vars(made)):
            assert inspect.getdoc(getattr(made, name)), f"{made.__name__}.{name}"


@needs_mypy
def test_the_extension_is_what_its_stub_says(tmp_path):
    # pybind11's classes have a metaclass of their own, and those that Python cannot make an
    # __init__ that says so.
    (tmp_path / "allowed").write_text(r"twinchat\._twinchat\.[A-Za-z]+(\.__init__)?" + "\n")
    seen = run_mypy(
        "mypy.stubtest", "twinchat._twinchat", "--allowlist", "allowed", cwd=tmp_path
    )
    assert seen.returncode == 0, seen.stdout + seen.stderr


SAMPLE = '''
import asyncio
from datetime import timedelta
from typing import Any

import twinchat


class Parrot(twinchat.Model):
    def name(self) -> str:
        return "parrot"

    def generate(
        self, request: twinchat.GenerateRequest, options: twinchat.CallOptions
    ) -> twinchat.ModelAnswer:
        text = twinchat.visible_text(request.contents[-1])
        if options.on_text is not None:
            options.on_text(text)
        return twinchat.ModelAnswer(twinchat.text_content(twinchat.Role.MODEL, text))


def weather(args: dict[str, Any]) -> Any:
    return {"sky": "blue"}


def talk() -> str:
    tool = twinchat.Tool(twinchat.FunctionDeclaration("weather", "The weather."), weather)
    with twinchat.Assistant(
        twinchat.open_store("memory:"), Parrot(), tools=[tool], turn_timeout=timedelta(seconds=5)
    ) as assistant:
        session = assistant.create_session(name="Jane")
        assistant.update_user(session.session_id, phone=None)
        with assistant.stream(session.session_id, "Hello") as stream:
            for piece in stream:
                print(piece.upper())
        turn = asyncio.run(assistant.asend(session.session_id, "Hi", timeout=2.5))
        try:
            assistant.session("x")
        except twinchat.RateLimited as error:
            if error.retry_after is not None:
                print(error.retry_after.total_seconds())
        except twinchat.TwinchatError as error:
            print(error.code is twinchat.ErrorCode.NOT_FOUND)
        return turn.text
'''

WRONG = {
    'assistant.send("s", 3)': "arg-type",
    'assistant.send("s", "t", print)': "misc",
    'assistant.send("s", "t", timout=3)': "call-arg",
    'assistant.find_session("s").session_id': "union-attr",
    'assistant.history("s")[0].attempts = 3': "misc",
    'twinchat.Message(1, "t")': "call-arg",
    "twinchat.Assistant(3, 4)": "arg-type",
}


@needs_mypy
def test_mypy_takes_right_programs_and_refuses_wrong_ones(tmp_path):
    wrong = "import twinchat\ndef f(assistant: twinchat.Assistant) -> None:\n"
    for line in WRONG:
        wrong += f"    {line}\n"
    (tmp_path / "right.py").write_text(SAMPLE)
    (tmp_path / "wrong.py").write_text(wrong)
    package = run_mypy("mypy", "--strict", "-p", "twinchat", cwd=tmp_path)
    assert package.returncode == 0, package.stdout
    seen = run_mypy("mypy", "--strict", "right.py", "wrong.py", cwd=tmp_path)
    assert "right.py" not in seen.stdout
    for number, (line, kind) in enumerate(WRONG.items(), start=3):
        assert re.search(rf"^wrong.py:{number}: error: .*\[{kind}\]", seen.stdout, re.M), (
            line, seen.stdout,
        )


def test_the_sample_runs_too():
    scope = {}
    exec(SAMPLE, scope)
    assert scope["talk"]() == "Hi"
