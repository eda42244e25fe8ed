"""Fixtures of the system tests. INGOT_BUILD is the folder with bin/ingot and bin/ingot-boot."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import libvirtd  # noqa: E402
import tiny_guest  # noqa: E402
from bakes import (alpine, alpine_recipe, cache, debian, ingot, server, site)  # noqa: E402,F401
from fetching import there, tiny_base  # noqa: E402,F401

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: only in `make test-all`")


def need(*programs):
    """Skips where one of the programs is missing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for program in programs:
        if not shutil.which(program, path=path):
            pytest.skip(f"{program} is not installed")


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("INGOT_BUILD", ROOT / "build")).resolve()


@pytest.fixture(scope="session")
def private_libvirt():
    """A libvirt daemon that nobody else uses, with namespaces of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can make the namespaces of a private libvirtd")
    need("libvirtd", "virtlogd", "unshare", "nsenter", "setpriv", "qemu-system-x86_64")
    daemon = libvirtd.PrivateLibvirt()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def artifacts():
    """A folder that everybody can read, other than pytest's own."""
    with tempfile.TemporaryDirectory(prefix="ingot-artifacts-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


@pytest.fixture(scope="session")
def tiny(artifacts):
    """The tiny guest as an artifact."""
    return make_tiny(artifacts / "tiny", False)


@pytest.fixture(scope="session")
def mute(artifacts):
    """A guest whose agent never answers."""
    return make_tiny(artifacts / "mute", True)


def make_tiny(folder, is_mute):
    need("busybox", "qemu-ga", "grub-mkimage", "mke2fs", "qemu-img", "modprobe")
    tiny_guest.make(folder, folder.name, is_mute)
    return folder
