"""The part of the benchmark about fetching and bundles: ingot against curl, tee, tar and sha256sum, for
the same bytes, over loopback, in one run. Each row is the best of three, taken in turns."""

import hashlib
import os
import pathlib
import shutil
import sys

from measure import measure, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import fetching  # noqa: E402
import servers  # noqa: E402

MIB = 1 << 20
GOAL = 0.8              # of the speed of what people use today
HIT_SECONDS = 0.02
BIG, SMALL, SMALL_COUNT, SOURCES = 2048 * MIB, 64 << 10, 200, 6
PAYLOAD = 1024 * MIB


def write_file(path, size, seed):
    """Bytes that do not compress; returns their SHA-256."""
    block = hashlib.shake_256(seed.encode()).digest(min(size, 8 * MIB))
    digest = hashlib.sha256()
    with open(path, "wb") as f:
        for at in range(0, size, len(block)):
            piece = block[:size - at]
            f.write(piece)
            digest.update(piece)
    return digest.hexdigest()


class Place:
    """The folder in which all of it happens, with a server over part of it."""

    def __init__(self, ingot, work):
        self.ingot, self.work, self.count = ingot, work / "fetch", 0
        shutil.rmtree(self.work, ignore_errors=True)
        self.www, self.out = self.work / "www", self.work / "out"
        self.www.mkdir(parents=True)
        self.base = fetching.make_base(self.made("base"))
        self.base_digest = run(["sha256sum", self.base]).split()[0]
        self.nginx = servers.Nginx(self.work / "nginx", self.www)

    def made(self, name):
        """A new folder. Nothing is removed before the end: ext4 passes over inodes that were freed
        within the last seconds, which makes whoever comes next slow."""
        self.count += 1
        folder = self.work / f"{name}-{self.count}"
        folder.mkdir()
        return folder

    def recipe(self, name, files, more=""):
        """Files of the server by name, with their digests."""
        text = (f"ingot: 1\nname: {name}\nbase:\n  image: {self.base}\n"
                f"  verify: {{sha256: {self.base_digest}}}\n  os: debian\n  seed: none\n"
                f"  user: someone\n{more}")
        if files:
            text += "sources:\n" + "".join(
                f"  - {{url: '{self.nginx.url}/{f}', verify: {{sha256: {d}}}, to: /srv/{f}}}\n"
                for f, d in files.items())
        path = self.work / f"{name}.yaml"
        path.write_text(text)
        return path

    def warm_cache(self):
        """A new cache in which nothing but the base is: curl has none to look into."""
        cache = self.made("cache")
        self.program("ingot", "fetch", self.recipe("none", {}), cache=cache)
        return cache

    def environment(self, cache):
        return dict(self.ingot.env, INGOT_CACHE=str(cache))

    def program(self, name, *arguments, cache=None):
        return measure([self.ingot.program.parent / name, *arguments],
                       env=self.environment(cache or self.work / "cache"))


def in_turns(count, theirs, ours):
    """The best of each, and the peak of ours."""
    today, mine = [], []
    for i in range(count):
        today.append(theirs(i))
        mine.append(ours(i))
    best = dict(min(mine, key=lambda r: r["seconds"]),
                peak_bytes=max(r["peak_bytes"] for r in mine),
                all_seconds=[r["seconds"] for r in mine])
    return dict(min(today, key=lambda r: r["seconds"]),
                all_seconds=[r["seconds"] for r in today]), best


def row(what, ident, today, mine, **more):
    r = {"what": what, "id": ident, "today": today, "ingot": mine, "goal": GOAL, **more}
    r["ratio"] = today["seconds"] / mine["seconds"] if today else None
    return r


def shell(text, folder):
    return measure(["sh", "-c", text], env=dict(os.environ, LC_ALL="C", D=str(folder)))


def big_file(place, count):
    digest = write_file(place.www / "big", BIG, "big")
    recipe = place.recipe("big", {"big": digest})

    def theirs(_, judge="sha256sum"):
        out = place.made("today")
        done = shell(f"curl -sS '{place.nginx.url}/big' | tee $D/big | {judge} >$D/sum", out)
        if digest not in (out / "sum").read_text():
            sys.exit("bench: curl fetched something else")
        (out / "big").unlink()
        return done

    def ours(_):
        cache = place.warm_cache()
        done = place.program("ingot", "fetch", recipe, cache=cache)
        (cache / "blobs/sha256" / digest).unlink()
        return done

    today, mine = in_turns(count, theirs, ours)
    today["openssl"] = theirs(0, "openssl dgst -sha256")["seconds"]
    (place.www / "big").unlink()
    return row("2 GiB over loopback: `curl \\| tee \\| sha256sum`", "big", today, mine)


def small_files(place, count):
    files = {f"small-{i:03}": write_file(place.www / f"small-{i:03}", SMALL, str(i))
             for i in range(SMALL_COUNT)}
    recipe = place.recipe("small", files)
    config = place.work / "curl.conf"

    def theirs(_):
        out = place.made("today")
        config.write_text("".join(f'url = "{place.nginx.url}/{f}"\noutput = "{out}/{f}"\n'
                                  for f in files))
        done = measure(["curl", "-sS", "--parallel", "-K", config])
        if len(list(out.iterdir())) != SMALL_COUNT:
            sys.exit("bench: curl did not fetch all files")
        return done

    def ours(_):
        return place.program("ingot", "fetch", recipe, cache=place.warm_cache())

    today, mine = in_turns(count * 3, theirs, ours)
    return row(f"{SMALL_COUNT} files of 64 KiB: `curl --parallel`", "small", today, mine)


def cache_hit(place, count):
    """What six locked sources that are in the cache cost a run: the difference to none."""
    files = {f"source-{i}": write_file(place.www / f"source-{i}", 8 * MIB, f"source-{i}")
             for i in range(SOURCES)}
    six, none = place.recipe("six", files), place.recipe("none", {})
    cache = place.made("cache")
    for recipe in six, none:
        place.program("ingot", "lock", recipe, cache=cache)
        place.program("ingot", "fetch", recipe, cache=cache)

    def fetch(recipe):
        return place.program("ingot", "fetch", "--locked", "--offline", recipe, cache=cache)

    without, mine = in_turns(count * 3, lambda _: fetch(none), lambda _: fetch(six))
    mine["without"] = without["seconds"]
    seconds = max(0, mine["seconds"] - without["seconds"])
    return row("six locked sources of 8 MiB in the cache", "hit", None, mine, goal=None,
               goal_seconds=HIT_SECONDS, seconds=seconds)


def bundles(place, count):
    """Bundle of an image of 1 GiB: create and import."""
    write_file(place.work / "payload", PAYLOAD, "payload")
    recipe = place.recipe("image", {}, "disk: 2GiB\noutputs: [qcow2]\nfiles:\n"
                          f"  - {{path: /srv/payload, source: {place.work}/payload}}\n")
    place.program("ingot", "build", "--offline", "-o", place.out, recipe,
                  cache=place.made("cache"))
    artifact = place.out / "image"
    bundle, theirs_tar = place.work / "image.bundle", place.work / "today.tar"

    def tar(_):
        return shell(f"cd $D && sha256sum * >../SUMS && tar -cf {theirs_tar} *", artifact)

    def create(_):
        bundle.unlink(missing_ok=True)
        return place.program("ingot", "bundle", "create", artifact, "-o", bundle)

    def untar(_):
        return shell(f"cd $D && tar -xf {theirs_tar} && sha256sum --quiet -c {place.out}/SUMS",
                     place.made("today"))

    def take(_):
        return place.program("ingot-boot", "bundle", "import", bundle, "--to",
                             place.made("imported"))

    made = row("`bundle create` of 1 GiB: `sha256sum` and `tar -c`", "create",
               *in_turns(count, tar, create))
    taken = row("`bundle import` of 1 GiB: `tar -x` and `sha256sum -c`", "import",
                *in_turns(count, untar, take))
    return [made, taken]


def finish(rows, memory_goal):
    for r in rows:
        r["memory_ok"] = r["ingot"]["peak_bytes"] < memory_goal
        met = r["ratio"] >= r["goal"] if r["goal"] else r["seconds"] < r["goal_seconds"]
        r["met"] = met and r["memory_ok"]


def table(rows):
    """Markdown, as it stands in docs/performance.md."""
    lines = ["| what, and what it is compared with | today, s | ingot, s | speed | goal | met | "
             "ingot's memory, MiB |", "| --- | ---: | ---: | ---: | --- | --- | ---: |"]
    for r in rows:
        mine = r.get("seconds", r["ingot"]["seconds"])
        lines.append("| " + " | ".join([
            r["what"], f"{r['today']['seconds']:.3f}" if r["today"] else "", f"{mine:.3f}",
            f"{r['ratio']:.2f}" if r["ratio"] else "",
            f"{r['goal']:g}" if r["goal"] else f"{r['goal_seconds']:g} s",
            "yes" if r["met"] else "no", f"{r['ingot']['peak_bytes'] / MIB:.1f}"]) + " |")
    for r in rows:
        if r["today"] and "openssl" in r["today"]:
            seconds = r["today"]["openssl"]
            lines.append(f"\nWith `openssl dgst -sha256`, which uses what the processor has for it, "
                         f"in place of sha256sum the first takes {seconds:.1f} s today: a speed of "
                         f"{seconds / r['ingot']['seconds']:.2f}.")
    return "\n".join(lines)


def run_all(ingot, work, quick, memory_goal, only=None):
    place = Place(ingot, work)
    rows, count = [], 1 if quick else 3
    try:
        for name, part in (("big", big_file), ("small", small_files), ("hit", cache_hit),
                           ("bundles", bundles)):
            if only and name not in only:
                continue
            print(f"bench: {name}", file=sys.stderr)
            made = part(place, count)
            rows += made if isinstance(made, list) else [made]
    finally:
        place.nginx.stop()
    finish(rows, memory_goal)
    shutil.rmtree(place.work, ignore_errors=True)
    return rows
