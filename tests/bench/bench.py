#!/usr/bin/env python3
"""Compares ingot with what people do today: cp, qemu-img resize, virt-customize, xorriso and
`qemu-img convert -c`, for the same content on the same base, in one run, both warm; and for fetching
and bundles (fetch.py) with curl, tee, tar and sha256sum.

  tests/bench/bench.py [--build DIR] [--work DIR] [--part bake|fetch|all] [--quick]

Prints a table for each part and writes DIR/bench.json, DIR/bench-fetch.json. The first part needs an
internet at the first run, to make the base (DIR/bench, or --work, keeps it). Nothing is timed against a clock: the goals are ratios, and a row
that misses its goal fails nothing.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

import content
import fetch
import today
from measure import best_of, measure, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20
DISK = "8GiB"
MEMORY_GOAL = 64 * MIB


class Ingot:
    """The program under test, with a cache and an output folder of its own."""

    def __init__(self, program, work, quick):
        self.program, self.work, self.repeat = program, work, 1 if quick else 3
        self.cache, self.out = work / "cache", work / "out"
        self.env = dict(os.environ, INGOT_CACHE=str(self.cache))
        self.env.pop("SOURCE_DATE_EPOCH", None)

    def argv(self, recipe, *options):
        return [self.program, "build", *options, "-o", self.out, "--progress", "plain", recipe]

    def build(self, recipe, *options):
        return measure(self.argv(recipe, *options), env=self.env)

    def layers(self, recipe):
        said = run(self.argv(recipe, "--offline", "--json"), env=self.env)
        return json.loads(said)["layers"]

    def forget(self, recipe, keep):
        """Takes away what was made of a recipe, but for the layers in keep."""
        for name, key in self.layers(recipe).items():
            if name not in keep:
                folder = self.cache / "layers" / key
                shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(self.out / recipe.stem)

    def steps(self, name):
        """Seconds of each step, from the newest build log."""
        log = max((self.cache / "log").glob(f"{name}-*.log"), key=lambda p: p.stat().st_mtime_ns)
        found = {}
        for line in log.read_text(errors="replace").splitlines():
            if "step done: " in line:
                what, _, seconds = line.split("step done: ", 1)[1].rpartition(", ")
                found[what] = round(found.get(what, 0) + float(seconds.split()[0]), 3)
        return found


def make_base(ingot, work):
    """A Debian bookworm disk without the guest agent, as a qcow2 like those that are offered."""
    qcow2 = work / "base.qcow2"
    if qcow2.exists():
        return qcow2
    print("bench: making the base (once)", file=sys.stderr)
    recipe = work / "bench-base.yaml"
    recipe.write_text(content.BOOTSTRAP)
    raw = run([ingot.program, "build", "--until", "base", "--progress", "plain", recipe],
              env=dict(ingot.env, INGOT_CACHE=str(work / "base-cache"))).strip()
    disk = work / "base.raw"
    run(["cp", "--sparse=always", raw, disk])
    disk.chmod(0o600)
    run(["virt-customize", "-q", "--no-network", "-a", disk, "--run-command",
         "apt-get -y purge qemu-guest-agent && apt-get -y --purge autoremove",
         "--truncate", "/etc/machine-id"], env=today.environment(ingot))
    run(["qemu-img", "convert", "-c", "-O", "qcow2", disk, work / "base.tmp"])
    disk.unlink()
    shutil.rmtree(work / "base-cache", ignore_errors=True)
    (work / "base.tmp").rename(qcow2)
    return qcow2


def cold(ingot, work, base, name, packages, rows):
    """Both ways from the base to the image; what they made must be the same."""
    recipe = content.write_recipe(work, name, base, DISK, packages)
    print(f"bench: {name}: first build, to warm the caches of both", file=sys.stderr)
    ingot.build(recipe)
    debs = content.packages_of(ingot, recipe, work / f"{name}-debs")
    ingot.forget(recipe, keep=("base",))
    print(f"bench: {name}: what people do today", file=sys.stderr)
    theirs = today.make(ingot, work, base, DISK, debs)
    print(f"bench: {name}: ingot", file=sys.stderr)
    ours = ingot.build(recipe)
    ours["steps"] = ingot.steps(name)
    rows.append({"what": f"cold bake, {len(list(debs.glob('*.deb')))} packages", "id": name,
                 "goal": 0.6 if not packages else None, "today": theirs, "ingot": ours})
    today.compare(ingot, work, today.image(work), ingot.out / name / f"{name}-amd64.qcow2")
    return recipe, theirs


def quick_rows(ingot, work, base, recipe, theirs, rows):
    def row(what, ident, change, options, goal=None, seconds=None, given=recipe):
        best = best_of(ingot.repeat, lambda i: (change(i), ingot.build(given, *options))[1])
        best["steps"] = ingot.steps(given.stem)
        if "launch the appliance" in best["steps"]:
            raise SystemExit(f"bench: {what}: an appliance was launched")
        rows.append({"what": what, "id": ident, "goal": goal, "goal_seconds": seconds,
                     "today": theirs, "ingot": best})

    def change_overlay(i):
        content.change_overlay(work, i)

    def nothing(_):
        pass

    def change_seed(i):
        content.write_recipe(work, recipe.stem, base, DISK, [], hostname=f"bench-{i}")

    second = content.write_recipe(work, "second", base, DISK, [], overlay="other")

    def forget_second(_):
        if (ingot.out / "second").exists():
            ingot.forget(second, keep=("base", "system"))

    offline = ["--offline"]
    row("one overlay file changed", "overlay", change_overlay, offline, 0.05)
    row("a second recipe, same base and packages", "second", forget_second, offline, 0.1,
        given=second)
    row("only cidata changed", "cidata", change_seed, offline, seconds=0.1)
    row("nothing changed", "nothing", nothing, offline, 0.002, 0.05)
    row("nothing changed, package indexes asked first", "nothing-online", nothing, [])


def memory_row(ingot, work, base, rows):
    """A payload and a disk that are large: the builder itself stays small."""
    recipe = content.write_recipe(work, "large", base, "64GiB", [], large=True,
                                  outputs="[qcow2, raw, cidata]")
    print("bench: 1 GiB of payload on a disk of 64 GiB, for the memory", file=sys.stderr)
    rows.append({"what": "1 GiB payload, 64 GiB disk, qcow2 and raw", "id": "large", "goal": None,
                 "today": None, "ingot": ingot.build(recipe)})
    rows[-1]["ingot"]["steps"] = ingot.steps("large")
    ingot.forget(recipe, keep=("base",))
    (work / "large").unlink()


def finish(rows):
    for r in rows:
        r["ratio"] = r["ingot"]["seconds"] / r["today"]["seconds"] if r["today"] else None
        r["memory_ok"] = r["ingot"]["peak_bytes"] < MEMORY_GOAL
        r["met"] = None
        if r["goal"] or r.get("goal_seconds"):
            r["met"] = (not r["goal"] or r["ratio"] <= r["goal"]) and (
                not r.get("goal_seconds") or r["ingot"]["seconds"] <= r["goal_seconds"])


def number(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def table(rows):
    """Markdown, as it stands in docs/performance.md."""
    lines = ["| what | today, s | ingot, s | ratio | goal | met | ingot's memory, MiB |",
             "| --- | ---: | ---: | ---: | --- | --- | ---: |"]
    for r in rows:
        goals = [g for g in (r["goal"] and f"{r['goal']:g}",
                             r.get("goal_seconds") and f"{r['goal_seconds']:g} s") if g]
        seconds = r["ingot"]["seconds"]
        lines.append("| " + " | ".join([
            r["what"], number(r["today"] and r["today"]["seconds"], 1),
            number(seconds, 1 if seconds >= 10 else 3), number(r["ratio"], 4), ", ".join(goals),
            {True: "yes", False: "no", None: ""}[r["met"]],
            number(r["ingot"]["peak_bytes"] / MIB, 1)]) + " |")
    cold_row = rows[0]
    convert = cold_row["today"]["steps"]["qemu-img convert -c"]
    zstd = cold_row["today"]["zstd_seconds"]
    ratio = cold_row["ingot"]["seconds"] / (cold_row["today"]["seconds"] - convert + zstd)
    lines.append(f"\nWith zstd clusters `qemu-img convert -c` takes {zstd:.1f} s today, not "
                 f"{convert:.1f}: the first row's ratio would be {ratio:.2f}.")
    return "\n".join(lines)


def host():
    cpu = [l.split(":", 1)[1].strip() for l in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
           if l.startswith("model name")]
    return {"cpus": os.cpu_count(), "cpu": cpu[0] if cpu else "", "kernel": os.uname().release,
            "qemu": run(["qemu-img", "--version"]).splitlines()[0],
            "virt-customize": run(["virt-customize", "--version"]).strip(),
            "loadavg_start": os.getloadavg()}


def bake_part(ingot, work, build, quick):
    result = {"host": host(), "disk": DISK}
    # What an earlier run has made would be found again.
    for old in (ingot.out, ingot.cache / "layers"):
        shutil.rmtree(old, ignore_errors=True)
    result["acceleration"] = today.acceleration(ingot)
    base = make_base(ingot, work)
    content.make(work)
    rows = []
    recipe, theirs = cold(ingot, work, base, "agent", [], rows)
    quick_rows(ingot, work, base, recipe, theirs, rows)
    if not quick:
        cold(ingot, work, base, "podman", ["podman"], rows)
        rows.insert(1, rows.pop())
        memory_row(ingot, work, base, rows)
    finish(rows)
    report(result, rows, build / "bench.json", table(rows))


def fetch_part(ingot, work, build, quick):
    result = {"host": host()}
    rows = fetch.run_all(ingot, work, quick, MEMORY_GOAL)
    report(result, rows, build / "bench-fetch.json", fetch.table(rows))


PARTS = {"bake": bake_part, "fetch": fetch_part}


def report(result, rows, path, text):
    result["host"]["loadavg_end"] = os.getloadavg()
    result["rows"] = rows
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(text)
    print(f"\nbench: {path}", file=sys.stderr)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    p.add_argument("--build", default="build", type=pathlib.Path)
    p.add_argument("--work", type=pathlib.Path, help="default: DIR/bench")
    p.add_argument("--part", choices=[*PARTS, "all"], default="all")
    p.add_argument("--quick", action="store_true",
                   help="each row once, without podman and the large disk")
    options = p.parse_args()
    build = options.build.resolve()
    work = (options.work or build / "bench").resolve()
    work.mkdir(parents=True, exist_ok=True)
    ingot = Ingot(build / "bin" / "ingot", work, options.quick)
    for name, part in PARTS.items():
        if options.part in (name, "all"):
            part(ingot, work, build, options.quick)


if __name__ == "__main__":
    main()
