"""Programs that a test starts and ends."""

import json
import re
import signal
import subprocess
import urllib.request


class Started:
    """A program that says on a line where it listens; ended by pid."""

    def __init__(self, command, env, cwd, stream):
        self.process = subprocess.Popen(command, env=env, cwd=cwd, text=True, **{stream: subprocess.PIPE})
        for line in getattr(self.process, stream):
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                return
        raise RuntimeError(f"{command[0]} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


class StandIn(Started):
    """A gemini-standin of one's own (tests/support/gemini_standin/README.md)."""

    def __init__(self, program, env, cwd):
        super().__init__([program], env, cwd, "stdout")
        self.url = f"http://127.0.0.1:{self.port}"

    def script(self, *replies):
        """Appends replies."""
        body = json.dumps({"replies": replies}).encode()
        urllib.request.urlopen(urllib.request.Request(self.url + "/_script", body)).close()

    def requests(self):
        """The calls so far, in order of arrival."""
        with urllib.request.urlopen(self.url + "/_requests") as answer:
            return json.load(answer)

    def stats(self):
        with urllib.request.urlopen(self.url + "/_stats") as answer:
            return json.load(answer)
