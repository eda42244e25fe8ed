"""Layers: what has not changed is not made again, and whoever makes it, it is the same."""

import json
import shutil
import subprocess
import time

import pytest

from bakes import Image, bake
from helpers import descendants, sha256, write

SMALL = """\
ingot: 1
name: {name}
base:
  bootstrap: {{os: debian, suite: bookworm, packages: [podman]}}
disk: 5GiB
overlays: [./tree]
boot: {{user: someone, hostname: small}}
"""


@pytest.fixture
def small(debian, tmp_path):
    """A recipe on the base that the cache has and the lock names, with no packages: neither an
    appliance nor a network is needed."""
    write(tmp_path / "tree/etc/small", "one\n")

    def make(name="small"):
        lock = tmp_path / f"{name}.lock"
        if not lock.exists():
            shutil.copyfile(debian.recipe.with_suffix(".lock"), lock)
        return write(tmp_path / f"{name}.yaml", SMALL.format(name=name))

    return make


@pytest.fixture
def alone(ingot, tmp_path):
    """In a network namespace with nothing in it, where that can be made: what succeeds here did not
    need a network."""
    done = subprocess.run(["unshare", "-n", "true"], capture_output=True)
    return ingot.with_(prefix=["unshare", "-n"]) if done.returncode == 0 else ingot


def log_of(ingot, recipe_name):
    """The last build log: it has every command that was run."""
    logs = sorted(ingot.cache.glob(f"log/{recipe_name}-*.log"), key=lambda p: p.stat().st_mtime_ns)
    return logs[-1].read_text()


def launches(text):
    return text.count("launch the appliance")


def test_second_build_does_nothing(alone, small, tmp_path):
    first = bake(alone, small(), tmp_path / "out")
    assert first.document["changed"] is True
    stat = first.disk.stat()
    running = alone.start("build", small(), "-o", tmp_path / "out", "--json", "-v")
    seen = set()
    while running.poll() is None:
        seen.update(line for _, line in descendants(running.pid) if line)
        time.sleep(0.001)
    out, err = running.communicate()
    assert json.loads(out)["changed"] is False, err
    assert not [line for line in seen if "bin/ingot" not in line], seen
    assert (first.disk.stat().st_ino, first.disk.stat().st_mtime_ns) == (stat.st_ino,
                                                                        stat.st_mtime_ns)
    assert "run:" not in log_of(alone, "small") and launches(log_of(alone, "small")) == 0


def test_changed_overlay_needs_no_appliance(alone, small, tmp_path):
    first = bake(alone, small(), tmp_path / "out")
    before = sha256(first.disk)
    write(tmp_path / "tree/etc/small", "two\n")
    second = bake(alone, small(), tmp_path / "out")
    assert second.document["changed"] is True and sha256(second.disk) != before
    assert launches(log_of(alone, "small")) == 0
    for layer in ("base", "system"):
        assert second.document["layers"][layer] == first.document["layers"][layer]
    for layer in ("payload", "seal"):
        assert second.document["layers"][layer] != first.document["layers"][layer]
    write(tmp_path / "tree/etc/small", "one\n")
    assert sha256(bake(alone, small(), tmp_path / "out").disk) == before


def test_changed_boot_keeps_the_disk(alone, small, tmp_path):
    first = bake(alone, small(), tmp_path / "out")
    inode, seed, image = first.disk.stat().st_ino, sha256(first.seed), first.folder / "image.json"
    recipe = small()
    recipe.write_text(recipe.read_text().replace("user: someone", "user: other, memory: 3GiB"))
    second = bake(alone, recipe, tmp_path / "out")
    assert second.document["changed"] is True
    assert second.disk.stat().st_ino == inode and sha256(second.seed) != seed
    assert json.loads(image.read_text())["recommended"]["memory"] == 3 << 30
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=first.folder, check=True)


def test_removed_and_damaged_output_is_made_again(alone, small, tmp_path):
    first = bake(alone, small(), tmp_path / "out")
    digests = {p.name: sha256(p) for p in first.folder.iterdir()}
    shutil.rmtree(tmp_path / "out")
    again = bake(alone, small(), tmp_path / "out")
    assert again.document["changed"] is True
    assert {p.name: sha256(p) for p in again.folder.iterdir()} == digests
    with open(again.disk, "r+b") as f:
        f.write(b"damage")
    assert bake(alone, small(), tmp_path / "out").document["changed"] is True
    assert {p.name: sha256(p) for p in again.folder.iterdir()} == digests
    (again.folder / "SHA256SUMS").unlink()
    assert bake(alone, small(), tmp_path / "out").document["changed"] is True
    assert {p.name: sha256(p) for p in again.folder.iterdir()} == digests


def test_force(alone, small, tmp_path):
    first = bake(alone, small(), tmp_path / "out")
    before, inode = sha256(first.disk), first.disk.stat().st_ino
    again = bake(alone, small(), tmp_path / "out", "--force")
    assert again.document["changed"] is True
    assert again.disk.stat().st_ino != inode and sha256(again.disk) == before


def test_until(alone, small, tmp_path):
    done, document = alone.json("build", small(), "-o", tmp_path / "out", "--until", "system")
    assert done.code == 0 and not (tmp_path / "out").exists(), done
    disk = alone.cache / "layers" / document["layers"]["system"] / "disk.raw"
    assert document["disk"] == str(disk) and disk.stat().st_size == 5 << 30
    done = alone("build", small(), "-o", tmp_path / "out", "--until", "base")
    assert done.code == 0 and done.out.strip().endswith(document["layers"]["base"] + "/disk.raw")


def test_recipes_share_the_system_layer(alone, small, tmp_path):
    first = bake(alone, small(), tmp_path / "out")
    other = small("other")
    write(tmp_path / "tree/etc/more", f"{time.time_ns()}\n")
    second = bake(alone, other, tmp_path / "out")
    assert second.document["layers"]["system"] == first.document["layers"]["system"]
    assert "grow the disk" not in second.said and "write the payload" in second.said


def test_packages_are_installed_once(ingot, debian, site, tmp_path):
    """With packages and no lock the indexes are asked; nothing else is done for another overlay."""
    recipe = site / "debian-other.yaml"
    recipe.write_text(debian.recipe.read_text().replace("name: deb\n", "name: deb-other\n") +
                      "compression: zstd\n")
    other = bake(ingot, recipe, tmp_path / "out")
    assert other.document["layers"]["system"] == debian.document["layers"]["system"]
    assert launches(log_of(ingot, "deb-other")) == 0
    assert bake(ingot, recipe, tmp_path / "out").document["changed"] is False


def test_two_at_once(alone, small, tmp_path):
    """One works; the other waits, and finds it done."""
    write(tmp_path / "tree/etc/small", f"{time.time_ns()}\n")
    recipe = small("twice")
    both = [alone.start("build", recipe, "-o", tmp_path / f"out{i}", "-v") for i in (1, 2)]
    said = [p.communicate(timeout=120)[1] for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert sum("compose the payload" in s for s in said) == 1, said
    assert sha256(tmp_path / "out1/twice/twice-amd64.qcow2") == \
        sha256(tmp_path / "out2/twice/twice-amd64.qcow2")
    assert alone.work_left() == []


def test_two_at_once_into_one_folder(alone, small, tmp_path):
    write(tmp_path / "tree/etc/small", f"{time.time_ns()}\n")
    recipe = small("thrice")
    both = [alone.start("build", recipe, "-o", tmp_path / "out", "--json") for _ in (1, 2)]
    said = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], said
    assert sorted(json.loads(out)["changed"] for out, _ in said) == [False, True]
    image = Image(recipe, json.loads(said[0][0]))
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=image.folder, check=True)


def test_another_cache_gives_the_same_bytes(alone, small, debian, tmp_path):
    """All but the base, which is copied, is made anew."""
    first = bake(alone, small(), tmp_path / "out")
    base = debian.document["layers"]["base"]
    other = alone.with_(cache=tmp_path / "cache")
    (other.cache / "layers").mkdir(parents=True)
    subprocess.run(["cp", "-a", "--sparse=always", alone.cache / "layers" / base,
                    other.cache / "layers" / base], check=True)
    second = bake(other, small(), tmp_path / "out2")
    names = sorted(p.name for p in first.folder.iterdir())
    assert names == sorted(p.name for p in second.folder.iterdir())
    for name in names:
        assert sha256(first.folder / name) == sha256(second.folder / name), name
