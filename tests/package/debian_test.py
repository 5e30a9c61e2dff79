"""Builds the Debian packages, looks at them as lintian does, installs them into a folder, and uses
what is there: the server answers a visitor, programs are built against the library, Python imports it.
Usage: debian_test.py SOURCE FOLDER MAKE CXX"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest
import urllib.request
from pathlib import Path

SOURCE, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])
MAKE, CXX = sys.argv[3:5]
ROOT = FOLDER / "root"

PYTHON_PROGRAM = """
import twinchat

class Echo(twinchat.Model):
    def name(self):
        return "echo"
    def generate(self, request, options):
        text = twinchat.visible_text(request.contents[-1])
        return twinchat.ModelAnswer(content=twinchat.text_content(twinchat.Role.MODEL, "echo " + text))

with twinchat.Assistant(twinchat.make_memory_store(), Echo()) as assistant:
    session = assistant.create_session(name="Jane")
    print(assistant.send(session.session_id, "hello").text, twinchat.__file__)
"""


def run(*command, **options):
    """The command's output; what went wrong is shown."""
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-6000:]}")
    return done.stdout


def dpkg(*arguments):
    """dpkg on ROOT, with a database of its own; scripts of packages run outside and are told ROOT."""
    fakeroot = [] if os.geteuid() == 0 else ["fakeroot", "-i", FOLDER / "fakeroot", "-s", FOLDER / "fakeroot"]
    # Dependencies are asked of the machine, in test_dependencies_are_debians.
    return run(*fakeroot, "dpkg", f"--root={ROOT}", "--force-script-chrootless", "--force-depends",
               f"--log={FOLDER}/dpkg.log", *arguments,
               env=dict(os.environ, PATH=f"{FOLDER}/tools:{os.environ['PATH']}:/usr/sbin:/sbin"))


class Debian(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # What is compiled is what is shipped, but unoptimised and without symbols for debuggers.
        env = dict(os.environ, DEB_BUILD_OPTIONS="noopt noautodbgsym parallel=2",
                   DEB_CXXFLAGS_APPEND="-g0")
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
            env.pop(name, None)
        run(MAKE, "-C", SOURCE, "deb", f"BUILD={FOLDER}/build", env=env)
        cls.debs = {re.match(r"[^_]+", deb.name)[0]: deb for deb in (FOLDER / "build-deb").glob("*.deb")}
        shutil.rmtree(ROOT, ignore_errors=True)
        (ROOT / "var/lib/dpkg").mkdir(parents=True)
        (FOLDER / "fakeroot").touch()
        shutil.rmtree(FOLDER / "home", ignore_errors=True)
        (FOLDER / "home").mkdir()
        for name in ("status", "available"):
            (ROOT / "var/lib/dpkg" / name).touch()
        # Python's own scripts know of no other root.
        tools = FOLDER / "tools"
        tools.mkdir(exist_ok=True)
        for name in ("py3compile", "py3clean"):
            (tools / name).write_text("#!/bin/sh\n")
            (tools / name).chmod(0o755)
        dpkg("--install", *cls.debs.values())
        cls.libraries = next((ROOT / "usr/lib").glob("*-linux-*"))
        cls.env = dict(os.environ, LD_LIBRARY_PATH=str(cls.libraries))
        cls.server = ROOT / "usr/bin/twinchat-server"

    def test_packages_are_named_by_what_they_hold(self):
        soname = run("readelf", "--dynamic", self.libraries / "libtwinchat.so")
        version = re.search(r"\[libtwinchat\.so\.([\d.]+)\]", soname)[1]
        self.assertEqual(set(self.debs), {f"libtwinchat{version}", "libtwinchat-dev",
                                          "python3-twinchat", "twinchat-server"})

    def test_lintian_finds_no_errors(self):
        changes = next((FOLDER / "build-deb").glob("*.changes"))
        as_root = ["--allow-root"] if os.geteuid() == 0 else []
        run("lintian", *as_root, "--fail-on", "error", changes)

    def test_dependencies_are_debians(self):
        for name, deb in self.debs.items():
            depends = run("dpkg-deb", "--field", deb, "Depends").replace("\n", " ")
            others = [part for part in depends.split(", ") if "twinchat" not in part]
            with self.subTest(package=name):
                self.assertTrue(others)
                # What builds the packages has all of them, so every name must be a real one.
                run("dpkg-checkbuilddeps", "-d", ", ".join(others), "/dev/null")

    def test_server_answers_a_visitor(self):
        home = FOLDER / "home"
        env = {"PATH": os.environ["PATH"], "DEBUG": "True", "METRICS_ADDRESS": "off",
               "LD_LIBRARY_PATH": str(self.libraries)}
        self.assertIn(str(self.libraries), run("ldd", self.server, env=env))
        process = subprocess.Popen([self.server, "serve", "--port", "0"], env=env, cwd=home, text=True,
                                   stderr=subprocess.PIPE)
        try:
            lines = iter(process.stderr.readline, "")
            url = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))

            def post(path, body):
                request = urllib.request.Request(url + path, json.dumps(body).encode(),
                                                 {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=30) as response:
                    return json.load(response)

            session = post("/api/chat/sessions/create_session/", {"user_details": {"name": "Jane"}})
            answer = post("/api/chat/message/", {"session_id": session["session_id"],
                                                 "message": "How can I reverse diabetes?"})
            self.assertIn("offline demo", answer["bot_response"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertTrue((home / "twinchat.db").is_file())

    def test_programs_are_built_against_the_library(self):
        env = dict(self.env, PKG_CONFIG_PATH=str(self.libraries / "pkgconfig"))
        for kind in ("static", "shared"):
            folder = FOLDER / f"program_{kind}"
            folder.mkdir(exist_ok=True)
            run(SOURCE / "tests/package/pkg_config/build_and_run.sh", CXX, kind,
                SOURCE / "tests/package/consumer.cc", env=env, cwd=folder)

    def test_python_module_works(self):
        # Debian's own interpreter, and nothing but what the package brought.
        env = dict(self.env, PYTHONDONTWRITEBYTECODE="1",
                   PYTHONPATH=str(ROOT / "usr/lib/python3/dist-packages"))
        seen = run("/usr/bin/python3", "-c", PYTHON_PROGRAM, env=env, cwd=FOLDER / "home")
        self.assertEqual(seen.split()[:2], ["echo", "hello"])
        self.assertTrue(seen.split()[2].startswith(str(ROOT)), seen)

    def test_service_is_confined(self):
        unit = ROOT / "lib/systemd/system/twinchat-server.service"
        starts = re.search(r"^ExecStart=(\S+) (\S+)$", unit.read_text(), re.M)
        self.assertEqual((ROOT / starts[1].lstrip("/")).resolve(), self.server.resolve())
        self.assertIn(starts[2], run(self.server, "--help", env=self.env))
        self.assertIn("Type=notify", unit.read_text())
        if not shutil.which("systemd-analyze"):
            self.skipTest("no systemd-analyze")
        # It looks for kill, which is another package's.
        kill = ROOT / "bin/kill"
        kill.parent.mkdir(exist_ok=True)
        shutil.copy("/bin/kill", kill)
        run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={ROOT}",
            unit.name)
        kill.unlink()
        # At most 2 of 10 in exposure: "OK" in its words.
        run("systemd-analyze", "security", "--offline=true", "--threshold=20", unit)

    def test_settings_of_the_service_are_a_conffile_and_its_readers_few(self):
        settings = ROOT / "etc/twinchat/twinchat-server.env"
        self.assertEqual(settings.stat().st_mode & 0o777, 0o640)
        self.assertIn("/etc/twinchat/twinchat-server.env",
                      run("dpkg-query", f"--admindir={ROOT}/var/lib/dpkg", "-W", "-f",
                          "${Conffiles}", "twinchat-server"))
        names = re.findall(r"^# ([A-Z_]+)=", settings.read_text(), re.M)
        self.assertEqual(names, re.findall(r"^# ([A-Z_]+)=", run(self.server, "settings", env=self.env),
                                           re.M))
        # All of it is commented out: as it is, the server does without a file.
        self.assertEqual([line for line in settings.read_text().splitlines()
                          if line and not line.startswith("#")], [])

    def test_manual_page_has_every_setting(self):
        page = run("zcat", ROOT / "usr/share/man/man8/twinchat-server.8.gz")
        settings = re.findall(r"^# ([A-Z_]+)=", run(self.server, "settings", env=self.env), re.M)
        self.assertEqual(re.findall(r"^\.TP\n\.B ([A-Z_]+)$", page, re.M), settings)
        version = re.search(r"project\(twinchat VERSION ([\d.]+)",
                            (SOURCE / "CMakeLists.txt").read_text())[1]
        self.assertIn(f'"twinchat {version}"', page)

    @classmethod
    def tearDownClass(cls):
        # And away again: nothing of the packages stays behind.
        dpkg("--purge", *cls.debs)
        left = [path for top in ("etc/twinchat", "lib/systemd", "usr") for path in (ROOT / top).rglob("*")
                if not path.is_dir()]
        assert left == [], left


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
