"""What the server costs, each figure beside a constant answer of the same server in the same run.

Usage: server_bench.py BUILD_FOLDER [SECONDS [PART...]]

Parts: requests (one after the other), large (the same with 100,000 sessions and 2,000,000 messages
in the database), tls (the first again over the server's own TLS, handshakes, idle connections), visitors (1,000 and 5,000 who wait for a model of 1,000 ms), idle (10,000
connections that say nothing), start. All of them when none is named.

The load, the server and the stand-in share the machine: read the ratios, not the absolute figures,
and mind the load average that is printed. Everything is on loopback and is ended by pid.
"""

import contextlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fill_database import fill, session_id

BUILD = Path(sys.argv[1]).resolve()
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
PARTS = sys.argv[3:] or ["requests", "large", "tls", "visitors", "idle", "start"]
HERE = Path(__file__).resolve().parent
SERVER = BUILD / "server/twinchat-server"
STANDIN = BUILD / "tests/support/gemini_standin/gemini-standin"
HTTP_LOAD = BUILD / "tests/benchmarks/http-load"
HISTORY = "/api/chat/sessions/get_session/?session_id="


class Started:
    """A program that says on a line of `stream` where it listens."""

    def __init__(self, command, stream, **options):
        self.process = subprocess.Popen([str(part) for part in command], text=True,
                                        **{stream: subprocess.PIPE}, **options)
        for line in getattr(self.process, stream):
            found = re.search(r"(https?)://127\.0\.0\.1:(\d+)", line)
            if found and "metrics at" not in line:
                self.port = int(found[2])
                self.url = f"{found[1]}://127.0.0.1:{self.port}"
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


def any_certificate():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def call(server, method, path, body=None):
    if server.url.startswith("https"):
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60,
                                                 context=any_certificate())
    else:
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


def load(server, connections, path="/", script=None, env=None, headers=()):
    """Runs wrk; requests a second, p50 and p99 in ms, CPU microseconds of the server a request."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "--timeout", "60s"]
    if script:
        command += ["-s", str(HERE / script)]
    for header in headers:
        command += ["-H", header]
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


@contextlib.contextmanager
def serving(folder, latency_ms=0, more=None):
    """The server on the database in `folder`, and the stand-in it asks."""
    command = [STANDIN, "--no-record", "--blind", "--latency-ms", latency_ms]
    with Started(command, "stdout") as standin:
        settings = {"PATH": os.environ["PATH"], "DEBUG": "True", "GEMINI_API_KEY": "bench",
                    "CHAT_RATE_LIMITS": "off", "CHAT_MAX_IN_FLIGHT": "20000",
                    "GEMINI_MAX_CONNECTIONS": "20000",
                    "GEMINI_BASE_URL": standin.url, **(more or {})}
        with Started([SERVER, "serve", "--port", "0"], "stderr", cwd=folder,
                     env=settings) as server:
            with open(Path(folder) / "log", "w") as log:
                drain = subprocess.Popen(["cat"], stdin=server.process.stderr, stdout=log)
                yield server, standin
        drain.wait(10)


def new_history(server):
    """A session of 50 messages."""
    session = new_session(server)
    for _ in range(25):
        call(server, "POST", "/api/chat/message/",
             {"session_id": session, "message": "How can I reverse diabetes?"})
    return session


def say_load():
    print(f"[load average {os.getloadavg()[0]:.1f}]")


def requests_table(server, history, sessions, connections):
    constant = load(server, connections, "/livez")
    rows = {
        "constant answer (GET /livez)": constant,
        "create_session": load(server, connections, script="create.lua"),
        "get_session, 50 messages": load(server, connections, HISTORY + history),
        "message, 0 ms model, both durable":
            load(server, connections, script="message.lua", env={"SESSIONS": str(sessions)}),
    }
    print(f"{f'{connections} connection' + 's' * (connections > 1):36}"
          f"{'req/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}{'ratio':>9}")
    for name, row in rows.items():
        print(f"  {name:34}{row['rate']:9.0f}{row['p50']:9.2f}{row['p99']:9.2f}"
              f"{row['cpu']:9.0f}{row['rate'] / constant['rate']:9.3f}")
    return rows


def bench_requests(folder):
    """One request after the other, beside a constant answer."""
    with serving(folder) as (server, _):
        idle = server.memory_kib()
        history = new_history(server)
        sessions = Path(folder) / "sessions"
        sessions.write_text("".join(new_session(server) + "\n" for _ in range(500)))
        for connections in (1, 32):
            say_load()
            rows = requests_table(server, history, sessions, connections)
        print(f"memory: {idle / 1024:.1f} MiB idle, {server.memory_kib() / 1024:.1f} MiB after,"
              f" {server.memory_kib('VmHWM') / 1024:.1f} MiB at most")
    return rows


def bench_large(folder):
    """The same at 32 connections on a large database, beside an empty one of the same moment."""
    print("\nan empty database, then 100,000 sessions and 2,000,000 messages")
    rates = []
    for messages in (0, 2_000_000):
        path = Path(folder) / str(messages)
        path.mkdir()
        subprocess.run([str(SERVER), "migrate"], cwd=path, check=True, capture_output=True,
                       env={"DATABASE_URL": "sqlite:///twinchat.db"})
        if messages:
            fill(path / "twinchat.db", 100_000, messages)
            os.sync()  # or the disk would still be busy with it
        with serving(path) as (server, _):
            history = new_history(server)
            sessions = path / "sessions"
            # Of the large database, sessions from all over it; they have twenty messages each.
            sessions.write_text("".join(
                (session_id(1 + i * 199) if messages else new_session(server)) + "\n"
                for i in range(500)))
            if not messages:
                for session in sessions.read_text().split():
                    for _ in range(10):
                        call(server, "POST", "/api/chat/message/",
                             {"session_id": session, "message": "How can I reverse diabetes?"})
            say_load()
            rates.append(requests_table(server, history, sessions, 32))
    for name, small in rates[0].items():
        print(f"  {name:34} costs {rates[1][name]['cpu'] / small['cpu']:.2f} of the processor"
              f" and {small['rate'] / rates[1][name]['rate']:.2f} of the time of the empty one's")


def bench_tls(folder):
    """The server's own TLS, beside plain HTTP of the same moment."""
    key = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
           "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(key, cwd=folder, check=True, capture_output=True)
    certificate = {"TLS_CERTIFICATE": f"{folder}/cert.pem", "TLS_KEY": f"{folder}/key.pem"}
    print("\nplain HTTP, then TLS 1.3")
    rates = []
    for more in ({}, certificate):
        path = Path(folder) / ("tls" if more else "plain")
        path.mkdir()
        with serving(path, more=more) as (server, _):
            history = new_history(server)
            sessions = path / "sessions"
            sessions.write_text("".join(new_session(server) + "\n" for _ in range(500)))
            say_load()
            rows = requests_table(server, history, sessions, 32)
            each = load(server, 32, "/livez", headers=["Connection: close"])
            print(f"  {'a connection for each request':34}{each['rate']:9.0f}{each['p50']:9.2f}"
                  f"{each['p99']:9.2f}{each['cpu']:9.0f}")
            rates.append(rows)
            print(f"  idle connections, KiB each: {idle_memory(server, 1000):.1f}")
    for name, plain in rates[0].items():
        print(f"  {name:34} costs {rates[1][name]['cpu'] - plain['cpu']:+.0f} us of processor more,"
              f" {rates[1][name]['rate'] / plain['rate']:.2f} of the rate")


def idle_memory(server, count):
    """KiB that a connection holds which had one request and says nothing more."""
    before = server.memory_kib()
    context = any_certificate() if server.url.startswith("https") else None
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port))
            if context:
                connection = context.wrap_socket(connection)
            stack.enter_context(connection)
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(4096)
        return (server.memory_kib() - before) / count


class Measured:
    """http-load, and what the others use of a core meanwhile (in per cent)."""

    def __init__(self, server, standin, *arguments):
        load_program = subprocess.Popen(
            [str(HTTP_LOAD), str(server.port), *map(str, arguments)], text=True,
            stdout=subprocess.PIPE)
        if load_program.stdout.readline() != "ready\n":
            raise SystemExit("http-load did not start")
        self.kib = server.memory_kib()
        before = [(program.cpu_seconds(), time.monotonic()) for program in (server, standin)]
        report = load_program.stdout.readline()
        self.server_cpu, self.standin_cpu = (
            100 * (program.cpu_seconds() - used) / (time.monotonic() - since)
            for program, (used, since) in zip((server, standin), before))
        if load_program.wait() != 0:
            raise SystemExit("http-load failed")
        self.report = json.loads(report)
        self.load_cpu = 100 * self.report["cpu"] / self.report["seconds"]


def bench_visitors(folder):
    """Visitors who all wait for a slow model at the same time."""
    print("\nvisitors at once, 1,000 ms model"
          f"{'answers/s':>14}{'of ideal':>9}{'p50 ms':>9}{'p99 ms':>9}{'KiB each':>9}"
          f"{'reads p99':>10}   CPU % server, stand-in, load")
    for count in (1_000, 5_000):
        path = Path(folder) / str(count)
        path.mkdir()
        with serving(path, latency_ms=1000) as (server, standin):
            history = new_history_by_sql(path, server)
            before = server.memory_kib()
            # Long enough for the sessions to be made and the first answers to come.
            run = Measured(server, standin, "visitors", count, max(SECONDS, 5), 6 + count // 1000,
                           HISTORY + history)
            report = run.report
            rate = report["answers"] / report["seconds"]
            say_load()
            print(f"  {count:<30}{rate:14.0f}{rate / count:9.3f}{report['p50']:9.0f}"
                  f"{report['p99']:9.0f}{(run.kib - before) / count:9.1f}"
                  f"{report['history_p99']:10.1f}   {run.server_cpu:.0f}, {run.standin_cpu:.0f},"
                  f" {run.load_cpu:.0f}")
            if report["failures"] or report["history_failures"]:
                print(f"    !! {report['failures']} failures, {report['history_failures']} of reads")


def new_history_by_sql(folder, server):
    """A session of 50 messages without waiting for 25 answers of a slow model."""
    session = new_session(server)
    database = sqlite3.connect(folder / "twinchat.db")
    with database:
        database.execute(
            "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 50)"
            " INSERT INTO chat_message (content, is_bot, created_at, session_id) SELECT 'Message '"
            " || n || ' of a conversation, about as long as they are.', 1 - n % 2, "
            "'2026-01-01 00:00:00', (SELECT id FROM chat_chatsession WHERE session_id = ?)"
            " FROM numbers", (session,))
    database.close()
    return session


def bench_idle(folder):
    """Connections that say nothing."""
    with serving(folder) as (server, standin):
        call(server, "GET", "/livez")
        before = server.memory_kib()
        count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] * 3 // 4)
        run = Measured(server, standin, "idle", count, max(SECONDS, 5))
        say_load()
        print(f"\n{count} idle connections: {run.server_cpu:.1f} % of a core, "
              f"{(run.kib - before) / count:.2f} KiB each")


def bench_start(folder):
    """From the start of the process to its first answer, and its memory then."""
    times = []
    with Started([STANDIN], "stdout") as standin:
        for _ in range(5):
            settings = {"PATH": os.environ["PATH"], "DEBUG": "True", "GEMINI_API_KEY": "bench",
                        "GEMINI_BASE_URL": standin.url}
            since = time.monotonic()
            with Started([SERVER, "serve", "--port", "0"], "stderr", cwd=folder,
                         env=settings) as server:
                call(server, "GET", "/readyz")
                times.append(time.monotonic() - since)
                memory = server.memory_kib()
    print(f"\nready in {1000 * sorted(times)[2]:.0f} ms (median of 5), {memory / 1024:.1f} MiB idle")


def main():
    soft_and_hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft_and_hard[1],) * 2)
    for part in PARTS:
        with tempfile.TemporaryDirectory() as folder:
            globals()["bench_" + part](folder)
        os.sync()  # the next part shall find a quiet disk


if __name__ == "__main__":
    main()
