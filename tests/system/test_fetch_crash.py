"""Many at once, killed at any moment, no room, little memory: the cache is right afterwards."""

import json
import os
import random
import subprocess
import threading
import time

import pytest

from fetching import digest, source

from servers import Answer, Pattern, Wire

SLOW = os.environ.get("INGOT_TEST_SLOW") == "1"
BODY = Pattern(3_000_000)[:]

@pytest.fixture
def wire():
    server = Wire()
    yield server
    server.stop()

class Running:
    """A fetch in the background whose stderr can be looked at meanwhile."""

    def __init__(self, there, recipe, name):
        self.log = there.folder / f"{name}.log"
        with open(self.log, "w") as err:
            self.process = subprocess.Popen(there.ingot.command(["fetch", recipe]), stderr=err,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                            env=there.ingot.environment())

    def waits_for(self, url, seconds=60):
        deadline = time.monotonic() + seconds
        while f"another ingot is fetching {url}" not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)


def until_some_came(server, path):
    deadline = time.monotonic() + 60
    while not any(r.sent for r in server.asked(path)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_eight_at_once(there, wire):
    """Eight processes want the same: one transfer, all succeed, and those that wait say so."""
    go = threading.Event()
    url = wire.put("/one", BODY, Answer(hold=(1_000_000, go)))
    recipe = there.recipe(source(url, BODY))
    first = Running(there, recipe, "first")
    until_some_came(wire, "/one")
    others = [Running(there, recipe, i) for i in range(7)]
    for other in others:
        other.waits_for(url)
    go.set()
    for one in (first, *others):
        assert one.process.wait(60) == 0, one.log.read_text()
    assert len(wire.asked("/one")) == 1 and there.holds(BODY)
    there.clean()


def test_one_of_two_is_killed(there, wire):
    """Whoever waited goes on where the other was killed."""
    never = threading.Event()
    url = wire.put("/two", BODY, Answer(hold=(1_000_000, never)), Answer())
    recipe = there.recipe(source(url, BODY))
    first = Running(there, recipe, "first")
    until_some_came(wire, "/two")
    second = Running(there, recipe, "second")
    second.waits_for(url)
    first.process.kill()
    first.process.wait()
    assert second.process.wait(60) == 0 and there.holds(BODY), second.log.read_text()
    never.set()
    assert [r.status for r in wire.asked("/two")] == [200, 206]
    there.clean()


def test_killed_at_any_moment(there, wire):
    """SIGKILL, fifty times in the long run: what is there is whole, the rest is fetched or resumed."""
    bodies = [Pattern(400_000 + i)[:] for i in range(4)]
    sources = [source(wire.put(f"/{i}", b, Answer(seconds=0.01)), b, to=f"/srv/{i}")
               for i, b in enumerate(bodies)]
    chance = random.Random(4)
    lock = there.folder / "site.lock"
    for turn in range(50 if SLOW else 5):
        running = there.ingot.start("fetch", there.recipe(*sources))
        time.sleep(chance.uniform(0.01, 0.15))
        running.kill()
        running.communicate()
        for path in (there.cache / "blobs").rglob("*"):
            if path.is_file():
                assert digest(path.read_bytes()) == path.name, turn
        if lock.exists():
            json.loads(lock.read_text())
        # There is always something left to do.
        whole = [b for b in bodies if there.blob(b).exists()]
        if len(whole) > 2:
            there.blob(chance.choice(whole)).unlink()
        if turn % 10 == 9:
            done = there.fetch(*sources)
            assert done.code == 0 and all(there.holds(b) for b in bodies), done
            for body in bodies:
                there.blob(body).unlink()
    assert any(r.range for r in wire.requests) or not SLOW, "nothing was ever resumed"
    done = there.fetch(*sources)
    assert done.code == 0 and all(there.holds(b) for b in bodies), done
    assert there.ingot("cache", "verify").code == 0
    # Cleaning up takes what nobody has touched for a day: what they left is of yesterday.
    for path in there.ingot.work_left():
        os.utime(path, (time.time() - 90000,) * 2)
    assert there.ingot("cache", "gc").code == 0
    assert there.ingot.work_left() == []
    there.clean()


def test_killed_resumes(there, wire):
    """What a killed process had is not asked for again."""
    never = threading.Event()
    url = wire.put("/rest", BODY, Answer(hold=(2_000_000, never)), Answer())
    running = there.ingot.start("fetch", there.recipe(source(url, BODY)))
    deadline = time.monotonic() + 30
    while not any(p.is_file() and p.stat().st_size == 2_000_000 for p in there.cache.rglob("*")):
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.01)
    running.kill()
    running.communicate()
    never.set()
    done = there.fetch(source(url, BODY))
    assert done.code == 0 and there.holds(BODY), done
    again = wire.asked("/rest")[-1]
    assert again.status == 206 and again.range == "bytes=2000000-", again
    assert again.headers["if-range"] == '"first"' and again.sent == 1_000_000
    there.clean()

def test_rest_of_a_killed_one_is_spoiled(there, wire):
    """What was there is hashed again: a partial file that was changed is not believed."""
    never = threading.Event()
    url = wire.put("/spoiled", BODY, Answer(hold=(2_000_000, never)), Answer())
    running = there.ingot.start("fetch", there.recipe(source(url, BODY)))
    deadline, found = time.monotonic() + 30, []
    while not found:
        assert time.monotonic() < deadline and running.poll() is None
        found = [p for p in there.cache.rglob("*")
                 if p.is_file() and p.stat().st_size == 2_000_000]
        time.sleep(0.01)
    running.kill()
    running.communicate()
    never.set()
    with open(found[0], "r+b") as f:
        f.seek(1000)
        f.write(b"spoiled")
    done = there.fetch(source(url, BODY))
    assert done.code == 0 and there.holds(BODY), done
    there.clean()

# --- room ---------------------------------------------------------------------------------------

def small(there, size):
    """ingot with a cache on a file system of that size, by whoever runs the tests."""
    there.cache.mkdir(exist_ok=True)
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    script = f'mount -t tmpfs -o size={size} none {there.cache}\n"$@"\ncode=$?\n' \
             f'left=$(find {there.cache} -path "*/blobs" -prune -o -type f -size +64k -print)\n' \
             'echo "left: $left." >&2\nexit $code'
    if subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    return there.ingot.with_(prefix=[*unshare, "sh", "-c", script, "sh"])

@pytest.mark.parametrize("said", [True, False])
def test_no_room(there, wire, said):
    """With the length said it is refused before a byte is asked for; without, when the disk is full.
    Nothing half-written takes up what room is left."""
    body = Pattern(20 << 20)
    url = wire.put("/big", body, Answer(length=None if said else "none"))
    done = there.fetch(source(url, body), ingot=small(there, "8M"))
    assert done.code == 7 and url in done.err, done
    assert "left: ." in done.err, done
    if said:
        assert "20 MiB" in done.err and str(there.cache) in done.err, done

# --- memory -------------------------------------------------------------------------------------

PEAK = """
import os, resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""

def test_memory(there, wire):
    """600 MB need no more memory than 600 KB."""
    body = Pattern(600_000_000)
    url = wire.put("/huge", body, Answer(cut=300_000_000), Answer())
    recipe = there.recipe(source(url, body))
    there.ingot("config")
    done = subprocess.run(["/usr/bin/env", "python3", "-c", PEAK,
                           *there.ingot.command(["fetch", recipe])],
                          env=there.ingot.environment(), text=True, capture_output=True)
    assert done.returncode == 0, done
    peak = int(done.stderr.rsplit("peak ", 1)[1]) * 1024
    assert there.blob(body).stat().st_size == body.size
    assert peak < 64 << 20, f"{peak >> 20} MiB"
    there.blob(body).unlink()
