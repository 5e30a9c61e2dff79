"""Prints what each client ended with in each scenario, side by side; fails unless ours masters all.

Usage: table.py COMMAND [COMMAND ...]   each prints JSON lines; the first is ours
"""

import json
import shlex
import subprocess
import sys


def play(command):
    run = subprocess.run(shlex.split(command), text=True, stdout=subprocess.PIPE)
    return {line["scenario"]: line for line in map(json.loads, run.stdout.splitlines())}


def outcome(line):
    if line is None:
        return "not played"
    words = "ok" if line["as_expected"] else "WRONG"
    how = line.get("status") or (line["error"] or "no error").split(":")[0]
    return f"{words:6}{how}, {line['calls']} call{'s' if line['calls'] != 1 else ''}"


def main():
    results = [play(command) for command in sys.argv[1:]]
    ours = results[0]
    names = [next(iter(result.values()))["client"] for result in results]
    width = max(map(len, ours))
    print(f"{'scenario':{width}}  " + "".join(f"{name[:30]:32}" for name in names))
    for name in ours:
        print(f"{name:{width}}  " + "".join(f"{outcome(result.get(name)):32}" for result in results))
    counts = [sum(line["as_expected"] for line in result.values()) for result in results]
    print(f"{'as a correct client':{width}}  "
          + "".join(f"{f'{count} of {len(ours)}':32}" for count in counts))
    sys.exit(0 if counts[0] == len(ours) > 0 else 1)


main()
