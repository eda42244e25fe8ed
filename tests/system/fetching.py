"""What the tests of fetching, trust and offline share: a base as small as can be, recipes on it, and
what must hold of a cache afterwards."""

import hashlib
import os
import pathlib
import tempfile

import pytest

from helpers import Ingot, run, sha256, write

OS_RELEASE = 'ID={os}\nVERSION_ID="{version}"\nVERSION_CODENAME={codename}\nPRETTY_NAME="Tiny"\n'
APK_ARCH = {"amd64": "x86_64", "arm64": "aarch64"}


def make_base(folder, os_="debian", arch="amd64", packages=("qemu-guest-agent",)):
    """An ext4 that ingot takes for a system with these packages: a recipe with no others is baked on it
    in a tenth of a second, with no appliance."""
    tree = folder / "tree"
    for name in ("etc", "usr/bin", "usr/sbin", "usr/lib/systemd", "var/lib/dpkg", "var/log", "root",
                 "home", "tmp", "dev", "proc", "sys", "run", "boot"):
        (tree / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib"):
        os.symlink(f"usr/{name}", tree / name)
    write(tree / "usr/lib/os-release",
          OS_RELEASE.format(os=os_, version="12", codename="bookworm"))
    os.symlink("../usr/lib/os-release", tree / "etc/os-release")
    programs = ["usr/sbin/qemu-ga", "usr/bin/cloud-init"]
    programs += ["usr/sbin/openrc", "etc/init.d/qemu-guest-agent"] if os_ == "alpine" else \
        ["usr/lib/systemd/systemd"]
    for name in programs:
        write(tree / name, "#!/bin/sh\n", 0o755)
    write(tree / "etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    write(tree / "etc/group", "root:x:0:\n")
    write(tree / "etc/shadow", "root:*:1::::::\n", 0o640)
    if os_ == "alpine":
        write(tree / "etc/apk/arch", APK_ARCH[arch] + "\n")
        write(tree / "usr/lib/apk/db/installed",
              "".join(f"P:{p}\nV:1-r0\nA:{APK_ARCH[arch]}\n\n" for p in packages))
    else:
        write(tree / "var/lib/dpkg/status",
              "".join(f"Package: {p}\nStatus: install ok installed\nArchitecture: {arch}\n"
                      "Version: 1\n\n" for p in packages))
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, folder / "base.raw", "24M")
    run("qemu-img", "convert", "-c", "-O", "qcow2", folder / "base.raw", folder / "base.qcow2")
    return folder / "base.qcow2"


def digest(data):
    """SHA-256 of bytes, or of what makes its own."""
    return data.sha256() if hasattr(data, "sha256") else hashlib.sha256(data).hexdigest()


def source(url, data=None, verify=None, to="/srv/thing"):
    """One of a recipe's sources: verified by the data's digest, or as `verify` says."""
    return f"{{url: {url!r}, verify: {verify or f'{{sha256: {digest(data)}}}'}, to: {to}}}"


class Site:
    """A folder with a recipe, a home and a cache in which nothing is."""

    def __init__(self, ingot, base, folder):
        self.base, self.folder, self.out = base, folder, folder / "out"
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        self.cache = folder / "cache"
        # The waiting between two tries is a matter of milliseconds here.
        self.ingot = Ingot(ingot.program, self.cache, HOME=self.home,
                           INGOT_PATH=ingot.env["INGOT_PATH"], INGOT_TEST_RETRY_MS=1, **NO_PROXY)

    def recipe(self, *sources, name="site", base=None, more=""):
        base = base or f"{{image: {self.base}, verify: {{sha256: {sha256(self.base)}}}, " \
                       "os: debian, seed: none, user: someone}"
        text = f"ingot: 1\nname: {name}\nbase: {base}\ndisk: 32MiB\n"
        if sources:
            text += "sources:\n" + "".join(f"  - {s}\n" for s in sources)
        return write(self.folder / f"{name}.yaml", text + more)

    def fetch(self, *sources, options=(), ingot=None, **more):
        return (ingot or self.ingot)("fetch", self.recipe(*sources), *options, **more)

    def blob(self, data):
        return self.cache / "blobs/sha256" / digest(data)

    def holds(self, data):
        """The blob is there, and sha256sum says that it is what its name says."""
        path = self.blob(data)
        return path.exists() and run("sha256sum", path).out.split()[0] == path.name

    def clean(self):
        """Nothing half-written anywhere, and the cache is as it says."""
        assert self.ingot.work_left() == [], self.ingot.work_left()
        done = self.ingot("cache", "verify")
        assert done.code == 0, done
        for path in (self.cache / "blobs").rglob("*"):
            if path.is_file():
                assert sha256(path) == path.name, path


NO_PROXY = {name: "" for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTPS_PROXY",
                                  "ALL_PROXY", "NO_PROXY", "NETRC", "CURL_CA_BUNDLE",
                                  "SSL_CERT_FILE", "SSL_CERT_DIR")}


def everywhere(folder, words):
    """Files below a folder that have one of these words, which are secret, in them."""
    found = []
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found += [(str(path), w) for w in words if w.encode() in data]
    return found


@pytest.fixture(scope="session")
def tiny_base(artifacts):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="base-", dir=artifacts))
    folder.chmod(0o755)
    return make_base(folder)


@pytest.fixture
def there(ingot, tiny_base, tmp_path):
    return Site(ingot, tiny_base, tmp_path)
