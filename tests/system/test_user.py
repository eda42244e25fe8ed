"""One whole bake, from packages to the image, by an ordinary user."""

import os
import pathlib
import pwd
import shutil
import tempfile

import pytest

from helpers import ROOT, Ext4, Ingot, extract, partitions, run, write

UID = 61234

RECIPE = """\
ingot: 1
name: mine
base: {bootstrap: {os: debian, suite: bookworm}}
disk: 4GiB
packages: [tree]
files: [{path: /etc/mine, content: "mine\\n", owner: "7:8"}]
boot: {user: someone}
"""


@pytest.fixture(scope="module")
def home():
    """A folder that only the user has, with the program and the profiles in it."""
    with tempfile.TemporaryDirectory(prefix="ingot-user-") as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope="module")
def user(build, home):
    """ingot as a user who exists only in a mount namespace, with ranges of ids of his own."""
    if os.geteuid() != 0:
        # Then every test here is one of an ordinary user.
        yield Ingot(build / "bin/ingot", home / "cache", INGOT_PATH=ROOT / "recipes")
        return
    with pytest.raises(KeyError):
        pwd.getpwuid(UID)
    etc = {"passwd": f"ingot-user:x:{UID}:{UID}::{home}:/bin/sh\n", "group": f"ingot-user:x:{UID}:\n",
           "subuid": "ingot-user:1700000:65536\n", "subgid": "ingot-user:1700000:65536\n"}
    script = ""
    with tempfile.TemporaryDirectory(prefix="ingot-etc-") as folder:
        for name, line in etc.items():
            there = pathlib.Path("/etc") / name
            there.touch()  # subuid and subgid may be missing
            write(pathlib.Path(folder) / name, there.read_text() + line)
            script += f"mount --bind {folder}/{name} /etc/{name}\n"
        shutil.copy(build / "bin/ingot", home / "ingot")
        shutil.copytree(ROOT / "recipes", home / "recipes", symlinks=True)
        shutil.copytree(ROOT / "overlays", home / "overlays", symlinks=True)
        run("chown", "-R", f"{UID}:{UID}", home)
        home.chmod(0o711)
        prefix = ["unshare", "-m", "sh", "-c", script + 'exec "$@"', "sh", "setpriv",
                  f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--"]
        yield Ingot(home / "ingot", home / "cache", prefix, HOME=home, USER="ingot-user",
                    INGOT_PATH=home / "recipes", TMPDIR=home)


def test_bake(user, home):
    recipe = write(home / "mine.yaml", RECIPE)
    done, document = user.json("build", recipe, "-o", home / "out", timeout=500)
    assert done.code == 0, done
    folder = pathlib.Path(document["folder"])
    run("sha256sum", "--strict", "-c", "SHA256SUMS", cwd=folder)
    run("qemu-img", "check", folder / "mine-amd64.qcow2")
    raw = home / "cache/layers" / document["layers"]["seal"] / "disk.raw"
    offset, size = next((o, s) for n, o, s in partitions(raw) if n == 1)
    root = Ext4(extract(raw, offset, size, home / "root.ext4"))
    assert root.check().code == 0
    assert root.ls("/etc")["mine"][:3] == (0o100644, 7, 8)
    assert root.ls("/")["usr"][:3] == (0o040755, 0, 0)
    assert "tree" in root.ls("/usr/bin")
    root.path.unlink()
    assert user.work_left() == []
    if os.geteuid() == 0:
        strangers = [p for p in home.rglob("*") if p.lstat().st_uid != UID and p != recipe]
        assert strangers == []
    done, again = user.json("build", recipe, "-o", home / "out", "--offline")
    assert done.code == 0 and again["changed"] is False, done
    done = user("inspect", folder / "mine-amd64.qcow2")
    assert done.code == 0 and "Debian GNU/Linux 12" in done.out, done
