"""What a message costs on PostgreSQL, beside SQLite in the same run, and what a failover costs.

Usage: scale_bench.py BUILD_FOLDER [SECONDS [PART...]]

Parts: cost (32 connections through wrk: sessions, histories and messages on SQLite and on PostgreSQL,
directly and behind pgbouncer, with everybody's processor time; rows, bytes and connections of a
message), failover (the primary is
killed and its standby promoted while visitors ask). `--write` keeps the costs for
scale_simulation.py.

All programs share this machine's cores: read the ratios.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from postgres import PgBouncer, Postgres

WRITE = "--write" in sys.argv
sys.argv = [argument for argument in sys.argv if argument != "--write"]
PARTS = sys.argv[3:] or ["cost", "failover"]
sys.argv = sys.argv[:3]  # as server_bench reads them
from server_bench import (HERE, HISTORY, SECONDS, SERVER, STANDIN, Started, call, load,  # noqa: E402
                          new_history, new_session, say_load)

CLIENTS = 32
POOL = 16


class Serving:
    """The server on that database, with the stand-in it asks."""

    def __init__(self, folder, database_url, latency_ms=0, **settings):
        self.standin = Started([STANDIN, "--no-record", "--blind", "--latency-ms", latency_ms],
                               "stdout")
        env = {"PATH": os.environ["PATH"], "DEBUG": "True", "GEMINI_API_KEY": "bench",
               "CHAT_RATE_LIMITS": "off", "CHAT_MAX_IN_FLIGHT": "20000",
               "GEMINI_MAX_CONNECTIONS": "20000", "GEMINI_BASE_URL": self.standin.url,
               "DATABASE_URL": database_url, "DATABASE_POOL_SIZE": str(POOL), **settings}
        self.server = Started([SERVER, "serve", "--port", "0"], "stderr", cwd=folder, env=env)
        self.log = open(Path(folder) / "log", "w", encoding="utf-8")
        self.drain = subprocess.Popen(["cat"], stdin=self.server.process.stderr, stdout=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.__exit__()
        self.standin.__exit__()
        self.drain.wait(10)
        self.log.close()


def counters(postgres):
    """What the database counts of transactions, rows and bytes."""
    time.sleep(1.2)  # it reports to itself every second
    row = postgres.sql(
        "SELECT xact_commit || ' ' || (tup_inserted + tup_updated + tup_deleted) || ' ' || "
        "tup_inserted || ' ' || pg_database_size('chats') || ' ' || "
        "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') FROM pg_stat_database WHERE datname = 'chats'")
    names = ("transactions", "rows_written", "rows_inserted", "size", "wal")
    return dict(zip(names, map(int, row.split())))


def measure(serving, postgres=None, pooler=None):
    """Messages at CLIENTS connections: wrk's figures and everybody's processor time."""
    server = serving.server
    with tempfile.NamedTemporaryFile("w", suffix=".sessions") as sessions:
        sessions.write("".join(new_session(server) + "\n" for _ in range(500)))
        sessions.flush()
        for session in range(20):  # warm: connections, plans, caches
            call(server, "POST", "/api/chat/message/",
                 {"session_id": Path(sessions.name).read_text().split()[session],
                  "message": "How can I reverse diabetes?"})
        say_load()
        others = {"create_session": load(server, CLIENTS, script="create.lua"),
                  "get_session, 50 messages": load(server, CLIENTS, HISTORY + new_history(server))}
        before = counters(postgres) if postgres else {}
        used = postgres.cpu_seconds() if postgres else 0
        pooled = pooler.cpu_seconds() if pooler else 0
        standin = serving.standin.cpu_seconds()
        self_used = os.times()
        row = load(server, CLIENTS, script="message.lua", env={"SESSIONS": sessions.name})
        count = row["rate"] * SECONDS
        row["load"] = (os.times().children_user + os.times().children_system
                       - self_used.children_user - self_used.children_system) / count * 1e6
        row["standin"] = (serving.standin.cpu_seconds() - standin) / count * 1e6
        if postgres:
            row["database"] = (postgres.cpu_seconds() - used) / count * 1e6
            row["pooler"] = (pooler.cpu_seconds() - pooled) / count * 1e6 if pooler else 0
            after = counters(postgres)
            row |= {name: (after[name] - before[name]) / count for name in before}
            row["connections"] = int(postgres.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'chats' AND pid <> "
                "pg_backend_pid()"))
    row["others"] = others
    return row


def flush_ms(folder):
    """One small synchronous write to this disk, the median of many."""
    times = []
    with open(Path(folder) / "flushed", "wb", buffering=0) as file:
        for _ in range(200):
            since = time.perf_counter()
            file.write(b"x" * 8192)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - since)
    return sorted(times)[100] * 1000


def bench_cost(folder):
    print(f"messages at {CLIENTS} connections, 0 ms model, both commits durable")
    print(f"{'':26}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}   CPU us: server, database, pooler, "
          "stand-in, load")
    rows = {}
    with Serving(folder, "sqlite:///bench.db") as serving:
        rows["SQLite"] = measure(serving)
    with Postgres() as postgres:
        with Serving(folder, postgres.url) as serving:
            base = serving.server.memory_kib()
            rows["PostgreSQL"] = measure(serving, postgres)
        with PgBouncer(postgres) as pooler, Serving(folder, pooler.url) as serving:
            rows["PostgreSQL, pgbouncer"] = measure(serving, postgres, pooler)
        for name, row in rows.items():
            print(f"  {name:24}{row['rate']:8.0f}{row['p50']:8.2f}{row['p99']:8.2f}   "
                  f"{row['cpu']:.0f}, {row.get('database', 0):.0f}, {row.get('pooler', 0):.0f}, "
                  f"{row['standin']:.0f}, {row['load']:.0f}   "
                  f"{row['rate'] / rows['SQLite']['rate']:.2f} of SQLite's")
            for what, other in row["others"].items():
                of = rows["SQLite"]["others"][what]["rate"]
                print(f"    {what:22}{other['rate']:8.0f}{other['p50']:8.2f}{other['p99']:8.2f}   "
                      f"{other['cpu']:.0f}   {other['rate'] / of:.2f} of SQLite's")
        row = rows["PostgreSQL"]
        print(f"  a message on PostgreSQL: {row['transactions']:.1f} transactions, "
              f"{row['rows_inserted']:.1f} rows inserted, {row['rows_written']:.1f} written, "
              f"{row['size']:.0f} bytes of tables and indexes, {row['wal']:.0f} of log, "
              f"{row['connections']} connections at {CLIENTS} visitors")
        # How many round trips: what PostgreSQL was sent, one statement a time.
        trips = round_trips(folder, postgres)
        print(f"  and {trips:.0f} round trips to the database")
    if WRITE:
        write_measured(folder, rows, trips, base)


def round_trips(folder, postgres):
    """Statements that one message sends, by the database's own log of them."""
    postgres.sql("ALTER SYSTEM SET log_statement = 'all'")
    postgres.sql("SELECT pg_reload_conf()")
    with Serving(folder, postgres.url, CHAT_RATE_SHARE_INTERVAL="0") as serving:
        session = new_session(serving.server)
        log = postgres.folder / "log"

        def statements():
            return sum(" LOG:  statement: " in line or " LOG:  execute " in line
                       for line in log.read_text(encoding="utf-8").splitlines())

        body = {"session_id": session, "message": "How can I reverse diabetes?"}
        call(serving.server, "POST", "/api/chat/message/", body)
        time.sleep(0.5)
        before = statements()
        for _ in range(10):
            call(serving.server, "POST", "/api/chat/message/", body)
        return (statements() - before) / 10


def write_measured(folder, rows, trips, base):
    row, pooled = rows["PostgreSQL"], rows["PostgreSQL, pgbouncer"]
    (HERE / "scale_measured.json").write_text(json.dumps({
        "message": {
            "server_cpu_us": round(row["cpu"]), "database_cpu_us": round(row["database"]),
            "database_cpu_pooled_us": round(pooled["database"]),
            "pooler_cpu_us": round(pooled["pooler"]), "sqlite_cpu_us": round(rows["SQLite"]["cpu"]),
            "others_cpu_us": round(row["standin"] + row["load"]),
            "transactions": round(row["transactions"]), "commits": 2, "round_trips": round(trips),
            "rows_inserted": round(row["rows_inserted"], 1),
            "rows_written": round(row["rows_written"], 1),
            "stored_bytes": round(row["size"]), "wal_bytes": round(row["wal"])},
        "run": {"rate": round(row["rate"]), "cores": os.cpu_count(), "clients": CLIENTS,
                "connections": POOL, "flush_ms": round(flush_ms(folder), 2), "model_ms": 0},
        "server_base_mib": round(base / 1024, 1), "visitor_kib": 46}, indent=1) + "\n",
        encoding="utf-8")


class Asker(threading.Thread):
    """A visitor who asks again under the same key until there is an answer."""

    def __init__(self, url, session):
        super().__init__()
        self.url, self.session = url, session
        self.stopping = False
        self.took = []  # (when it was answered, seconds)
        self.told = []

    def run(self):
        while not self.stopping:
            text = f"question {uuid.uuid4()}"
            since = time.monotonic()
            while not self.ask(text):
                time.sleep(0.05)
            self.took.append((time.monotonic(), time.monotonic() - since))
            self.told.append(text)

    def ask(self, text):
        body = json.dumps({"session_id": self.session, "message": text, "client_message_id": text})
        request = urllib.request.Request(self.url + "/api/chat/message/", body.encode(),
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30):
                return True
        except urllib.error.HTTPError as error:
            if error.code in (409, 502, 503, 504):
                return False
            raise


def p(part, values):
    return sorted(values)[int(part * (len(values) - 1))] if values else float("nan")


def bench_failover(folder):
    """The primary dies; its synchronous standby takes over where the URL names both."""
    with Postgres() as primary, Postgres(of=primary) as standby:
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.sql("SELECT pg_reload_conf()")
        url = (f"postgresql://postgres@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/chats"
               "?target_session_attrs=read-write&connect_timeout=2")
        with Serving(folder, url, latency_ms=20) as serving:
            askers = [Asker(serving.server.url, new_session(serving.server)) for _ in range(16)]
            for asker in askers:
                asker.start()
            time.sleep(SECONDS)
            killed = time.monotonic()
            primary.stop(signal.SIGQUIT)
            standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''", "postgres")
            standby.promote()
            promoted = time.monotonic()
            time.sleep(SECONDS + 5)
            for asker in askers:
                asker.stopping = True
            for asker in askers:
                asker.join()
            took = [one for asker in askers for one in asker.took]
            before = [seconds for at, seconds in took if at < killed]
            during = [seconds for at, seconds in took
                      if at >= killed and at - seconds < promoted + 5]
            told = sum(len(asker.told) for asker in askers)
            kept = int(standby.sql("SELECT count(DISTINCT content) FROM chat_message WHERE NOT "
                                   "is_bot"))
            kept_twice = int(standby.sql("SELECT count(*) FROM chat_message WHERE NOT is_bot")) - kept
            print(f"\nfailover, 16 visitors, 20 ms model: promoted {promoted - killed:.2f} s after the "
                  f"primary was killed")
            longest = max(during, default=0)
            print(f"  answers before: p50 {p(0.5, before) * 1000:.0f} ms, p99 "
                  f"{p(0.99, before) * 1000:.0f} ms; from the kill to 5 s after the promotion: p50 "
                  f"{p(0.5, during) * 1000:.0f} ms, p99 {p(0.99, during) * 1000:.0f} ms, longest "
                  f"{longest * 1000:.0f} ms ({longest / p(0.5, before):.0f} x the p50 before)")
            print(f"  {told} answers were told, {kept} questions are stored, {kept_twice} of them twice")


def main():
    for part in PARTS:
        with tempfile.TemporaryDirectory() as folder:
            globals()["bench_" + part](folder)


if __name__ == "__main__":
    main()
