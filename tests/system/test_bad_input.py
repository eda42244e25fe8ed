"""Builds that must fail: each with its exit code and one message that says what to do, and with nothing
left behind, neither half an artifact nor a work folder in the cache."""

import io
import os
import shutil
import signal
import tarfile

import pytest

from bakes import ALPINE, fixtures_folder
from helpers import descendants, interrupt_when, run, sha256, write


def nothing_left(ingot, out):
    assert ingot.work_left() == []
    assert not out.exists() or sorted(os.listdir(out)) == []


def fails(ingot, recipe, out, code, *words, options=()):
    done, document = ingot.json("build", recipe, "-o", out, *options)
    assert done.code == code, done
    error = document["error"]
    assert error["code"] == code
    for word in words:
        assert str(word) in error["message"], (word, done)
    said = [l for l in done.err.splitlines() if l.startswith("error: ")]
    assert len(said) == 1 and error["message"] in done.err, done
    nothing_left(ingot, out)
    return done


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture(scope="module")
def own(ingot, tmp_path_factory):
    """A cache in which nothing is."""
    return ingot.with_(cache=tmp_path_factory.mktemp("own"))


def recipe(folder, base, more=""):
    return write(folder / "bad.yaml", f"ingot: 1\nname: bad\nbase: {base}\n{more}")


def image(path, verify=None, extra=""):
    return f"{{image: {path}, verify: {{sha256: {verify or sha256(path)}}}{extra}}}"


# --- the base -----------------------------------------------------------------------------------


def test_missing(own, tmp_path, out):
    fails(own, recipe(tmp_path, image(tmp_path / "no.qcow2", "0" * 64)), out, 3, "no.qcow2",
          "No such file")


def test_wrong_digest(own, tmp_path, out):
    disk = fixtures_folder() / ALPINE
    fails(own, recipe(tmp_path, image(disk, "1" * 64)), out, 4, ALPINE, "1" * 64, sha256(disk))


def test_truncated(own, tmp_path, out):
    disk = tmp_path / "disk.qcow2"
    shutil.copyfile(fixtures_folder() / ALPINE, disk)
    os.truncate(disk, disk.stat().st_size // 2)
    fails(own, recipe(tmp_path, image(disk)), out, 3, "damaged or cut short")


@pytest.mark.parametrize("make, extra, words", [
    (["qcow2", "-u", "-F", "raw", "-b", "/etc/shadow"], "", "has a backing file"),
    (["qcow2", "-o", "data_file=DISK.data,data_file_raw=on"], "", "in another file"),
    (["qcow2"], ", format: raw", "is said to be raw and is a qcow2"),
    (["raw"], ", format: qcow2", "is said to be a qcow2 and is none"),
    (["vmdk"], "", "is a VMDK"),
    (["raw"], "", "no system"),
])
def test_not_what_it_should_be(own, tmp_path, out, make, extra, words):
    disk = tmp_path / "disk"
    run("qemu-img", "create", "-q", "-f", *[m.replace("DISK", str(disk)) for m in make], disk, "64M")
    fails(own, recipe(tmp_path, image(disk, extra=extra)), out, 3, words)


def test_larger_than_the_disk(own, tmp_path, out):
    bad = recipe(tmp_path, image(fixtures_folder() / ALPINE), "disk: 100MiB\n")
    done = fails(own, bad, out, 3, "100 MiB is smaller than the base, which has 256 MiB")
    assert f"{bad}:4:" in done.err, done


# --- the network --------------------------------------------------------------------------------


def test_unreachable(own, tmp_path, out):
    bad = recipe(tmp_path, image("http://127.0.0.1:9/disk.qcow2", "0" * 64))
    fails(own, bad, out, 5, "http://127.0.0.1:9/disk.qcow2")
    fails(own, bad, out, 5, "not in the cache", "--offline", options=["--offline"])


def test_not_there(own, server, tmp_path, out):
    fails(own, recipe(tmp_path, image(f"{server.url}/none.qcow2", "0" * 64)), out, 5, "HTTP 404")


def test_server_that_stops_in_the_middle(own, server, tmp_path, out):
    server.truncated.add("/" + ALPINE)
    try:
        bad = recipe(tmp_path, image(f"{server.url}/{ALPINE}", sha256(server.folder / ALPINE)))
        fails(own.with_(cache=tmp_path / "cache"), bad, out, 5, f"{server.url}/{ALPINE}", "cut off")
    finally:
        server.truncated.clear()


# --- what is put in -----------------------------------------------------------------------------


@pytest.fixture
def on_debian(debian, tmp_path):
    """A recipe on the Debian base, which is in the cache, with no packages of its own."""
    text = debian.recipe.read_text().replace("packages: [tree]\n", "")
    text = text.replace("overlays: [site]\n", "").replace("services: {enable: [site-hello]}\n", "")
    text = text.replace("id_test.pub", str(debian.recipe.parent / "id_test.pub"))
    return lambda more: write(tmp_path / "bad.yaml", text + more)


def test_no_such_package(ingot, on_debian, out):
    fails(ingot, on_debian("packages: [no-such-package-at-all]\n"), out, 3,
          "no-such-package-at-all")


def test_device_in_an_overlay(ingot, on_debian, tmp_path, out):
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    (tmp_path / "tree/dev").mkdir(parents=True)
    os.mknod(tmp_path / "tree/dev/null", 0o020666, os.makedev(1, 3))
    fails(ingot, on_debian("overlays: [./tree]\n"), out, 3, "dev/null")


def test_setuid_in_an_overlay(ingot, on_debian, tmp_path, out):
    write(tmp_path / "tree/usr/bin/become-root", "#!/bin/sh\n", 0o4755)
    fails(ingot, on_debian("overlays: [./tree]\n"), out, 3, "/usr/bin/become-root", "setuid")


@pytest.mark.parametrize("name, link, words", [
    ("../etc/passwd", None, ".."), ("a/../../etc/passwd", None, ".."),
    ("x", "/../../etc/passwd", "x"), ("dev", "device", "dev")])
def test_archive_that_leads_out(ingot, on_debian, tmp_path, out, name, link, words):
    archive = tmp_path / "bad.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(name)
        if link == "device":
            member.type, member.devmajor, member.devminor = tarfile.CHRTYPE, 1, 3
        elif link:
            member.type, member.linkname = tarfile.SYMTYPE, "../" * 8 + "etc/passwd"
        else:
            member.size = 4
        tar.addfile(member, io.BytesIO(b"root"))
    more = (f"sources:\n  - {{url: {archive}, verify: {{sha256: {sha256(archive)}}}, unpack: tar,"
            " to: /srv/x}\n")
    fails(ingot, on_debian(more), out, 3, "bad.tar", words)


def test_state_that_must_not_be_baked(ingot, on_debian, tmp_path, out):
    write(tmp_path / "tree/var/lib/containers/storage/libpod/db", "x")
    fails(ingot, on_debian("overlays: [./tree]\n"), out, 3, "/var/lib/containers/storage/libpod")


def test_command_that_fails(ingot, on_debian, out):
    bad = on_debian("run: [\"true\", \"echo this went wrong >&2; exit 3\"]\n")
    line = len(bad.read_text().splitlines())
    done = fails(ingot, bad, out, 8, "this went wrong", f"bad.yaml:{line}:")
    log = next(l for l in done.err.splitlines() if l.startswith("log: ")).split(" ", 1)[1]
    with open(log) as f:
        assert "this went wrong" in f.read()


@pytest.mark.slow
def test_command_that_leaves_state_behind(ingot, on_debian, out):
    fails(ingot, on_debian("run: [[mkdir, -p, /var/lib/containers/storage/libpod]]\n"), out, 8,
          "/var/lib/containers/storage/libpod")


# --- the host -----------------------------------------------------------------------------------


def inside(script):
    """A prefix that runs a program in a mount namespace, after this shell script."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a mount namespace")
    return ["unshare", "-m", "sh", "-c", script + '\nexec "$@"', "sh"]


def test_cache_without_room_for_the_download(own, tmp_path, out):
    cache = tmp_path / "small"
    cache.mkdir()
    small = own.with_(cache=cache, prefix=inside(f"mount -t tmpfs -o size=8M none {cache}"))
    disk = fixtures_folder() / ALPINE
    fails(small, recipe(tmp_path, image(disk)), out, 7, "needs 25 MiB", cache,
          "8.0 MiB are free")


def test_cache_without_room_for_the_disk(own, server, tmp_path, out):
    cache = tmp_path / "small"
    cache.mkdir()
    small = own.with_(cache=cache, prefix=inside(f"mount -t tmpfs -o size=40M none {cache}"))
    bad = recipe(tmp_path, image(f"{server.url}/{ALPINE}", sha256(server.folder / ALPINE)))
    fails(small, bad, out, 7, "needs", str(cache), "are free")


def test_output_without_room(ingot, on_debian, tmp_path):
    out = tmp_path / "small"
    out.mkdir()
    small = ingot.with_(prefix=inside(f"mount -t tmpfs -o size=20M none {out}"))
    done = fails(small, on_debian(""), out, 7,
                 "the image needs", str(out), "20 MiB are free")
    assert "launch" not in done.err and "payload" not in done.err, done


def test_output_that_cannot_be_written(ingot, on_debian, tmp_path):
    out = tmp_path / "locked"
    out.mkdir()
    locked = ingot.with_(prefix=inside(
        f"mount -t tmpfs none {out} && mount -o remount,ro {out}"))
    fails(locked, on_debian(""), out, 6, str(out), "Read-only file system")


@pytest.mark.parametrize("script, words", [
    ("mount --bind /dev/null $(command -v supermin)", "supermin"),
    ("mount -t tmpfs none /boot", "kernel")])
def test_no_appliance(own, alpine_recipe, tmp_path, out, script, words):
    alone = own.with_(cache=tmp_path / "cache", prefix=inside(script))
    fails(alone, alpine_recipe("alp-alone"), out, 6, words, "apt-get install")


# --- interrupted --------------------------------------------------------------------------------


def child(words):
    """True once a process that the build has started has these words in its command line."""
    return lambda process: any(all(w in line for w in words.split())
                               for _, line in descendants(process.pid))


def interrupted(ingot, bad, out, seen, number=signal.SIGINT, code=130, options=()):
    running = ingot.start("build", bad, "-o", out, *options)
    status, err, left = interrupt_when(running, seen, number)
    assert status == code, err
    assert left == []
    assert [l for l in err.splitlines() if l.startswith("error: ")], err
    nothing_left(ingot, out)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_while_fetching(own, server, tmp_path, out, number, code):
    server.slow.add("/" + ALPINE)
    try:
        bad = recipe(tmp_path, image(f"{server.url}/{ALPINE}", sha256(server.folder / ALPINE)))
        asked = len(server.requests)
        fresh = own.with_(cache=tmp_path / "cache")
        interrupted(fresh, bad, out, lambda _: len(server.requests) > asked, number, code)
    finally:
        server.slow.clear()


def test_interrupted_while_bootstrapping(own, tmp_path, out):
    bad = recipe(tmp_path, "{bootstrap: {os: debian, suite: bookworm, packages: [tree]}}")
    interrupted(own.with_(cache=tmp_path / "cache"), bad, out, child("dpkg"))


def test_interrupted_in_the_appliance(ingot, on_debian, out):
    bad = on_debian("run: [\"sleep 1000\"]\n")
    interrupted(ingot, bad, out, child("qemu-system guestfs"))


def test_interrupted_while_compressing(ingot, on_debian, out):
    bad = on_debian("compression: zlib\n")
    interrupted(ingot, bad, out, child("qemu-img convert compression_type=zlib"))
