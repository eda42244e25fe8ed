"""`ingot updates`: the shipped recipes as they are, their services mapped to a server of the tests;
images replaced in place; locked packages; services that are down or answer with something else."""

import hashlib
import io
import json
import re
import tarfile

import pytest

from fetching import NO_PROXY
from helpers import ROOT, Ingot, run, sha256, write
from servers import Answer, Wire

# As they stand in the profiles, and under which path the test's server has them.
SERVICES = {
    "https://alpinelinux.org/": "/alpine/",
    "https://dl-cdn.alpinelinux.org/": "/images/",
    "https://update.k3s.io/": "/k3s/",
    "https://cloud-images.ubuntu.com/": "/ubuntu/",
}
CHANNELS = "/k3s/v1-release/channels"
RELEASES = "/alpine/releases.json"
STREAMS = "/ubuntu/releases/streams/v1/"
DISTRIBUTION = (ROOT / "recipes/distributions/k3s.yaml").read_text()
VERSION = re.search(r"^version: (\S+)", DISTRIBUTION, re.M)[1]
BASE = (ROOT / "recipes/bases/alpine-3.24.yaml").read_text()
IMAGE = re.search(r"/(alpine/v[\d.]+/releases/cloud/)(nocloud_alpine-([\d.]+)-@\{gnu_arch\}-"
                  r"@\{firmware\}-cloudinit-r(\d+)\.qcow2)", BASE)


def image(version=IMAGE[3], revision=IMAGE[4]):
    return (IMAGE[2].replace(IMAGE[3], version).replace("@{gnu_arch}", "x86_64")
            .replace("@{firmware}", "bios").replace(f"-r{IMAGE[4]}.", f"-r{revision}."))


def after(version):
    """The next one by its last number, which gets another digit: .9 comes before .10."""
    head, last = version.rsplit(".", 1)
    return f"{head}.{int(last) + 10}"


def digest(data):
    return hashlib.sha256(data).hexdigest()


def pretty(value):
    return json.dumps(value).encode()


class Services:
    """The answers of all services, which say that nothing is newer unless they are told otherwise."""

    def __init__(self, wire):
        self.wire = wire
        self.alpine()
        self.k3s()

    def alpine(self, images=(image(),), releases=(IMAGE[3],), eol="2999-01-01", latest="3.24"):
        branch = {"rel_branch": "v3.24", "eol_date": eol,
                  "releases": [{"version": v, "date": "2026-01-01"} for v in releases]}
        self.put(RELEASES, pretty({"latest_stable": f"v{latest}",
                                   "release_branches": [{"rel_branch": "edge"}, branch]}))
        links = "".join(f'<a href="{i}">{i}</a>\n' for i in images)
        self.put("/images/" + IMAGE[1], f"<html><pre>{links}</pre></html>".encode())

    def k3s(self, stable=VERSION):
        self.put(CHANNELS, pretty({"data": [{"id": "latest", "latest": "v9.9.9+k3s1"},
                                            {"id": "stable", "latest": stable}]}))

    def put(self, path, body, *answers):
        self.wire.put(path, body, *answers or [Answer(etag=f'"{digest(body)}"')])

    def mirrors(self):
        return " ".join(f"{url}=!{self.wire.url}{path}" for url, path in SERVICES.items())


@pytest.fixture
def wire():
    server = Wire()
    yield server
    server.stop()


@pytest.fixture
def services(wire):
    return Services(wire)


@pytest.fixture
def here(ingot, services, tmp_path):
    """Runs `ingot updates --json`: (exit code, rows by what they are about, the rest)."""
    home = tmp_path / "home"
    home.mkdir()
    mine = Ingot(ingot.program, tmp_path / "cache", HOME=home, INGOT_PATH=ROOT / "recipes",
                 INGOT_MIRROR=services.mirrors(), INGOT_TEST_RETRY_MS=1, **NO_PROXY)

    def updates(*arguments):
        done = mine("updates", *arguments, "--json")
        document = json.loads(done.out)
        assert document["newer"] == any(r["newer"] for r in document["updates"]), done
        assert document["newer"] == (done.code == 10), done
        return done.code, {r["what"]: r for r in document["updates"]}, done

    updates.ingot, updates.folder = mine, tmp_path
    return updates


def test_nothing_newer(here):
    code, rows, done = here("alpine-k3s")
    assert code == 0, done
    base, k3s = rows["base alpine-3.24"], rows["distribution k3s"]
    assert base["current"] == base["available"] == f"{IMAGE[3]}-r{IMAGE[4]}", base
    assert base["note"] == "supported until 2999-01-01"
    assert k3s["current"] == k3s["available"] == VERSION and "note" not in k3s
    text = here.ingot("updates", "alpine-k3s")
    assert text.code == 0 and "*" not in text.out, text
    assert f"  distribution k3s  {VERSION}" in text.out


def test_newer(here, services):
    newest = after(IMAGE[3])
    services.alpine([image(), image(newest), image(newest, int(IMAGE[4]) + 1)], [newest, IMAGE[3]],
                    eol="2020-01-01", latest="3.25")
    services.k3s(VERSION.replace("+k3s1", "+k3s2"))
    code, rows, done = here("alpine-k3s")
    assert code == 10, done
    base, k3s = rows["base alpine-3.24"], rows["distribution k3s"]
    assert base["newer"] and base["available"] == f"{newest}-r{int(IMAGE[4]) + 1}", base
    assert base["url"] == SERVICES_URL + IMAGE[1] + image(newest, int(IMAGE[4]) + 1)
    assert base["note"] == "there is a newer branch, 3.25; end of life since 2020-01-01"
    assert k3s["newer"] and k3s["available"] == VERSION.replace("+k3s1", "+k3s2")
    text = here.ingot("updates", "alpine-k3s")
    assert text.code == 10 and text.out.count("\n* ") == 2, text
    assert re.search(rf"^\* base alpine-3.24 +{re.escape(IMAGE[3])}-r\d+ +{re.escape(newest)}-r",
                     text.out, re.M), text


SERVICES_URL = "https://dl-cdn.alpinelinux.org/"


def test_release_without_image(here, services):
    """What counts is an image that is there."""
    newest = after(IMAGE[3])
    services.alpine(releases=[newest])
    code, rows, done = here("alpine-k3s")
    assert code == 0, done
    assert rows["base alpine-3.24"]["note"].startswith(f"{newest} is released and has no image yet")


def test_ahead_of_the_channel(here, services):
    services.k3s("v1.2.3+k3s1")
    code, rows, done = here("alpine-k3s")
    assert code == 0 and rows["distribution k3s"]["note"] == "ahead of the channel 'stable'", done


def test_other_version(here):
    """What the recipe says counts, not what the profile says."""
    code, rows, done = here("alpine-k3s", "--set", "distribution.version=v1.2.3+k3s1")
    assert code == 10 and rows["distribution k3s"]["current"] == "v1.2.3+k3s1", done


def test_arguments_instead_of_environment(here, services):
    mirrors = [o for text in services.mirrors().split() for o in ("--mirror", text)]
    plain = here.ingot.with_(INGOT_MIRROR="")
    done = plain("updates", "alpine-k3s", *mirrors)
    assert done.code == 0 and VERSION in done.out, done


@pytest.mark.parametrize("body, message", [
    (b"<!DOCTYPE html><title>Sign in</title>", "answers with a web page"),
    (b"", "answers with nothing"),
    (b'{"data": "none"}', "'data' is missing or no list"),
    (b'{"data": [{"id": "stable", "latest": "v1\\u001b[31m"}]}', "'latest' is no version"),
    (b"[" * 200_000, "not valid JSON"),
    (b" " * (5 << 20), "at most 4.0 MiB"),
], ids=["page", "nothing", "shape", "version", "deep", "large"])
def test_broken_answer(here, services, body, message):
    services.put(CHANNELS, body)
    code, rows, done = here("alpine-k3s")
    k3s = rows["distribution k3s"]
    assert code == 3 and message in k3s["error"]["message"], done
    assert k3s["error"]["kind"] == "input" and k3s["current"] == VERSION
    assert "/v1-release/channels" in k3s["error"]["message"]
    assert "error" not in rows["base alpine-3.24"], "the others are asked all the same"


def test_service_down(here, services):
    services.put(CHANNELS, b"", Answer(503, etag=None))
    code, rows, done = here("alpine-k3s")
    assert code == 5 and rows["distribution k3s"]["error"]["kind"] == "unreachable", done
    text = here.ingot("updates", "alpine-k3s")
    assert text.code == 5 and "could not be asked" in text.out, text
    assert "503" in text.err and "distribution k3s" in text.err
    # What is newer is the better news.
    services.alpine([image(after(IMAGE[3]))], [after(IMAGE[3])])
    code, rows, done = here("alpine-k3s")
    assert code == 10 and "error" in rows["distribution k3s"], done


def test_all_down(here, services, wire):
    wire.paths.clear()
    code, rows, done = here("alpine-k3s")
    assert code == 5 and len([r for r in rows.values() if "error" in r]) == 2, done


def test_offline_is_refused(here, wire):
    done = here.ingot("updates", "--offline", "alpine-k3s")
    assert done.code == 5 and "--offline" in done.err and not wire.requests, done


def test_several_recipes(here, services):
    streams(services, {"20260101": "a" * 64})
    services.k3s("v99.0.0+k3s1")
    text = here.ingot("updates", "alpine-k3s", "ubuntu-k3s")
    assert text.code == 10 and text.out.count("* distribution k3s") == 2, text
    heads = [l for l in text.out.splitlines() if l and l[0] not in " *"]
    assert heads == ["alpine-k3s", "ubuntu-k3s"], text


def test_wrong_recipe(here, wire):
    done = here.ingot("updates", "alpine-k3s", "no-such-recipe")
    assert done.code == 3 and "no-such-recipe" in done.err and done.out == "", done


# --- images that are replaced in place ----------------------------------------------------------


def streams(services, serials):
    product = "com.ubuntu.cloud:server:24.04:amd64"
    name = "com.ubuntu.cloud:released:download.json"
    services.put(STREAMS + "index.json", pretty({"index": {"x": {
        "datatype": "image-downloads", "path": "streams/v1/" + name, "products": [product]}}}))
    services.put(STREAMS + name, pretty({"products": {product: {
        "support_eol": "2999-05-31", "versions": {
            serial: {"items": {"disk1.img": {"path": f"server/{serial}.img", "sha256": sha256}}}
            for serial, sha256 in serials.items()}}}}))


def lock(folder, name, **members):
    text = json.dumps({"ingot_lock": 1, "epoch": 1795219200, "amd64": members})
    return write(folder / f"{name}.lock", text)


def test_serials(here, services):
    """Ubuntu's release/ folder does not say which serial it has: the locked digest does."""
    old, new = "a" * 64, "b" * 64
    recipe = write(here.folder / "site.yaml", "ingot: 1\nname: site\nbase: ubuntu-24.04\n")
    streams(services, {"20260101": old, "20261102": new, "20241004": "c" * 64})
    code, rows, done = here(recipe)
    base = rows["base ubuntu-24.04"]
    assert code == 0 and base["available"] == "20261102", done
    assert "no image is locked or fetched yet" in base["note"]
    plan = here.ingot.json("plan", recipe)[1]
    url = next(f["url"] for f in plan["fetch"] if f["why"] == "base image")
    lock(here.folder, "site", base={"url": url, "sha256": old, "bytes": 1, "verified": "first use"})
    code, rows, done = here(recipe)
    base = rows["base ubuntu-24.04"]
    assert code == 10 and base["current"] == "20260101" and base["sha256"] == new, done
    assert base["note"] == "supported until 2999-05-31"
    lock(here.folder, "site", base={"url": url, "sha256": new, "bytes": 1, "verified": "first use"})
    code, rows, done = here(recipe)
    assert code == 0 and rows["base ubuntu-24.04"]["current"] == "20261102", done


def test_replaced_in_place(here, wire):
    """The same URL, other checksums: known without any service, by the lock and by the cache."""
    first, second = b"first image", b"second image"
    url = wire.put("/pub/disk.img", first)
    sums = wire.put("/pub/SHA256SUMS", f"{digest(first)}  disk.img\n".encode())
    recipe = write(here.folder / "site.yaml", "ingot: 1\nname: site\nbase:\n"
                   f"  image: {url}\n  verify: {{checksums: {sums}}}\n  os: debian\n")
    code, rows, done = here(recipe)
    assert code == 0 and rows["base disk.img"]["note"] == "no image is locked or fetched yet", done
    lock(here.folder, "site", base={"url": url, "sha256": digest(first), "bytes": len(first),
                                    "verified": f"checksums {sums}"})
    code, rows, done = here(recipe)
    assert code == 0 and rows["base disk.img"]["current"] == f"sha256:{digest(first)[:12]}", done
    wire.put("/pub/SHA256SUMS", f"{digest(second)}  disk.img\n".encode(), Answer(etag='"second"'))
    code, rows, done = here(recipe)
    base = rows["base disk.img"]
    assert code == 10 and base["note"] == "the image was replaced at the same URL", done
    assert base["sha256"] == digest(second)
    wire.put("/pub/SHA256SUMS", b"", Answer(404, etag=None))
    code, rows, done = here(recipe)
    assert code == 5 and "SHA256SUMS" in rows["base disk.img"]["error"]["message"], done


# --- packages -----------------------------------------------------------------------------------


def index(**versions):
    """An APKINDEX.tar.gz. Nobody looks at its signature: nothing is installed from it."""
    text = "".join(f"C:Q1x\nP:{name.replace('_', '-')}\nV:{version}\nA:x86_64\nS:1\nI:1\n\n"
                   for name, version in versions.items()).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        member = tarfile.TarInfo("APKINDEX")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return out.getvalue()


def test_apk_packages(here, services, wire):
    recipe = write(here.folder / "site.yaml", "ingot: 1\nname: site\nbase: alpine-3.24\n"
                   "packages: [podman, tree]\n")
    code, rows, done = here(recipe)
    assert code == 0 and "run ingot lock" in rows["packages"]["note"], done
    main = f"{wire.url}/main/x86_64/APKINDEX.tar.gz"
    packages = [{"name": n, "version": v, "architecture": "x86_64", "size": 1, "sha256": "a" * 64,
                 "filename": f"{n}-{v}.apk", "automatic": n == "libx",
                 "url": f"{wire.url}/main/x86_64/{n}-{v}.apk"}
                for n, v in (("libx", "3.9-r0"), ("podman", "5.2.3-r0"), ("tree", "2.1-r9"))]
    lock(here.folder, "site", packages={
        "wanted": ["podman", "tree"], "present": [], "recommends": False, "base": "b" * 64,
        "packages": packages, "indexes": [{"url": main, "sha256": "c" * 64}]})
    services.put("/main/x86_64/APKINDEX.tar.gz",
                 index(libx="3.9-r0", podman="5.2.3-r0", tree="2.1-r9", other="9.9-r0"))
    code, rows, done = here(recipe)
    assert code == 0 and rows["packages"]["current"] == "3 locked", done
    services.put("/main/x86_64/APKINDEX.tar.gz", index(podman="5.2.10-r0", tree="2.1-r10"))
    code, rows, done = here(recipe)
    assert code == 10 and "packages" not in rows, done
    assert rows["package podman"]["available"] == "5.2.10-r0"
    assert rows["package tree"]["available"] == "2.1-r10"
    assert rows["package libx"]["note"] == "not in the indexes any more"
    services.put("/main/x86_64/APKINDEX.tar.gz", b"no archive")
    code, rows, done = here(recipe)
    assert code != 0 and code != 10 and "error" in rows["packages"], done


class AptRepository:
    """A signed repository with one package, in a local folder."""

    def __init__(self, folder):
        self.folder, self.key = folder, folder / "key.asc"
        home = folder / "gpg"
        home.mkdir(parents=True, mode=0o700)
        self.gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--yes"]
        run(*self.gpg, "--passphrase", "", "--quick-gen-key", "tests@example.invalid", "ed25519",
            "sign", "never")
        run(*self.gpg, "--armor", "--output", self.key, "--export", "tests@example.invalid")
        self.url = f"file://{folder}"

    def offer(self, version):
        control = (f"Package: example-tool\nVersion: {version}\nArchitecture: amd64\n"
                   "Maintainer: tests <tests@example.invalid>\nDescription: for the tests\n")
        write(self.folder / "tree/DEBIAN/control", control)
        deb = self.folder / f"example-tool_{version}_amd64.deb"
        run("dpkg-deb", "--root-owner-group", "-b", self.folder / "tree", deb)
        packages = write(self.folder / "dists/test/main/binary-amd64/Packages",
                         f"{control}Filename: {deb.name}\nSize: {deb.stat().st_size}\n"
                         f"SHA256: {sha256(deb)}\n\n")
        release = write(self.folder / "dists/test/Release",
                        "Origin: tests\nSuite: test\nCodename: test\nArchitectures: amd64\n"
                        "Components: main\nDate: Sat, 21 Nov 2026 00:00:00 UTC\nSHA256:\n"
                        f" {sha256(packages)} {packages.stat().st_size} "
                        "main/binary-amd64/Packages\n")
        run(*self.gpg, "--clearsign", "--output", release.with_name("InRelease"), release)
        return {"name": "example-tool", "version": version, "architecture": "amd64",
                "url": f"./apt/{deb.name}", "filename": deb.name, "automatic": False,
                "size": deb.stat().st_size, "sha256": sha256(deb)}

    def stop(self):
        run("gpgconf", "--homedir", self.folder / "gpg", "--kill", "all")


@pytest.fixture
def apt(tmp_path):
    made = AptRepository(tmp_path / "apt")
    yield made
    made.stop()


def test_apt_packages(there, apt):
    """apt itself says what it would take today; for that the base must be in the cache."""
    locked = apt.offer("1.9")
    recipe = there.recipe(more="packages: [example-tool]\npackage_repositories:\n"
                          f"  - apt: {{url: '{apt.url}', suite: test, components: [main], "
                          f"key: {apt.key}}}\n")
    lock(there.folder, "site", packages={
        "wanted": ["example-tool"], "present": [], "recommends": False, "base": "b" * 64,
        "packages": [locked], "indexes": [{"url": "./apt/dists/test/InRelease",
                                           "sha256": "c" * 64}]})

    def updates():
        done, document = there.ingot.json("updates", recipe)
        assert "updates" in document, done
        return done.code, {r["what"]: r for r in document["updates"]}, done

    code, rows, done = updates()
    assert code == 0 and "the base is not in the cache" in rows["packages"]["note"], done
    built = there.ingot("build", "-o", there.out, there.recipe(name="plain"))
    assert built.code == 0, built
    code, rows, done = updates()
    assert code == 0 and rows["packages"]["current"] == "1 locked", done
    apt.offer("1.10")
    code, rows, done = updates()
    tool = rows["package example-tool"]
    assert code == 10 and (tool["current"], tool["available"]) == ("1.9", "1.10"), done
    assert there.ingot.work_left() == []


def test_broken_lock(here):
    recipe = write(here.folder / "site.yaml", "ingot: 1\nname: site\nbase: alpine-3.24\n")
    write(here.folder / "site.lock", '{"ingot_lock": 1}')
    done = here.ingot("updates", recipe)
    assert done.code == 3 and "site.lock" in done.err, done


def test_services_are_pages_that_exist():
    """Every profile that names a service names one that this test answers for."""
    done = run("grep", "-rhoE", r"(releases|images|index|url): https://[^/]*/", ROOT / "recipes")
    for line in done.out.splitlines():
        assert line.split(": ", 1)[1] in SERVICES or line.startswith("url: https://github.com/"), line
