"""Fixtures of baked images. Each is made once in a run: they share a cache.

INGOT_TEST_CACHE names a cache that is kept from run to run, for work on the tests themselves."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from helpers import ROOT, Ingot, Server, run, write

AGENT = "qemu-guest-agent-7.2.22-r0.apk"
ALPINE = "alpine-3.19.1-x86_64-bios-tiny.qcow2"

UNIT = """\
[Unit]
Description=Says that the overlay of @{name} was here

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/local/bin/site-hello

[Install]
WantedBy=multi-user.target
"""

SCRIPT = """\
#!/sbin/openrc-run
description="Says that the overlay of @{name} was here"

start() {
    ebegin "site-hello"
    /usr/local/bin/site-hello
    eend $?
}
"""

HELLO = """\
#!/bin/sh
mkdir -p /var/lib/site
echo "hello from @{name}, $(cat /etc/site/note)" >/var/lib/site/hello
"""

DEBIAN = """\
ingot: 1
name: deb
base:
  bootstrap: {os: debian, suite: bookworm, packages: [podman]}
distribution: podman
disk: 5GiB
packages: [tree]
registries:
  docker.io: {mirrors: ["http://localhost:5000"]}
  registry.example.internal:5001: {mirrors: ["http://localhost:5001", "https://mirror.example"]}
  insecure.example: {insecure: true}
  blocked.example: {blocked: true}
overlays: [site]
files:
  - {path: /etc/site/inline, content: "inline text\\n", mode: "0640", owner: "0:42"}
directories: {/srv/data: {mode: "0750", owner: "1000:1000"}}
modules: [br_netfilter]
sysctls: {net.ipv4.ip_forward: 1, vm.max_map_count: 262144}
services: {enable: [site-hello]}
boot:
  memory: 1GiB
  cpus: 2
  user: tester
  hostname: debguest
  ssh_keys: [id_test.pub]
"""

ALPINE_RECIPE = """\
ingot: 1
name: alp
base:
  image: {url}/{image}
  verify: {{checksums: {url}/{image}.sha512}}
  os: alpine
  seed: tiny-cloud
  user: alpine
disk: 512MiB
package_repositories:
  - apk: {{url: {url}/agent, key: {key}}}
overlays: [site]
modules: [overlay]
sysctls: {{net.ipv4.ip_forward: 1}}
services: {{enable: [site-hello]}}
boot: {{memory: 512MiB, cpus: 1, hostname: alpguest, ssh_keys: [id_test.pub]}}
"""


class Image:
    """A recipe and what became of it."""

    def __init__(self, recipe, document):
        self.recipe, self.document = recipe, document
        self.folder = pathlib.Path(document["folder"])
        self.disk = next(self.folder.glob("*.qcow2"))
        self.seed = next(self.folder.glob("*.iso"))


def fixtures_folder():
    folder = os.environ.get("INGOT_TEST_FIXTURES")
    if not folder:
        pytest.skip("INGOT_TEST_FIXTURES names no folder with fixtures")
    folder = pathlib.Path(folder) / "alpine"
    if not (folder / ALPINE).exists():
        pytest.skip(f"{folder / ALPINE} is not there")
    return folder


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    kept = os.environ.get("INGOT_TEST_CACHE")
    return pathlib.Path(kept) if kept else tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def ingot(build, cache):
    program = build / "bin/ingot"
    if not program.exists():
        pytest.fail(f"{program} is not built")
    return Ingot(program, cache, INGOT_PATH=ROOT / "recipes")


@pytest.fixture(scope="session")
def site(artifacts):
    """A folder with recipes, an overlay with a service for both init systems, and an SSH key."""
    folder = artifacts / "site"
    over = folder / "overlays/site"
    write(over / "common/usr/local/bin/site-hello.in", HELLO, 0o755)
    write(over / "common/etc/site/note", "the note\n")
    write(over / "systemd/etc/systemd/system/site-hello.service.in", UNIT)
    write(over / "openrc/etc/init.d/site-hello.in", SCRIPT, 0o755)
    # A real folder where merged-usr systems have a link.
    write(over / "common/lib/site/in-lib", "in lib\n")
    os.symlink("in-lib", over / "common/lib/site/link")
    write(folder / "debian.yaml", DEBIAN)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tester@site", "-f",
        folder / "id_test")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The Alpine fixture and a signed repository with the guest agent, on loopback."""
    fixtures = fixtures_folder()
    folder = tmp_path_factory.mktemp("www")
    for name in (ALPINE, ALPINE + ".sha512"):
        shutil.copyfile(fixtures / name, folder / name)
    subprocess.run([sys.executable, ROOT / "tests/standins/apk_repository.py", folder / "agent",
                    "site@example.invalid-1", fixtures / "agent" / AGENT], check=True)
    (folder / "agent.key").rename(folder / "private.key")
    server = Server(folder)
    server.key = folder / "agent/site@example.invalid-1.rsa.pub"
    yield server
    server.stop()


@pytest.fixture(scope="session")
def alpine_recipe(site, server):
    """Makes further recipes on the Alpine disk: alpine_recipe("name", more="lines")."""

    def make(name, more="", **replaced):
        text = ALPINE_RECIPE.format(url=server.url, image=ALPINE, key=server.key)
        text = text.replace("name: alp\n", f"name: {name}\n")
        for old, new in replaced.items():
            line = next(l for l in text.splitlines() if l.startswith(f"{old}:"))
            text = text.replace(line + "\n", new)
        return write(site / f"{name}.yaml", text + more)

    return make


def bake(ingot, recipe, out, *options):
    done, document = ingot.json("build", recipe, "-o", out, *options)
    assert done.code == 0, done
    image = Image(recipe, document)
    image.said = done.err
    return image


@pytest.fixture(scope="session")
def debian(ingot, site, artifacts):
    return bake(ingot, site / "debian.yaml", artifacts / "out")


@pytest.fixture(scope="session")
def alpine(ingot, alpine_recipe, artifacts):
    return bake(ingot, alpine_recipe("alp"), artifacts / "out")
