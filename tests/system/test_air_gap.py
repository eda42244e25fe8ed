"""docs/air-gap.md: its commands, run in its order with its recipe; inside is a network namespace with
nothing in it. A command that no longer works makes the page wrong and this test fail."""

import os
import re
import shutil
import subprocess

import pytest

from fetching import NO_PROXY
from helpers import ROOT, environment, run, sha256, write

PAGE = ROOT / "docs/air-gap.md"
SIDES = ("outside", "inside", "hypervisor")
FENCE = re.compile(r"^```(\S+)[ \t]*([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks():
    """(language, what stands behind it, text) of each fenced block."""
    return [m.groups() for m in FENCE.finditer(PAGE.read_text())]


def commands():
    """(side, line) of all that is to be run, in the page's order."""
    return [(side, line) for language, side, text in blocks() if language == "sh"
            for line in text.replace("\\\n", "").splitlines() if line and not line.startswith("#")]


class Gap:
    """Two machines with nothing in common but a disk that is carried from one to the other."""

    def __init__(self, build, base, folder):
        self.folder, self.medium = folder, folder / "medium"
        www = folder / "www"
        for name in ("medium", "outside", "inside", "home-outside", "home-inside", "www/debian-12"):
            (folder / name).mkdir(parents=True)
        shutil.copy(base, www / "debian-12/base.qcow2")
        write(www / "debian-12/SHA256SUMS", f"{sha256(base)}  base.qcow2\n")
        write(www / "site-agent/1.4.0/site-agent", "#!/bin/sh\necho agent\n")
        self.build, self.seen = build, []
        self.mirror = f"https://images.example/=!{www}/ https://files.example/=!{www}/"

    def environment(self, side):
        home = self.folder / f"home-{side}"
        env = environment(HOME=home, INGOT_CACHE=home / "cache", INGOT_PATH=ROOT / "recipes",
                          MEDIUM=self.medium, **NO_PROXY)
        env["INGOT_TEST_RETRY_MS"] = "1"
        env["PATH"] = f"{self.build / 'bin'}:{env['PATH']}"
        if side == "outside":
            env["INGOT_MIRROR"] = self.mirror
        return env

    def __call__(self, side, line):
        # What is outside has its files from the mirror: nothing there asks a real server either.
        done = subprocess.run(["unshare", "-n", "sh", "-euc", line], cwd=self.folder / side,
                              env=self.environment(side), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        self.seen.append(f"{side}$ {line}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, "\n".join(self.seen[-5:])
        return done


@pytest.fixture
def gap(build, tiny_base, tmp_path):
    if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespace can be made here")
    return Gap(build, tiny_base, tmp_path)


def test_every_block_says_where_it_runs():
    for language, side, text in blocks():
        assert language in ("sh", "yaml"), text
        assert language != "sh" or side in SIDES, text
    lines = "\n".join(line for _, line in commands())
    for command in ("ingot lock", "ingot fetch", "bundle create out/demo", "bundle create --sources",
                    "--split", "--sign-key", "ingot-boot bundle verify", "ingot-boot bundle import",
                    "ingot-boot up", "ingot bundle import", "--locked --offline", "INGOT_MIRROR",
                    "cache verify", "cache gc", "ssh-keygen -Y verify"):
        assert command in lines, command
    # What is run in the gap was carried there.
    assert "cp demo.bundle " in lines and "cp demo-sources.bundle" in lines


def test_the_page(gap):
    recipes = [text for language, name, text in blocks() if name == "demo.yaml"]
    assert len(recipes) == 1
    write(gap.folder / "outside/demo.yaml", recipes[0])
    ran = 0
    for side, line in commands():
        if side == "hypervisor":
            continue  # needs libvirt: the tests of ingot-boot have it
        if side == "inside" and not (gap.folder / "inside/release.pub").exists():
            shutil.copy(gap.folder / "outside/release.pub", gap.folder / "inside")
        gap(side, line)
        ran += 1
    assert ran > 20
    outside, inside = (gap.folder / side for side in ("outside", "inside"))
    sums = (outside / "out/demo/SHA256SUMS").read_text()
    assert sums == (inside / "out/demo/SHA256SUMS").read_text()
    assert sums == (inside / "images/demo/SHA256SUMS").read_text()
    run("sha256sum", "--strict", "-c", "SHA256SUMS", cwd=inside / "out/demo")
    assert (inside / "demo/demo.lock").read_text() == (outside / "demo.lock").read_text()
    assert '"first use"' in (outside / "demo.lock").read_text()
    blobs = {p.name for p in (gap.folder / "home-inside/cache/blobs/sha256").iterdir()}
    assert {p.name for p in (inside / "second/blobs/sha256").iterdir()} <= blobs
    assert sha256(gap.folder / "www/site-agent/1.4.0/site-agent") in blobs


def test_mirrors_of_the_page(gap):
    """They can be set like that, and are asked: nothing answers inside."""
    settings = [text for language, _, text in blocks() if language == "yaml" and "mirror:" in text]
    assert len(settings) == 1
    write(gap.folder / "home-inside/.config/ingot/config.yaml", settings[0])
    write(gap.folder / "inside/demo.yaml",
          next(text for _, name, text in blocks() if name == "demo.yaml"))
    shown = gap("inside", "ingot config").stdout
    assert "sha256:=https://mirror.site.example/sha256/" in shown
    with pytest.raises(AssertionError, match="mirror.site.example/images/debian-12"):
        gap("inside", "ingot fetch demo.yaml")


def test_the_way_in_is_the_medium(gap):
    """The proof can fail: without the bundle there is nothing to build from inside."""
    recipe = next(text for _, name, text in blocks() if name == "demo.yaml")
    write(gap.folder / "inside/demo.yaml", recipe)
    with pytest.raises(AssertionError, match="not in the cache"):
        gap("inside", "ingot build demo.yaml --offline")
