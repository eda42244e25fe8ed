"""The cache: what is in it is right or is fetched again, cleaning up takes what nobody needs, and
nobody who is killed leaves it any worse."""

import fcntl
import hashlib
import json
import os
import random
import re
import shutil
import time

import pytest

from conftest import need
from fetching import Site, digest, source
from helpers import write
from servers import Pattern, Wire

BODIES = [Pattern(300_000 + i)[:] for i in range(6)]
DAY = 24 * 3600
STRANGER = 61235


@pytest.fixture
def wire():
    server = Wire()
    yield server
    server.stop()


@pytest.fixture
def sources(wire):
    return [source(wire.put(f"/{i}", body), body, to=f"/srv/{i}") for i, body in enumerate(BODIES)]


def build(there, *sources, options=(), ingot=None):
    return (ingot or there.ingot)("build", there.recipe(*sources), "-o", there.out, *options)


def change(path, quietly=False):
    """Another byte in a blob, as bad memory or a careless root makes it."""
    before = path.stat()
    path.chmod(0o600)
    with open(path, "r+b") as f:
        f.write(b"!")
    if quietly:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def forget(there):
    """No lock file keeps anything."""
    for lock in there.folder.glob("*.lock"):
        lock.unlink()


def last_used(there, name, days):
    when = time.time() - days * DAY
    found = [p for p in (there.cache / f / name for f in ("stamps", "blobs/sha256", "layers"))
             if p.exists()]
    os.utime(found[0], (when, when))


def names(document, kind="blob"):
    return {item["name"] for item in document["items"] if item["kind"] == kind}


# --- what is in it is right ---------------------------------------------------------------------


def test_damaged_blob_is_set_aside_and_fetched_again(there, wire, sources):
    assert build(there, *sources[:2]).code == 0
    blob = there.blob(BODIES[0])
    assert blob.stat().st_mode & 0o777 == 0o444
    change(blob)
    done = build(there, *sources[:2], options=["--force"])
    aside = there.cache / "damaged" / blob.name
    assert done.code == 0 and "damaged" in done.err and str(aside) in done.err, done
    assert there.holds(BODIES[0]) and len(wire.asked("/0")) == 2 and len(wire.asked("/1")) == 1
    assert hashlib.sha256(aside.read_bytes()).hexdigest() != blob.name
    there.clean()


def test_verify_reads_everything(there, wire, sources):
    """Also what looks as if nobody had touched it; and says what comes of it."""
    assert build(there, *sources).code == 0
    assert "every blob" in there.ingot("cache", "verify").out
    blob = there.blob(BODIES[3])
    change(blob, quietly=True)
    done, document = there.ingot.json("cache", "verify")
    assert done.code == 4 and names(document) == {blob.name}, done
    assert document["items"][0]["path"] == str(there.cache / "damaged" / blob.name)
    assert document["items"][0]["url"] == wire.url + "/3"
    change(there.blob(BODIES[2]))
    done = there.ingot("cache", "verify")
    assert done.code == 4 and "1 damaged blob set aside" in done.out, done
    assert "fetched again" in done.out
    assert there.ingot("cache", "verify").code == 0
    assert build(there, *sources, options=["--force"]).code == 0
    assert there.holds(BODIES[3]) and there.holds(BODIES[2])
    assert len(wire.asked("/3")) == len(wire.asked("/2")) == 2
    assert len(wire.asked("/1")) == 1


def test_unchanged_blobs_are_not_read(there, sources, tmp_path):
    need("strace")
    assert there.fetch(*sources).code == 0
    trace = tmp_path / "opened"
    traced = there.ingot.with_(prefix=["strace", "-f", "-qq", "-e", "trace=open,openat", "-e",
                                       "signal=none", "-o", trace])

    def opened():
        done = there.fetch(*sources, ingot=traced)
        assert done.code == 0, done
        text = trace.read_text()
        assert "stamps/" in text
        return {os.path.basename(p) for p in re.findall(r'"([^"]*/blobs/sha256/[0-9a-f]{64})"', text)}

    # Those that came together were not waited for, and have no stamp yet.
    assert opened() <= {blob.name for blob in (there.cache / "blobs/sha256").iterdir()}
    assert opened() == set()
    # A copy of it in its place, of the same size and time, is another file: it is read, once.
    blob, copy = there.blob(BODIES[1]), tmp_path / "copy"
    shutil.copy2(blob, copy)
    os.replace(copy, blob)
    assert opened() == {blob.name}
    assert opened() == set()
    os.utime(blob)
    (there.cache / "stamps" / there.blob(BODIES[2]).name).write_text("")
    (there.cache / "stamps" / there.blob(BODIES[4]).name).unlink()
    assert opened() == {there.blob(BODIES[i]).name for i in (1, 2, 4)}
    assert opened() == set()


# --- cleaning up --------------------------------------------------------------------------------


def test_gc_by_age(there, sources):
    assert build(there, *sources).code == 0
    forget(there)
    old = {there.blob(BODIES[i]).name for i in (0, 1)}
    for name in old:
        last_used(there, name, 20)
    assert names(there.ingot.json("cache", "gc")[1]) == set()
    done, document = there.ingot.json("cache", "gc", "--days", "10", "--dry-run")
    assert names(document) == old and document["bytes"] > 600_000, done
    assert all((there.cache / "blobs/sha256" / n).exists() for n in old)
    done = there.ingot("cache", "gc", "--days", "10")
    assert done.code == 0 and "2 items" in done.out and "removed from" in done.out, done
    assert not any((there.cache / f / n).exists() for n in old for f in ("blobs/sha256", "stamps"))
    assert there.holds(BODIES[2])
    for days in ("x", "-1", "", "1d"):
        done = there.ingot("cache", "gc", f"--days={days}")
        assert done.code == 2 and "--days" in done.err, done
    done = there.ingot("cache", "gc", "--days", "0")
    assert done.code == 0 and there.ingot.json("cache", "ls")[1]["items"] == [], done
    assert build(there, *sources, options=["--force"]).code == 0 and there.holds(BODIES[0])


def test_gc_by_size(there, sources):
    """The least recently used go first; what a layer was made of goes after the layer."""
    assert build(there, *sources).code == 0
    forget(there)
    items = there.ingot.json("cache", "ls")[1]["items"]
    for i, item in enumerate(sorted(items, key=lambda i: i["kind"] == "layer")):
        last_used(there, item["name"], 50 - i)
    total = sum(i["bytes"] for i in items)
    document = there.ingot.json("cache", "gc", "--max-size", str(total - 400_000))[1]
    assert names(document) == {there.blob(b).name for b in BODIES[:2]} or \
        len(names(document)) == 2, document
    left = there.ingot.json("cache", "ls")[1]
    assert left["bytes"] <= total - 400_000 and left["bytes"] == document["kept_bytes"]
    assert there.ingot.json("cache", "gc", "--max-size", "1GiB")[1]["items"] == []
    done, document = there.ingot.json("cache", "gc", "--max-size", "0")
    assert done.code == 0 and there.ingot.json("cache", "ls")[1]["items"] == [], done
    for size in ("20", "20GB", "x"):
        done = there.ingot("cache", "gc", "--max-size", size)
        assert (done.code == 0) == (size == "20"), done
    assert there.ingot("cache", "gc", "--all", "--days", "3").code == 2


def locked(*bodies):
    """The text of a lock that names these."""
    entries = {f"https://files.example/{digest(b)[:8]}": {"sha256": digest(b), "bytes": len(b),
                                                         "verified": "sha256"} for b in bodies}
    return json.dumps({"ingot_lock": 1, "epoch": 1704067200, "amd64": {"sources": entries}})


def test_gc_keeps_what_locks_name(there, sources, tmp_path):
    assert build(there, *sources).code == 0
    forget(there)
    lock = write(tmp_path / "elsewhere/other.lock", locked(BODIES[0], BODIES[1]))
    done, document = there.ingot.json("cache", "gc", "--days", "0", "--keep-lock", lock)
    assert done.code == 0 and document["locked"] == document["kept"] == 2, done
    assert there.holds(BODIES[0]) and there.holds(BODIES[1]) and not there.blob(BODIES[2]).exists()
    done = there.ingot("cache", "gc", "--max-size", "1", "--keep-lock", lock)
    assert done.code == 0 and there.holds(BODIES[0]) and "takes more than" in done.err, done
    assert "lock files name 2 items" in done.out
    done = there.ingot("cache", "gc", "--keep-lock", tmp_path / "none.lock")
    assert done.code == 3 and "none.lock" in done.err, done
    done = there.ingot("cache", "gc", "--all")
    assert done.code == 0 and not there.blob(BODIES[0]).exists(), done


def test_gc_remembers_the_locks_of_builds(there, sources):
    """As long as they are there; one that cannot be read is not one that names nothing."""
    assert build(there, *sources).code == 0
    lock = there.folder / "site.lock"
    assert lock.exists()
    assert all(i["locked"] for i in there.ingot.json("cache", "ls")[1]["items"]
               if i["kind"] == "blob")
    done = there.ingot("cache", "gc", "--days", "0")
    assert done.code == 0 and all(there.holds(b) for b in BODIES), done
    # A cache that has only seen it used, as that of a release pipeline.
    other = there.ingot.with_(cache=there.folder / "other")
    assert build(there, *sources, ingot=other, options=["--locked"]).code == 0
    done, document = other.json("cache", "gc", "--days", "0")
    assert done.code == 0 and document["locked"] == 7 and names(document) == set(), done
    text = lock.read_text()
    lock.write_text(text[:len(text) // 2])
    done = there.ingot("cache", "gc", "--days", "0")
    assert done.code == 3 and str(lock) in done.err and "--all" in done.err, done
    assert there.ingot("cache", "ls").code == 0
    lock.unlink()
    done = there.ingot("cache", "gc", "--days", "0")
    assert done.code == 0 and there.ingot.json("cache", "ls")[1]["items"] == [], done


def test_no_gc_under_a_build(there, sources):
    assert build(there, *sources).code == 0
    with open(there.cache / "locks/use", "r+b") as f:
        fcntl.flock(f, fcntl.LOCK_SH)
        done = there.ingot("cache", "gc", "--all")
        assert done.code == 11 and "a build is using the cache" in done.err, done
        assert there.ingot("cache", "gc", "--all", "--dry-run").code == 0
        assert there.ingot("cache", "verify").code == 0
    assert there.ingot("cache", "gc", "--all").code == 0


# --- many, killed, strangers --------------------------------------------------------------------


def test_many_at_once(there, sources):
    """All find the same damage: it is set aside once, and all that build have it whole."""
    assert build(there, *sources).code == 0
    for body in BODIES[:3]:
        change(there.blob(body))
    recipe = there.recipe(*sources)
    running = [there.ingot.start("build", recipe, "-o", there.folder / f"out{i}", "--force")
               for i in range(3)]
    running += [there.ingot.start("cache", "verify") for _ in range(3)]
    said = [p.communicate(timeout=60)[1] for p in running]
    assert [p.returncode for p in running[:3]] == [0, 0, 0], said
    assert all(p.returncode in (0, 4) for p in running), said
    assert sum(s.count("was moved to") for s in said) == 3, said
    assert all(there.holds(b) for b in BODIES)
    there.clean()


@pytest.mark.parametrize("command", [("cache", "verify"), ("cache", "gc", "--all"), ("build",)])
def test_killed_at_any_moment(there, sources, command):
    """SIGKILL, fifty times in the long run: blobs are whole or absent, and the next one works."""
    assert build(there, *sources).code == 0
    chance = random.Random(5)
    recipe = there.recipe(*sources)
    arguments = (*command, recipe, "-o", there.out, "--force") if command == ("build",) else command
    for turn in range(50 if os.environ.get("INGOT_TEST_SLOW") == "1" else 5):
        if turn % 2:
            change(there.blob(BODIES[turn % 6])) if there.blob(BODIES[turn % 6]).exists() else None
        else:
            shutil.rmtree(there.cache / "stamps")
            (there.cache / "stamps").mkdir()
        running = there.ingot.start(*arguments)
        time.sleep(chance.uniform(0.0, 0.06))
        running.kill()
        running.communicate()
        assert build(there, *sources, options=["--force"]).code == 0
        assert all(there.holds(b) for b in BODIES), turn
    assert there.ingot("cache", "verify").code == 0
    # What was left half-written is old enough to go.
    for path in (there.cache / "tmp", there.cache / "partial", there.cache / "layers"):
        for left in path.glob("*") if path.exists() else ():
            os.utime(left, (1, 1))
    assert there.ingot("cache", "gc", "--all").code == 0
    assert [p for p in there.cache.rglob("*")
            if p.is_file() and p.parts[-2] not in ("locks", "log", "outputs", "facts", "inputs",
                                                   "resolutions", "roots")
            and p.name not in ("key", "accel.json")] == []


def test_a_cache_of_somebody_else(ingot, tiny_base, sources, artifacts):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    folder = artifacts / "somebody"
    folder.mkdir(mode=0o755)
    mine = Site(ingot, tiny_base, folder)
    assert build(mine, *sources).code == 0
    stranger = mine.ingot.with_(prefix=["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}",
                                        "--clear-groups", "--"])
    stranger.program = shutil.copy(ingot.program, folder / "ingot")
    for arguments in (("cache", "ls"), ("cache", "gc"), ("build", mine.recipe(), "-o", folder / "x")):
        done = stranger(*arguments)
        assert done.code == 6 and str(mine.cache) in done.err and "INGOT_CACHE" in done.err, done
    mine.clean()


def test_a_cache_that_cannot_be_written(there, sources):
    """It can be looked at."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount it so")
    assert build(there, *sources).code == 0
    fixed = there.ingot.with_(prefix=[
        "unshare", "-m", "sh", "-c",
        f"mount --bind {there.cache} {there.cache} && mount -o remount,bind,ro {there.cache} && "
        'exec "$@"', "sh"])
    done, document = fixed.json("cache", "ls")
    assert done.code == 0 and len(names(document)) == 7, done
    for arguments in (("cache", "gc"), ("cache", "verify"),
                      ("build", there.recipe(*sources), "-o", there.folder / "other")):
        done = fixed(*arguments)
        assert done.code == 6 and "Read-only" in done.err and str(there.cache) in done.err, done
