"""The recipes and profiles that are shipped, unchanged: their real URLs are mapped to a server of the
tests, which has small files under the same paths and checksum files that name them."""

import hashlib
import itertools
import json
import platform
import re

import pytest
import yaml

from conftest import need
from fetching import digest, make_base
from helpers import ROOT, Ingot, sha256, write
from keys import Keys
from servers import Wire

RECIPES = sorted(p.stem for p in (ROOT / "recipes").glob("*.yaml"))
BASES = sorted(p.stem for p in (ROOT / "recipes/bases").glob("*.yaml"))
ARCHITECTURES = ["amd64", "arm64"]
HERE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
# What those recipes ask of the base's package manager, and the base of these tests has.
PACKAGES = ["qemu-guest-agent", "cloud-init", "podman", "open-iscsi", "nfs-common", "conntrack-tools",
            "coreutils", "dbus", "findutils", "ipset", "iptables"]


def profile(name):
    return yaml.safe_load((ROOT / f"recipes/bases/{name}.yaml").read_text())


def base_of(recipe):
    base = yaml.safe_load((ROOT / f"recipes/{recipe}.yaml").read_text())["base"]
    return base if isinstance(base, str) else None


def from_image(base):
    return base is not None and "images" in profile(base)


def cases():
    """(name, base, architecture) of every recipe, and of every base with a recipe of its own."""
    for name, arch in itertools.product(RECIPES, ARCHITECTURES):
        if from_image(base_of(name)):
            yield name, base_of(name), arch
    for base in filter(from_image, BASES):
        for arch, image in profile(base)["images"].items():
            for firmware in [image["firmware"]] if isinstance(image["firmware"], str) \
                    else image["firmware"]:
                yield f"on-{base}-{firmware}", base, arch


CASES = list(cases())


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """(os, architecture) -> an image that ingot takes for such a base."""
    made = {}
    for os_, arch in itertools.product(("alpine", "ubuntu", "debian"), ARCHITECTURES):
        folder = tmp_path_factory.mktemp(f"{os_}-{arch}")
        made[os_, arch] = make_base(folder, os_, arch, PACKAGES).read_bytes()
    return made


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    need("gpg", "gpg-agent")
    keys = Keys(tmp_path_factory.mktemp("keys"))
    keys.make("publisher")
    yield keys
    keys.stop()


class Upstream:
    """Everything that a plan fetches, from one server: https://HOST/PATH is /HOST/PATH there."""

    def __init__(self, keys):
        self.wire, self.keys, self.hosts = Wire(), keys, set()

    def place(self, url, data):
        host, path = re.fullmatch(r"https://([^/]+)(/.*)", url).groups()
        self.hosts.add(host)
        self.wire.put(f"/{host}{path}", data)

    def publish(self, fetches, image):
        """Files, their checksum files, and signatures over those."""
        listed = {}
        for fetch in fetches:
            url = fetch["url"]
            data = image if fetch["why"] == "base image" else b"content of " + url.encode()
            self.place(url, data)
            sums = re.search(r"https://[^\s,;)]+", fetch["verify"])
            assert sums, fetch
            hash_ = "sha512" if re.search("sha512", sums[0], re.I) else "sha256"
            line = f"{hashlib.new(hash_, data).hexdigest()} *{url.rsplit('/', 1)[1]}\n"
            listed[sums[0]] = listed.get(sums[0], "") + line
        for sums, text in listed.items():
            self.place(sums, text.encode())
            for ending in (".gpg", ".sign", ".asc"):
                self.place(sums + ending, self.keys.sign("publisher", text.encode()))

    def mirrors(self):
        return " ".join(f"https://{h}/=!{self.wire.url}/{h}/" for h in sorted(self.hosts))


@pytest.fixture
def upstream(keys):
    upstream = Upstream(keys)
    yield upstream
    upstream.wire.stop()


@pytest.fixture
def shipped(ingot, upstream, images, keys, tmp_path):
    """Copies a recipe to a folder of its own, so that its lock is not written beside the real one, and
    publishes what it asks for."""
    own = Ingot(ingot.program, tmp_path / "cache", HOME=tmp_path, INGOT_PATH=ROOT / "recipes",
                INGOT_TEST_RETRY_MS=1)

    def prepare(name, base, arch, forged=False):
        if name in RECIPES:
            text = (ROOT / f"recipes/{name}.yaml").read_text()
        else:
            firmware = name.rsplit("-", 1)[1]
            text = f"ingot: 1\nname: x\nbase: {{name: {base}, firmware: {firmware}}}\ndisk: 4GiB\n"
        # What --set says is in no lock: the architecture, and the key that signs here, are said by a
        # recipe that includes the shipped one.
        write(tmp_path / "shipped.yaml", text)
        own_key = "" if not signed_by(base, arch) or forged else (
            f"base: {{verify: {{openpgp: {{fingerprint: {keys['publisher']}, "
            f"key: {keys.file('publisher')}}}}}}}\n")
        recipe = write(tmp_path / f"{name}.yaml",
                       f"include: shipped.yaml\nname: {name}\narch: {arch}\n" + own_key)
        done, plan = own.json("plan", recipe)
        assert done.code == 0, done
        upstream.publish(plan["fetch"], images[profile(base)["os"], arch])
        return recipe, own.with_(INGOT_MIRROR=upstream.mirrors()), plan

    return prepare


def signed_by(base, arch):
    """The openpgp part of a profile's verification, or None."""
    return profile(base)["images"][arch]["verify"].get("openpgp")


@pytest.mark.parametrize("name, base, arch", CASES)
def test_fetch(shipped, upstream, keys, name, base, arch):
    """Everything is fetched and locked, for either architecture on any host, then not asked again."""
    recipe, ingot, plan = shipped(name, base, arch)
    done = ingot("fetch", recipe)
    assert done.code == 0, done
    asked = {r.path for r in upstream.wire.requests}
    assert {re.sub("^https:/", "", f["url"]) for f in plan["fetch"]} <= asked
    lock = json.loads(recipe.with_suffix(".lock").read_text())[arch]
    assert lock["base"]["url"] == plan["fetch"][0]["url"]
    assert lock["base"]["sha256"] == sha256(ingot.cache / "blobs/sha256" / lock["base"]["sha256"])
    assert "checksums" in lock["base"]["verified"]
    if signed_by(base, arch):
        assert keys["publisher"] in lock["base"]["verified"]
    for fetch in plan["fetch"][1:]:
        data = b"content of " + fetch["url"].encode()
        assert lock["sources"][fetch["url"]]["sha256"] == digest(data)
    assert "127.0.0.1" not in recipe.with_suffix(".lock").read_text()
    count = len(upstream.wire.requests)
    done = ingot("fetch", recipe, "--offline")
    assert done.code == 0 and len(upstream.wire.requests) == count, done
    assert ingot.work_left() == []


@pytest.mark.parametrize("name, base, arch",
                         [c for c in CASES if c[0] in ("alpine-k3s", "ubuntu-podman")])
def test_lock(shipped, upstream, keys, name, base, arch):
    recipe, ingot, plan = shipped(name, base, arch)
    done = ingot("lock", recipe)
    assert done.code == 0, done
    text = recipe.with_suffix(".lock").read_text()
    assert arch in json.loads(text)
    # A second time gives the same bytes.
    assert ingot("lock", recipe).code == 0
    assert recipe.with_suffix(".lock").read_text() == text


SIGNED = [c for c in CASES if signed_by(c[1], c[2]) and c[0].startswith("on-")]


@pytest.mark.parametrize("name, base, arch", SIGNED)
def test_forged_signature(shipped, keys, tmp_path, name, base, arch):
    """The real publisher's signature cannot be made here: with its fingerprint from the profile, and a
    key file that lacks that key, nothing is fetched."""
    recipe, ingot, _ = shipped(name, base, arch, forged=True)
    fingerprint = signed_by(base, arch)["fingerprint"]
    done = ingot("fetch", recipe, "--set", f"base.verify.openpgp.key={keys.file('publisher')}")
    assert done.code == 4 and fingerprint in done.err.replace(" ", ""), done
    assert not recipe.with_suffix(".lock").exists()
    assert not list((ingot.cache / "blobs").rglob("*")) or not any(
        p.stat().st_size > 100_000 for p in (ingot.cache / "blobs").rglob("*") if p.is_file())
    done = ingot("fetch", recipe, "--set", f"base.verify.openpgp.key={keys.file('publisher')}",
                 "--set", f"base.verify.openpgp.fingerprint={keys['publisher']}")
    assert done.code == 0, done


@pytest.mark.parametrize("name, base, arch", [
    c for c in CASES if c[0] == "alpine-k3s" and c[2] != HERE])
def test_other_architecture_is_not_built(shipped, keys, tmp_path, name, base, arch):

    recipe, ingot, _ = shipped(name, base, arch)
    done = ingot("build", recipe, "-o", tmp_path / "out")
    assert done.code == 6 and arch in done.err, done


@pytest.mark.parametrize("arch", [a for a in ARCHITECTURES if a != HERE])
def test_made_from_packages_for_another_architecture(ingot, tmp_path, arch):
    """Checked and planned here, and not built, which is said before anything is asked for."""
    own = Ingot(ingot.program, tmp_path / "cache", HOME=tmp_path, INGOT_PATH=ROOT / "recipes",
                http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")
    recipe = write(tmp_path / "d.yaml", f"ingot: 1\nname: d\narch: {arch}\nbase: debian-12\n")
    assert own("check", recipe).code == 0
    done, plan = own.json("plan", recipe)
    assert done.code == 0 and plan["arch"] == arch, done
    for more in ([], ["--until", "base"]):
        done = own("build", recipe, "-o", tmp_path / "out", *more)
        assert done.code == 6 and f"the recipe is for {arch}" in done.err, done
    assert not recipe.with_suffix(".lock").exists() and own.work_left() == []


def test_all_shipped_are_here():
    """A base or recipe that is added is tested."""
    assert len(CASES) >= 10 and {b for _, b, _ in CASES} >= {"alpine-3.24", "ubuntu-24.04"}
    for base in BASES:
        for image in profile(base).get("images", {}).values():
            assert image["image"].startswith("https://")
