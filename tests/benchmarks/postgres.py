"""A durable PostgreSQL of a benchmark's own on the loopback interface, and a pgbouncer."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
shared_buffers = 256MB
max_wal_size = 2GB
wal_keep_size = 256MB
jit = off
log_min_error_statement = panic
"""


def binaries():
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if not folders:
        raise SystemExit("no PostgreSQL is installed: make bench-deps")
    return folders[-1]


def as_other_user(command):
    """PostgreSQL and pgbouncer refuse to run as root."""
    command = [str(part) for part in command]
    if os.geteuid() == 0:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--", *command]
    return command


def give_away(path):
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(path, user.pw_uid, user.pw_gid)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Postgres:
    """The server; `of` makes it a standby of that one. The database is called "chats"."""

    def __init__(self, of=None, settings=""):
        self.folder = Path(tempfile.mkdtemp())
        self.data = self.folder / "data"
        self.port = free_port()
        self.process = None
        give_away(self.folder)
        if of is None:
            self._run("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "-E", "UTF8",
                      "--locale=C.UTF-8")
        else:
            self._run("pg_basebackup", "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-d",
                      f"postgresql://postgres@127.0.0.1:{of.port}/postgres")
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as file:
            file.write(SETTINGS + settings)
        self.start()
        if of is None:
            self.sql("CREATE DATABASE chats", "postgres")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _run(self, name, *arguments):
        subprocess.run(as_other_user([binaries() / name, *arguments]), check=True,
                       stdout=subprocess.DEVNULL, cwd=self.folder)

    def start(self):
        with open(self.folder / "log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                as_other_user([binaries() / "postgres", "-D", self.data, "-p", self.port]),
                stdout=log, stderr=log, cwd=self.folder)
        for _ in range(600):
            if subprocess.run([binaries() / "pg_isready", "-q", "-h", "127.0.0.1", "-p",
                               str(self.port)], check=False).returncode == 0:
                return
            time.sleep(0.05)
        raise SystemExit("PostgreSQL did not start:\n" + (self.folder / "log").read_text())

    def stop(self, how=signal.SIGINT):
        """SIGINT: orderly; SIGQUIT: as a crash would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(60)

    def promote(self):
        self._run("pg_ctl", "promote", "-D", self.data, "-w")

    def sql(self, statement, database="chats"):
        """The first column of the first row, as text."""
        return subprocess.run(
            [binaries() / "psql", "-XAtq", "-h", "127.0.0.1", "-p", str(self.port), "-U",
             "postgres", "-d", database, "-c", statement], check=True, text=True,
            stdout=subprocess.PIPE).stdout.strip()

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/chats"

    def cpu_seconds(self):
        """Of all its processes, also of those that have ended."""
        seconds = 0.0
        main = self.process.pid
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(stat.parent.name) == main:
                seconds += sum(map(int, fields[11:15]))
            elif int(fields[1]) == main:
                seconds += sum(map(int, fields[11:13]))
        return seconds / os.sysconf("SC_CLK_TCK")


class PgBouncer:
    """In transaction mode in front of it."""

    def __init__(self, server, pool_size=20):
        self.folder = Path(tempfile.mkdtemp())
        self.port = free_port()
        give_away(self.folder)
        config = self.folder / "pgbouncer.ini"
        config.write_text(f"""[databases]
chats = host=127.0.0.1 port={server.port} dbname=chats user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 2000
ignore_startup_parameters = extra_float_digits,options
log_connections = 0
log_disconnections = 0
""", encoding="utf-8")
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(as_other_user(["pgbouncer", config]), stdout=log,
                                            stderr=log, cwd=self.folder)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("pgbouncer did not start:\n" + (self.folder / "log").read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        shutil.rmtree(self.folder)

    @property
    def url(self):
        return f"postgresql://postgres@127.0.0.1:{self.port}/chats"

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
