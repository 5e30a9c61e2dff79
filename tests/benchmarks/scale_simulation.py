"""What follows from the measured cost of a message for 10, 100 and 1,000 times the traffic.

Usage: scale_simulation.py [--write | --check]

Prints the tables of libtwinchat/doc/scale.md; --write puts them there, --check fails when others
are there, or when the simulation does not give the measured rate.

Plays servers, a PostgreSQL and a model event by event: messages arrive by chance, each takes
processor time of a server and of the database, waits for commits that are flushed in groups, holds
a connection of the pool only during its transactions, and waits for a model meanwhile. What a
message costs is read from scale_measured.json, which scale_bench.py writes; what is assumed beside
it stands in ASSUMED. First the measured run itself is played, all programs on the cores of one
machine: the simulation is worth something only if it gives what was measured.
"""

import heapq
import json
import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASURED = HERE / "scale_measured.json"
PAGE = HERE.parents[1] / "libtwinchat/doc/scale.md"
# The played rate of the measured run is to be within this of the measured one.
TOLERANCE = 0.25

ASSUMED = {
    # A visitor waits for the model: half of the answers take less than this, in seconds.
    "model_median": 2.0,
    # The standard deviation of its logarithm: 1 in 100 takes three times the median.
    "model_sigma": 0.47,
    # Between a server and the database, there and back, in seconds: one data centre.
    "round_trip": 0.0003,
    # A commit's flush on a network disk of a cloud, in seconds.
    "flush": 0.002,
    # The busiest hour has so many times the messages of an average one.
    "peak_to_average": 3.0,
    # A core is not planned to be busier than that.
    "utilisation": 0.6,
}


class Cores:
    """A number of cores that take jobs in the order in which they come."""

    def __init__(self, world, count):
        self.world, self.free, self.waiting = world, count, []
        self.count, self.busy, self.first = count, 0.0, 0

    def use(self, seconds, then):
        if self.free:
            self.free -= 1
            self._run(seconds, then)
        else:
            self.waiting.append((seconds, then))

    def _run(self, seconds, then):
        self.busy += seconds
        self.world.after(seconds, lambda: self._done(then))

    def _done(self, then):
        if self.first < len(self.waiting):
            seconds, following = self.waiting[self.first]
            self.first += 1
            if self.first > 1000:
                del self.waiting[:self.first]
                self.first = 0
            self._run(seconds, following)
        else:
            self.free += 1
        then()


class Log:
    """The database's log of writes: one flush at a time, for all who wait when it begins."""

    def __init__(self, world, seconds):
        self.world, self.seconds = world, seconds
        self.flushing, self.waiting, self.flushes = False, [], 0

    def flush(self, then):
        self.waiting.append(then)
        if not self.flushing:
            self._begin()

    def _begin(self):
        self.flushing, self.flushes = True, self.flushes + 1
        group, self.waiting = self.waiting, []
        self.world.after(self.seconds, lambda: self._end(group))

    def _end(self, group):
        self.flushing = False
        if self.waiting:
            self._begin()
        for then in group:
            then()


class Pool:
    """Connections of one server."""

    def __init__(self, size):
        self.free, self.size, self.waiting, self.most = size, size, [], 0

    def take(self, then):
        if self.free:
            self.free -= 1
            self.most = max(self.most, self.size - self.free)
            then()
        else:
            self.waiting.append(then)

    def give_back(self):
        if self.waiting:
            self.waiting.pop(0)()
        else:
            self.free += 1


class World:
    """The clock and what is to happen."""

    def __init__(self, seed=1):
        self.now, self.events, self.number = 0.0, [], 0
        self.random = random.Random(seed)

    def after(self, seconds, then):
        self.number += 1
        heapq.heappush(self.events, (self.now + seconds, self.number, then))

    def run(self, until):
        while self.events and self.events[0][0] <= until:
            self.now, _, then = heapq.heappop(self.events)
            then()
        self.now = until


@dataclass
class Plan:
    """Machines for a rate of messages a second."""
    rate: float
    servers: int
    server_cores: int
    databases: int
    database_cores: int
    connections: int = 16  # of each server to each database


@dataclass
class Outcome:
    answered: int
    offered: int
    own_p50: float  # seconds beyond the model's
    own_p99: float
    server_load: float
    database_load: float
    flushes: float  # a second and database
    connections: int  # in use at once by one server to one database, at most
    waiting: float  # messages that wait for the model, on one server


class Message:
    """One message's way, each step calling the next."""

    def __init__(self, world, cost, server, pool, database, log, model, done):
        self.world, self.cost, self.server, self.pool = world, cost, server, pool
        self.database, self.log, self.model, self.done = database, log, model, done
        self.began = world.now
        # Half of a server's work comes before the model is asked, half after it.
        self.server.use(cost["server_cpu"] / 2, lambda: self.transaction(True, self.ask))

    def transaction(self, flushed, then):
        self.pool.take(lambda: self._in_transaction(flushed, then))

    def _in_transaction(self, flushed, then):
        cost = self.cost
        part = cost["database_cpu"] / cost["transactions"]
        travel = cost["round_trip"] * cost["round_trips"] / cost["transactions"]

        def over():
            self.pool.give_back()
            then()

        def work():
            self.database.use(part, lambda: self.log.flush(over) if flushed else over())

        self.world.after(travel, work)

    def ask(self):
        reads = round(self.cost["transactions"] - self.cost["commits"])

        def read(left):
            if left:
                self.transaction(False, lambda: read(left - 1))
            else:
                self.world.after(self.model, self.answered)

        read(reads)

    def answered(self):
        self.server.use(self.cost["server_cpu"] / 2,
                        lambda: self.transaction(True, lambda: self.done(self)))


def cost_of(measured, round_trip, flush):
    message = measured["message"]
    return {"server_cpu": message["server_cpu_us"] / 1e6,
            "database_cpu": message["database_cpu_us"] / 1e6,
            "transactions": message["transactions"], "commits": message["commits"],
            "round_trips": message["round_trips"], "round_trip": round_trip, "flush": flush}


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else math.nan


def play(plan, measured):
    """The plan under messages that arrive by chance, with a model as assumed."""
    world = World()
    cost = cost_of(measured, ASSUMED["round_trip"], ASSUMED["flush"])
    servers = [Cores(world, plan.server_cores) for _ in range(plan.servers)]
    databases = [(Cores(world, plan.database_cores), Log(world, ASSUMED["flush"]))
                 for _ in range(plan.databases)]
    pools = [[Pool(plan.connections) for _ in databases] for _ in servers]
    warm_up = 3 * ASSUMED["model_median"]
    end = warm_up + max(3.0, 4000 / plan.rate)
    own, counts = [], {"offered": 0, "under_way": 0, "area": 0.0, "since": 0.0}

    def account(change):
        counts["area"] += counts["under_way"] * (world.now - counts["since"])
        counts["since"] = world.now
        counts["under_way"] += change

    def arrive():
        if world.now >= end:
            return
        world.after(world.random.expovariate(plan.rate), arrive)
        measuring = world.now >= warm_up
        counts["offered"] += measuring
        server = world.random.randrange(plan.servers)
        database = world.random.randrange(plan.databases)
        model = world.random.lognormvariate(math.log(ASSUMED["model_median"]),
                                            ASSUMED["model_sigma"])

        def done(message):
            account(-1)
            if measuring:
                own.append(world.now - message.began - model)

        account(1)
        Message(world, cost, servers[server], pools[server][database], *databases[database],
                model, done)

    arrive()
    world.run(end)
    account(0)
    length, used = world.now, ([s.busy for s in servers], [d.busy for d, _ in databases])
    area, flushes = counts["area"], sum(log.flushes for _, log in databases)
    world.run(end + 8 * ASSUMED["model_median"])  # those under way are answered
    return Outcome(len(own), counts["offered"], percentile(own, 0.5), percentile(own, 0.99),
                   sum(used[0]) / length / plan.servers / plan.server_cores,
                   sum(used[1]) / length / plan.databases / plan.database_cores,
                   flushes / length / plan.databases,
                   max(p.most for of_server in pools for p in of_server),
                   area / length / plan.servers)


def replay(measured):
    """The measured run: clients that ask again when they are answered, all on one machine's cores.

    Returns the rate that the simulation gives.
    """
    run = measured["run"]
    world = World()
    machine = Cores(world, run["cores"])
    log = Log(world, run["flush_ms"] / 1000)
    pool = Pool(run["connections"])
    cost = cost_of(measured, 0.0, run["flush_ms"] / 1000)
    # What the load and the stand-in take of the same cores.
    others = (measured["message"]["others_cpu_us"]) / 1e6
    finished = []

    def ask():
        def done(_):
            finished.append(world.now)
            machine.use(others, ask)
        Message(world, cost, machine, pool, machine, log, run["model_ms"] / 1000, done)

    for _ in range(run["clients"]):
        ask()
    world.run(12.0)
    return sum(at >= 2.0 for at in finished) / 10.0


def plan_for(rate, measured):
    """As many cores as the load needs when none is planned to be busier than assumed."""
    message = measured["message"]
    usable = ASSUMED["utilisation"] * 1e6
    server_cores = rate * message["server_cpu_us"] / usable
    database_cores = rate * message["database_cpu_us"] / usable
    # Two servers at least, so that one may go; larger machines from where small ones get many.
    size = 2 if server_cores <= 12 else 8
    servers = max(2, math.ceil(server_cores / size) + 1)
    # One database while a machine of 32 cores can do it; sharded by session beyond.
    databases = max(1, math.ceil(database_cores / 32))
    cores = max(2, math.ceil(database_cores / databases))
    cores += cores % 2
    # A message holds a connection while it travels, works and is flushed: on average for one and a
    # half flushes, the one under way and its own. Twice that for what comes by chance.
    held = (message["round_trips"] * ASSUMED["round_trip"] + message["database_cpu_us"] / 1e6
            + message["commits"] * 1.5 * ASSUMED["flush"])
    connections = max(16, math.ceil(2 * rate * held / servers / databases))
    return Plan(rate, servers, size, databases, cores, connections)


def rows(measured):
    message = measured["message"]
    for rate in (1, 10, 100, 1_000, 10_000):
        plan = plan_for(rate, measured)
        outcome = play(plan, measured)
        if outcome.answered != outcome.offered:
            raise SystemExit(f"at {rate}/s {outcome.offered - outcome.answered} were not answered")
        a_day = rate / ASSUMED["peak_to_average"] * 86400
        yield (
            f"{rate:,}", f"{a_day:,.0f}", f"{plan.servers} x {plan.server_cores}",
            f"{plan.databases} x {plan.database_cores}",
            f"{outcome.server_load:.0%}, {outcome.database_load:.0%}",
            f"{outcome.own_p50 * 1000:.1f} / {outcome.own_p99 * 1000:.1f}",
            f"{outcome.connections} of {plan.connections}", f"{outcome.waiting:,.0f}",
            f"{measured['server_base_mib'] + outcome.waiting * measured['visitor_kib'] / 1024:,.0f}",
            f"{a_day * message['stored_bytes'] / 2**30:,.2f}",
            f"{rate * message['wal_bytes'] / 2**20:,.2f}")


def table(head, lines):
    return "\n".join("| " + " | ".join(line) + " |"
                     for line in (head, ["---"] * len(head), *lines))


def plans(measured):
    return table(
        ("messages/s at the peak", "messages a day", "servers x cores", "databases x cores",
         "busy: servers, databases", "own time p50 / p99, ms", "connections a server uses",
         "waiting for the model, a server", "MiB a server", "GiB a day", "log, MiB/s"),
        rows(measured))


def costs(measured):
    message = measured["message"]
    played, seen = replay(measured), measured["run"]["rate"]
    if abs(played / seen - 1) > TOLERANCE:
        raise SystemExit(f"the measured run gave {seen}/s, played it gives {played:.0f}/s")
    return table(("a message", ""), [
        ("processor time of the server", f"{message['server_cpu_us']} us"),
        ("of PostgreSQL, all its processes", f"{message['database_cpu_us']} us"),
        ("of PostgreSQL and pgbouncer when it stands in between",
         f"{message['database_cpu_pooled_us']} us and {message['pooler_cpu_us']} us"),
        ("of a server on SQLite, for comparison", f"{message['sqlite_cpu_us']} us"),
        ("transactions, commits of them that are flushed, round trips",
         f"{message['transactions']}, {message['commits']}, {message['round_trips']}"),
        ("rows inserted, rows written in all",
         f"{message['rows_inserted']}, {message['rows_written']}"),
        ("bytes of tables and indexes, of the log of writes",
         f"{message['stored_bytes']:,}, {message['wal_bytes']:,}"),
        ("connections while the model is awaited", "0"),
        (f"messages a second, {measured['run']['clients']} visitors and everything on "
         f"{measured['run']['cores']} cores", f"{seen:,} ({played / seen:.2f} of it when played)"),
    ])


def main():
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    page = old = PAGE.read_text(encoding="utf-8")
    for name, text in (("cost", costs(measured)), ("plans", plans(measured))):
        print(text + "\n")
        begin = page.index(f"scale_simulation.py: {name} -->\n") + len(
            f"scale_simulation.py: {name} -->\n")
        page = page[:begin] + text + "\n" + page[page.index("<!-- end -->", begin):]
    if "--write" in sys.argv:
        PAGE.write_text(page, encoding="utf-8")
    if "--check" in sys.argv and page != old:
        raise SystemExit(f"{PAGE} has other tables: run {Path(__file__).name} --write")


if __name__ == "__main__":
    main()
