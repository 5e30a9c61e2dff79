"""Runs the C program of this folder against a stand-in.
Usage: c_api_test.py STANDIN C_API_TEST [part of a case's name]"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from replies import REPLIES
from started import StandIn

standin, program, *arguments = sys.argv[1:]
program = Path(program).resolve()
with tempfile.TemporaryDirectory() as folder, StandIn(Path(standin).resolve(), None, folder) as started:
    started.script(*REPLIES)
    sys.exit(subprocess.run([program, *arguments], cwd=folder,
                            env=dict(os.environ, GEMINI_BASE_URL=started.url)).returncode)
