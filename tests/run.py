#!/usr/bin/env python3
"""Runs the unit tests (cmocka) and the system tests (pytest), prints what failed, and ends with one
line `N passed, N failed, N skipped`.

  tests/run.py --build DIR [--all] [--unit-only] [-k WORDS]

INGOT_TEST_FIXTURES   folder with fixtures; tests that need it are skipped without it
INGOT_TEST_NO_SKIP=1  a skipped test is a failed test
INGOT_TEST_CACHE      a cache that is kept from run to run, for work on the tests themselves
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parents[1]


class Totals:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add_xml(self, path, prefix=""):
        """Counts the testcases of a JUnit file. False if there is none to read."""
        try:
            root = ET.parse(path).getroot()
        except (OSError, ET.ParseError):
            return False
        for case in root.iter("testcase"):
            name = prefix + (case.get("classname") or "") + "::" + (case.get("name") or "?")
            bad = case.find("failure")
            bad = case.find("error") if bad is None else bad
            skip = case.find("skipped")
            if bad is not None:
                self.failed.append((name, (bad.text or bad.get("message") or "").strip()))
            elif skip is not None:
                self.skipped.append((name, skip.get("message") or ""))
            else:
                self.passed += 1
        return True


def run_unit(program, totals, scratch):
    report = scratch / f"{program.name}.xml"
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="xml", CMOCKA_XML_FILE=str(report))
    start = time.monotonic()
    try:
        done = subprocess.run([program], env=env, cwd=ROOT, capture_output=True, text=True,
                              errors="replace", timeout=600)
        status, output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        status, output = -1, "did not finish within 600 s"
    failed_before = len(totals.failed)
    counted = totals.add_xml(report, f"{program.name}")
    if not counted or (status != 0 and len(totals.failed) == failed_before):
        totals.failed.append((program.name, f"status {status}: {output[-2000:]}"))
    print(f"unit {program.name[5:]}: {'ok' if len(totals.failed) == failed_before else 'FAILED'}"
          f" ({time.monotonic() - start:.1f}s)", flush=True)


def run_system(arguments, build, totals, scratch):
    report = scratch / "system.xml"
    env = dict(os.environ, INGOT_BUILD=str(build.resolve()), PYTHONDONTWRITEBYTECODE="1")
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--durations=15",
               f"--junitxml={report}", str(ROOT / "tests/system")]
    if not arguments.all:
        command += ["-m", "not slow"]
    if arguments.k:
        command += ["-k", arguments.k]
    done = subprocess.run(command, env=env, cwd=ROOT)
    if not totals.add_xml(report):
        totals.failed.append(("pytest", f"status {done.returncode}, no report"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--all", action="store_true", help="the slow ones as well")
    parser.add_argument("--unit-only", action="store_true")
    parser.add_argument("-k", help="only system tests whose names match (pytest's -k)")
    arguments = parser.parse_args()
    totals = Totals()
    with tempfile.TemporaryDirectory(prefix="ingot-tests-") as scratch:
        if not arguments.k:
            for program in sorted((arguments.build / "tests").glob("test_*")):
                if os.access(program, os.X_OK) and program.suffix == "":
                    run_unit(program, totals, pathlib.Path(scratch))
        if not arguments.unit_only:
            run_system(arguments, arguments.build, totals, pathlib.Path(scratch))
    if os.environ.get("INGOT_TEST_NO_SKIP") == "1":
        totals.failed += [(n, f"skipped, but INGOT_TEST_NO_SKIP=1: {w}") for n, w in totals.skipped]
        totals.skipped = []
    for name, why in totals.skipped:
        print(f"skipped: {name}: {why}")
    for name, why in totals.failed:
        print(f"FAILED: {name}\n  " + why.replace("\n", "\n  ")[:3000])
    print(f"{totals.passed} passed, {len(totals.failed)} failed, {len(totals.skipped)} skipped")
    return 1 if totals.failed or not totals.passed else 0


if __name__ == "__main__":
    sys.exit(main())
