"""What the bindings cost: one send through C++, C and Python side by side, the time that importing
takes, and how large the libraries are.

Usage: bindings_bench.py BUILD_FOLDER [--sends N] [--rounds N]

The sends have a store in memory and a stand-in that answers at once: what is left is the library's
own work and the way to the stand-in and back. The stand-in shares the machine: read the ratios, not
the absolute figures, and mind the load average. Languages take turns within a round; every figure is
the median of the rounds. CPU is that of the asking process alone.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support" / "python"))
from started import Started

parser = argparse.ArgumentParser()
parser.add_argument("build", type=Path)
parser.add_argument("--sends", type=int, default=3_000)
parser.add_argument("--rounds", type=int, default=7)
arguments = parser.parse_args()
BUILD = arguments.build.resolve()
ENV = dict(os.environ, PYTHONPATH=str(BUILD / "bindings/python"))


def python_module():
    """The interpreter that can import the module that was built; None when there is none."""
    if not (BUILD / "bindings/python/twinchat").is_dir():
        return None
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import twinchat"], env=ENV,
                          stderr=subprocess.DEVNULL).returncode == 0:
            return python
    return None


PYTHON = python_module()


def print_row(name, *cells):
    print(f"  {name:<34}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def sends():
    commands = {"C++": [BUILD / "tests/benchmarks/send-bench-cpp"],
                "C": [BUILD / "tests/benchmarks/send-bench-c"]}
    if PYTHON:
        commands["Python"] = [PYTHON, HERE / "send_bench.py"]
    figures = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as folder, Started(
            [BUILD / "tests/support/gemini_standin/gemini-standin", "--no-record"], None, folder,
            "stdout") as standin:
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                output = subprocess.run(
                    [*command, f"http://127.0.0.1:{standin.port}", str(arguments.sends)], env=ENV,
                    stdout=subprocess.PIPE, check=True).stdout
                figures[name].append([float(figure) for figure in output.split()])
    print(f"\nOne send, {arguments.rounds} rounds of {arguments.sends}")
    print_row("", "wall p50 us", "beside C++", "CPU us", "beside C++")
    medians = {name: [statistics.median(column) for column in zip(*rounds)]
               for name, rounds in figures.items()}
    for name, (wall, cpu) in medians.items():
        print_row(name, f"{wall:.0f}", f"{wall / medians['C++'][0]:.2f}", f"{cpu:.0f}",
                  f"{cpu / medians['C++'][1]:.2f}")
    if not PYTHON:
        print_row("Python", "not built")


def importing():
    print("\nimport twinchat")
    if not PYTHON:
        print_row("the module is not built")
        return
    walls = {"pass": [], "import twinchat": []}
    for _ in range(31):
        for code, times in walls.items():
            begun = time.perf_counter()
            subprocess.run([PYTHON, "-c", code], env=ENV, check=True)
            times.append((time.perf_counter() - begun) * 1e3)
    print_row("", "wall p50 ms")
    for code, times in walls.items():
        print_row(f"python3 -c '{code}'", f"{statistics.median(times):.1f}")
    print_row("difference", f"{statistics.median(walls['import twinchat']) - statistics.median(walls['pass']):.1f}")


def sizes():
    print("\nStripped")
    print_row("", "file KiB", "code KiB", "data KiB")
    needed = {}
    candidates = [BUILD / "libtwinchat/libtwinchat.so", BUILD / "bindings/c/libtwinchat_c.so",
                  *(BUILD / "bindings/python/twinchat").glob("_twinchat*.so"),
                  BUILD / "server/twinchat-server"]
    for binary in candidates:
        if not binary.exists():
            print_row(binary.name, "not built")
            continue
        with tempfile.TemporaryDirectory() as folder:
            stripped = Path(folder) / binary.name
            shutil.copy(binary.resolve(), stripped)
            subprocess.run(["strip", "--strip-unneeded", stripped], check=True)
            size = subprocess.run(["size", stripped], text=True, capture_output=True, check=True)
            text, data = (int(field) for field in size.stdout.splitlines()[1].split()[:2])
            print_row(binary.name, f"{stripped.stat().st_size / 1024:.0f}", f"{text / 1024:.0f}",
                      f"{data / 1024:.0f}")
        dynamic = subprocess.run(["readelf", "-d", binary], text=True, capture_output=True, check=True)
        needed[binary.name] = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic.stdout)
    print("\nDirect dependencies")
    for name, libraries in needed.items():
        print(f"  {name}: {' '.join(libraries)}")


print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
sends()
importing()
sizes()
