"""Alpine's own cloud image with packages from Alpine's own mirrors, baked and booted. Slow, and only
where `make fixtures` has got the image: it needs an internet."""

import os
import pathlib

import pytest

from bakes import bake
from helpers import ROOT, sha256, write
from test_boot import Boot

DISK = pathlib.Path(os.environ.get("INGOT_REAL_ALPINE", ROOT / "build/fixtures/alpine-cloud.raw"))

RECIPE = """\
ingot: 1
name: real-alpine
base:
  image: {disk}
  verify: {{sha256: {digest}}}
  format: raw
  os: alpine
  init: openrc
  seed: cloud-init
  user: alpine
disk: 1GiB
packages: [tree]
boot: {{memory: 512MiB, cpus: 1}}
"""


@pytest.mark.slow
def test_bakes_and_boots(ingot, site, artifacts, private_libvirt, build):
    if not DISK.exists():
        pytest.skip(f"{DISK} is not there (make fixtures gets it where there is an internet)")
    recipe = write(site / "real-alpine.yaml", RECIPE.format(disk=DISK, digest=sha256(DISK)))
    image = bake(ingot, recipe, artifacts / "out")
    boot = Boot(build, private_libvirt)
    try:
        done = boot("up", image.folder, "--name", "real-alpine")
        assert done.code == 0, done
        assert "Alpine" in boot("exec", "real-alpine", "--", "cat", "/etc/os-release").out
        assert boot("exec", "real-alpine", "--", "tree", "--version").code == 0
    finally:
        boot("delete", "--yes", "real-alpine")
