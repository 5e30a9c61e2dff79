"""README.md's Python runs as it stands."""

import os
import re
from pathlib import Path

import twinchat


def test_the_example_gives_what_its_comments_say(standin, tmp_path, monkeypatch, capsys):
    text = Path(os.environ["README"]).read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(import twinchat\n.*?)^```$", text, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(block, {"key": "key", "url": standin.url})
    assert capsys.readouterr().out == "Echo 1: How can I reverse diabetes?"
    store = twinchat.open_sqlite_store(tmp_path / "chat.db", create=False)
    store.check()
    assert standin.requests()[-1]["body"]["systemInstruction"]
