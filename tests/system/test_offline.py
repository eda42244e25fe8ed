"""--offline, proved: in a network namespace with nothing in it, and with every socket looked at."""

import os
import re
import subprocess

import pytest

from conftest import need
from fetching import digest, source
from helpers import Ingot, sha256, write
from servers import Pattern, Wire

BODY = Pattern(50_000)[:]
NETWORK = re.compile(r"\b(AF|PF)_(INET6?|NETLINK|PACKET|VSOCK)\b")


@pytest.fixture
def wire():
    server = Wire()
    yield server
    server.stop()


class Watched:
    """ingot without a network and under strace; sockets() are those that it and its children opened."""

    def __init__(self, ingot, folder):
        need("strace", "unshare")
        alone = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
        if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
            pytest.skip("no network namespace can be made here")
        self.trace = folder / "sockets"
        self.ingot = ingot.with_(prefix=[*alone, "strace", "-f", "--seccomp-bpf", "-qq", "-e",
                                         "trace=socket,execve", "-e", "signal=none", "-o",
                                         self.trace])

    def __call__(self, *arguments, **more):
        self.trace.unlink(missing_ok=True)
        done = self.ingot(*arguments, **more)
        assert "execve(" in self.trace.read_text(), "nothing was traced"
        assert self.sockets() == [], done
        return done

    def sockets(self):
        return [l for l in self.trace.read_text().splitlines()
                if "socket(" in l and NETWORK.search(l)]

    def programs(self):
        return set(re.findall(r'execve\("([^"]+)".*= 0$', self.trace.read_text(), re.M))


@pytest.fixture
def watched(there, tmp_path):
    return Watched(there.ingot, tmp_path)


def test_the_watch_sees(tmp_path):
    """The proof can fail: a program that opens such a socket is caught."""
    plain = Watched(Ingot("python3", tmp_path), tmp_path)
    for family in ("AF_INET", "AF_INET6", "AF_NETLINK"):
        code = f"import socket as s; s.socket(s.{family}, s.SOCK_DGRAM)"
        child = f"import subprocess; subprocess.run(['python3', '-c', '{code}'])"
        with pytest.raises(AssertionError, match=family):
            plain("-c", child)
    plain("-c", "import socket as s; s.socket(s.AF_UNIX)")


def three(wire):
    """A source for each way to be verified."""
    wire.put("/SUMS", f"{digest(BODY)}  by-sums\n".encode())
    wire.put("/by-sums", BODY)
    return [source(wire.put("/by-digest", BODY[1:]), BODY[1:], to="/srv/a"),
            source(wire.url + "/by-sums", verify=f"{{checksums: {wire.url}/SUMS}}", to="/srv/b"),
            source(wire.put("/by-lock", BODY[2:]), verify="lock", to="/srv/c")]


def base_from(wire, there):
    wire.put("/base.qcow2", there.base.read_bytes())
    wire.put("/BASESUMS", f"{sha256(there.base)}  base.qcow2\n".encode())
    return f"{{image: {wire.url}/base.qcow2, verify: {{checksums: {wire.url}/BASESUMS}}, " \
           "os: debian, seed: none, user: someone}"


def test_build_after_fetch(there, wire, watched):
    """All that a build needs came with fetch: base, sources, checksum files."""
    recipe = there.recipe(*three(wire), base=base_from(wire, there))
    assert there.ingot("fetch", recipe).code == 0
    wire.stop()
    done = watched("build", recipe, "-o", there.out, "--locked", "--offline", "--json")
    assert done.code == 0, done
    assert list(there.out.glob("site/*.qcow2"))
    # And a second time, where nothing is left to do.
    assert watched("build", recipe, "-o", there.out, "--locked", "--offline").code == 0
    assert watched("plan", recipe).code == 0
    assert watched("fetch", recipe, "--offline").code == 0
    there.clean()


def test_same_image_as_online(there, wire, watched):
    recipe = there.recipe(*three(wire), base=base_from(wire, there))
    assert there.ingot("build", recipe, "-o", there.folder / "online").code == 0
    assert watched("build", recipe, "-o", there.out, "--locked", "--offline").code == 0
    one, two = (next(f.glob("site/*.qcow2")) for f in (there.folder / "online", there.out))
    assert sha256(one) == sha256(two)


@pytest.mark.parametrize("command", ["build", "fetch"])
def test_incomplete_cache(there, wire, watched, command):
    """What lacks is named, all of it, before anything is built."""
    sources = three(wire)
    recipe = there.recipe(*sources)
    out = ["-o", there.out] if command == "build" else []
    assert there.ingot("fetch", recipe).code == 0
    for body in (BODY, BODY[1:]):
        there.blob(body).unlink()
    done = watched(command, recipe, "--offline", *out)
    assert done.code == 5, done
    said = " ".join(l for l in done.err.splitlines() if l.startswith(("error: ", "missing")))
    assert f"{wire.url}/by-digest" in said and "--offline" in said, done
    assert f"{wire.url}/by-sums" in done.err and f"{wire.url}/by-lock" not in said, done
    assert not there.out.exists() or not list(there.out.iterdir())
    there.clean()


def test_empty_cache(there, wire, watched):
    recipe = there.recipe(*three(wire), base=base_from(wire, there))
    done = watched("fetch", recipe, "--offline")
    assert done.code == 5 and f"{wire.url}/base.qcow2" in done.err, done
    assert wire.requests == []


def test_mirror_on_a_disk(there, wire, watched, tmp_path):
    """Offline, a mirror that is a folder is no network: it serves."""
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "by-digest").write_bytes(BODY[1:])
    recipe = there.recipe(source("https://upstream.example/by-digest", BODY[1:]))
    done = watched("fetch", recipe, "--offline", "--mirror", f"https://upstream.example={folder}")
    assert done.code == 0 and there.holds(BODY[1:]), done
    done = watched("fetch", there.recipe(source("https://upstream.example/by-sums", BODY)),
                   "--offline", "--mirror", f"https://upstream.example=http://127.0.0.1:{wire.port}")
    assert done.code == 5 and wire.requests == [], done


@pytest.mark.parametrize("command", ["lock", "updates"])
def test_commands_that_need_a_network(there, wire, watched, command):
    """They have nothing to say without one, and say that."""
    url = wire.put("/latest", b"{}")
    recipe = there.recipe(source(url, b"{}"), base="ubuntu-24.04") if command == "updates" else \
        there.recipe(*three(wire), base=base_from(wire, there))
    done = watched(command, recipe, "--offline")
    assert done.code == 5 and "offline" in done.err, done
    assert wire.requests == []


@pytest.mark.parametrize("command", [["check"], ["plan"], ["cache", "ls"], ["cache", "verify"],
                                     ["cache", "gc"], ["config"], ["schema"], ["doctor"]])
def test_commands_that_never_need_one(there, wire, watched, command):
    recipe = there.recipe(*three(wire), base=base_from(wire, there))
    arguments = [recipe] if command in (["check"], ["plan"]) else []
    assert watched(*command, *arguments).code in (0, 6), command


def packages_offline(ingot, recipe, folder):
    """fetch with an empty cache, then build without a network, watched; what the watch saw."""
    own = Ingot(ingot.program, folder / "cache", INGOT_PATH=ingot.env["INGOT_PATH"])
    done = own("fetch", recipe, timeout=900)
    assert done.code == 0, done
    watched = Watched(own, folder)
    done = watched("build", recipe, "-o", folder / "out", "--locked", "--offline", timeout=900)
    assert done.code == 0, done
    assert list(folder.glob("out/*/*.qcow2"))
    recipe.with_suffix(".lock").unlink()
    return watched


def test_appliance_and_packages(ingot, alpine_recipe, server, tmp_path):
    """With packages: libguestfs, supermin and QEMU open no such socket either."""
    watched = packages_offline(ingot, alpine_recipe("alp-offline"), tmp_path)
    assert any("qemu-system" in p for p in watched.programs()), watched.programs()


@pytest.mark.slow
def test_base_from_packages(ingot, site, tmp_path):
    """Nor does what makes a Debian from its packages and installs more: apt, dpkg, their methods."""
    text = (site / "debian.yaml").read_text().replace("name: deb\n", "name: deb-offline\n")
    watched = packages_offline(ingot, write(site / "deb-offline.yaml", text), tmp_path)
    assert any("qemu-system" in p for p in watched.programs()), watched.programs()
