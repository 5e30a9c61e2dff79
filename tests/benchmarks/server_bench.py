"""What the server costs, each figure beside a constant answer of the same server in the same run.

Usage: server_bench.py BUILD_FOLDER [SECONDS]

wrk (one thread), the server and the stand-in share the machine: read the ratios, not the absolute
figures. Everything is on loopback and is ended by pid.
"""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(sys.argv[1]).resolve()
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
HERE = Path(__file__).resolve().parent


class Started:
    """A program that says on a line of `stream` where it listens."""

    def __init__(self, command, stream, **options):
        self.process = subprocess.Popen([str(part) for part in command], text=True,
                                        **{stream: subprocess.PIPE}, **options)
        for line in getattr(self.process, stream):
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                self.url = f"http://127.0.0.1:{self.port}"
                return
        raise SystemExit(f"{command[0]} did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self, name="VmRSS"):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])


def call(server, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request(method, path, json.dumps(body) if body is not None else None,
                       {"Content-Type": "application/json"} if body is not None else {})
    answer = connection.getresponse().read()
    connection.close()
    return json.loads(answer)


def new_session(server):
    return call(server, "POST", "/api/chat/sessions/create_session/", {})["session_id"]


def milliseconds(text):
    value, unit = re.match(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def load(server, connections, path="/", script=None, env=None):
    """Runs wrk; requests a second, p50 and p99 in ms, CPU microseconds of the server a request."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "--timeout", "60s"]
    if script:
        command += ["-s", str(HERE / script)]
    before = server.cpu_seconds()
    out = subprocess.run(command + [server.url + path], env=dict(os.environ, **(env or {})),
                         text=True, capture_output=True, check=True).stdout
    count = int(re.search(r"(\d+) requests in", out)[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = re.search(r"Socket errors: .*", out)
    if bad or errors:
        print(f"    !! {bad[0] if bad else ''} {errors[0] if errors else ''}")
    return {
        "rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p50": milliseconds(re.search(r"^\s+50%\s+(\S+)", out, re.M)[1]),
        "p99": milliseconds(re.search(r"^\s+99%\s+(\S+)", out, re.M)[1]),
        "cpu": (server.cpu_seconds() - before) / max(count, 1) * 1e6,
    }


def main():
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PATH": os.environ["PATH"], "DEBUG": "True",
                    "GEMINI_API_KEY": "bench", "CHAT_RATE_LIMITS": "off"}
        with Started([BUILD / "tests/support/gemini_standin/gemini-standin", "--no-record", "--blind"],
                     "stdout") as standin:
            settings["GEMINI_BASE_URL"] = standin.url
            log = open(Path(folder) / "log", "w")
            with Started([BUILD / "server/twinchat-server", "serve", "--port", "0"], "stderr",
                         cwd=folder, env=settings) as server:
                drain = subprocess.Popen(["cat"], stdin=server.process.stderr, stdout=log)
                idle = server.memory_kib()
                long_session = new_session(server)
                for _ in range(25):
                    call(server, "POST", "/api/chat/message/",
                         {"session_id": long_session, "message": "How can I reverse diabetes?"})
                sessions = Path(folder) / "sessions"
                sessions.write_text("".join(new_session(server) + "\n" for _ in range(500)))

                print(f"{'':34}{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'ratio':>9}")
                for connections in (1, 32):
                    constant = load(server, connections, "/livez")
                    rows = [
                        ("constant answer (GET /livez)", constant),
                        ("create_session", load(server, connections, script="create.lua")),
                        ("get_session, 50 messages",
                         load(server, connections,
                              "/api/chat/sessions/get_session/?session_id=" + long_session)),
                        ("message, 0 ms model, both durable",
                         load(server, connections, script="message.lua",
                              env={"SESSIONS": str(sessions)})),
                    ]
                    print(f"{connections} connection{'s' if connections > 1 else ''}")
                    for name, row in rows:
                        print(f"  {name:32}{row['rate']:9.0f}{row['p50']:9.2f}{row['p99']:9.2f}"
                              f"{row['cpu']:9.0f}{row['rate'] / constant['rate']:9.3f}")
                print(f"memory: {idle / 1024:.1f} MiB idle, {server.memory_kib() / 1024:.1f} MiB after,"
                      f" {server.memory_kib('VmHWM') / 1024:.1f} MiB at most")
            drain.wait(10)
            log.close()


if __name__ == "__main__":
    main()
