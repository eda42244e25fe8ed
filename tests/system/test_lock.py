"""NAME.lock: made by the first build, obeyed by every later one, completed by `ingot lock`."""

import json
import os
import shutil

import pytest

from bakes import ALPINE, bake
from helpers import Server, raw_of, run, sha256, write


def sources(url, *more):
    lines = [f'  - {{url: "{url}/tool", verify: {{checksums: "{url}/SHA256SUMS"}}, '
             'to: /usr/local/bin/tool, mode: "0755"}',
             f'  - {{url: "{url}/word", verify: lock, to: /etc/site/word}}', *more]
    return "sources:\n" + "\n".join(lines) + "\n"


def publish(folder, tool=b"tool, as it was", word=b"word, as it was"):
    (folder / "tool").write_bytes(tool)
    (folder / "word").write_bytes(word)
    (folder / "SHA256SUMS").write_text(f"{sha256(folder / 'tool')}  tool\n")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    publish(folder)
    server = Server(folder)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def locked(ingot, alpine, alpine_recipe, files, artifacts):
    """The first build of a recipe without a lock."""
    recipe = alpine_recipe("locked", sources(files.url))
    image = bake(ingot, recipe, artifacts / "out")
    image.lock = recipe.with_suffix(".lock")
    image.text = image.lock.read_text()
    return image


@pytest.fixture
def copy(locked, files):
    """Makes a recipe of its own with the same lock: copy("name", ("old", "new")…)."""
    made = []

    def make(name, *changes, lock=locked.text):
        text = locked.recipe.read_text().replace("name: locked", f"name: {name}")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        recipe = write(locked.recipe.with_name(f"{name}.yaml"), text)
        if lock is not None:
            write(recipe.with_suffix(".lock"), lock)
        made.append(recipe)
        return recipe

    yield make
    publish(files.folder)
    for recipe in made:
        recipe.unlink(missing_ok=True)
        recipe.with_suffix(".lock").unlink(missing_ok=True)


def section(recipe, arch="amd64"):
    return json.loads(recipe.with_suffix(".lock").read_text())[arch]


# --- the lock that a build makes ----------------------------------------------------------------


def test_first_build_says_what_it_trusted(locked, files):
    assert f"wrote {locked.lock}" in locked.said
    first = [l for l in locked.said.splitlines() if "first use: " in l]
    assert len(first) == 1 and f"{files.url}/word sha256 {sha256(files.folder / 'word')}" in first[0]


def test_what_is_in_it(locked, files, server):
    lock = json.loads(locked.text)
    assert lock["ingot_lock"] == 1 and lock["epoch"] % 86400 == 0
    amd64 = lock["amd64"]
    assert amd64["base"]["sha256"] == sha256(server.folder / ALPINE)
    assert amd64["base"]["bytes"] == (server.folder / ALPINE).stat().st_size
    assert amd64["base"]["verified"] == f"checksums {server.url}/{ALPINE}.sha512"
    assert amd64["sources"] == {
        f"{files.url}/tool": {"sha256": sha256(files.folder / "tool"), "bytes": 15,
                              "verified": f"checksums {files.url}/SHA256SUMS"},
        f"{files.url}/word": {"sha256": sha256(files.folder / "word"), "bytes": 15,
                              "verified": "first use"}}
    packages = amd64["packages"]
    assert packages["wanted"] == ["qemu-guest-agent"]
    agent, = packages["packages"]
    assert agent["name"] == "qemu-guest-agent" and agent["url"].startswith(f"{server.url}/agent/")
    assert agent["sha256"] == sha256(next((server.folder / "agent").rglob("*.apk")))
    index, = packages["indexes"]
    assert index["sha256"] == sha256(next((server.folder / "agent").rglob("APKINDEX.tar.gz")))
    # One line each, a newline at the end, no path of this host.
    assert locked.text.endswith("}\n")
    assert sum(f"{files.url}/tool\": {{" in l for l in locked.text.splitlines()) == 1
    assert str(locked.recipe.parent) not in locked.text


def test_unchanged_build_asks_nobody(ingot, locked, server, files):
    before = len(server.requests), len(files.requests)
    image = bake(ingot, locked.recipe, locked.folder.parent)
    assert image.document["changed"] is False
    image = bake(ingot, locked.recipe, locked.folder.parent, "--locked", "--force")
    assert (len(server.requests), len(files.requests)) == before
    assert locked.lock.read_text() == locked.text


def test_plan_says_what_holds(ingot, locked, copy):
    done, document = ingot.json("plan", locked.recipe)
    assert done.code == 0 and document["lock"] == {
        "path": str(locked.lock), "present": True, "differs": []}
    done = ingot("plan", copy("planned", lock=None))
    assert done.code == 0 and "there is no " in done.out, done
    assert not locked.recipe.with_name("planned.lock").exists()


def test_recipes_locked_on_one_day_share_layers(locked, alpine):
    assert locked.document["layers"]["system"] == alpine.document["layers"]["system"]


def test_package_is_not_the_one_of_the_signed_index(ingot, cache, copy, server):
    """Somebody on the way gives another package, of the same size, when it is locked."""
    forged = server.folder / "forged"
    shutil.copytree(server.folder / "agent", forged)
    package = next(forged.rglob("*.apk"))
    data = bytearray(package.read_bytes())
    data[-100] ^= 1
    package.write_bytes(data)
    recipe = copy("forged", (f"{server.url}/agent", f"{server.url}/forged"), lock=None)
    done = ingot("lock", recipe)
    assert done.code == 4 and "package qemu-guest-agent" in done.err, done
    assert "not the package that the signed package index lists" in done.err
    assert not recipe.with_suffix(".lock").exists()
    assert not list(cache.rglob(f"*{sha256(package)}*"))


# --- months later -------------------------------------------------------------------------------


def test_upstream_has_changed(ingot, locked, files, tmp_path):
    """Nobody is asked, so nobody's change matters: the same bytes."""
    publish(files.folder, b"another tool", b"another word")
    try:
        again = bake(ingot, locked.recipe, tmp_path / "out", "--locked")
    finally:
        publish(files.folder)
    assert sha256(again.disk) == sha256(locked.disk)


def test_upstream_is_gone(ingot, locked, server, files, tmp_path):
    """A mirror by digest, here the other cache's own folder, has what the lock names: nobody else
    is asked."""
    cache = tmp_path / "cache"
    cache.mkdir()
    other = ingot.with_(cache=cache)
    before = len(server.requests), len(files.requests)
    done = other("fetch", locked.recipe, "--locked", "--mirror", "sha256:=!/nonexistent/")
    assert done.code != 0 and "/nonexistent/" in done.err, done
    done = other("fetch", locked.recipe, "--locked", "--mirror",
                 f"sha256:=!{ingot.cache}/blobs/sha256/")
    assert done.code == 0, done
    assert (len(server.requests), len(files.requests)) == before


def test_fetch_then_offline(ingot, locked, server, files, tmp_path):
    """All that the lock names comes in one go into an empty cache; afterwards no network is needed,
    and there is none."""
    cache = tmp_path / "cache"
    cache.mkdir()
    other = ingot.with_(cache=cache)
    done, document = other.json("fetch", locked.recipe, "--locked")
    assert done.code == 0, done
    got = {f["what"]: f for f in document["recipes"][0]["files"]}
    assert sorted(got) == ["base", "index", "package", "source"]
    for f in document["recipes"][0]["files"]:
        assert sha256(f["path"]) == f["sha256"]
    assert not list(cache.glob("layers/?*"))  # the base was not even looked at
    before = len(server.requests), len(files.requests)
    alone = other.with_(prefix=["unshare", "-n"]) if os.geteuid() == 0 else other
    done = alone("fetch", locked.recipe, "--locked", "--offline")
    assert done.code == 0, done
    assert (len(server.requests), len(files.requests)) == before
    assert locked.lock.read_text() == locked.text


# --- drift --------------------------------------------------------------------------------------

TOOL = "/tool\", verify: {checksums: "

DRIFT = [
    # what is changed in the recipe, words of the message
    (("to: /etc/site/word}\n", "to: /etc/site/word}\n  - {url: \"https://dl.example/more\", verify: "
      "lock, to: /etc/more}\n"), ["https://dl.example/more is not in it"]),
    (("/word\", verify", "/other-word\", verify"), ["/other-word is not in it",
                                                  "/word is in it, and no longer asked for"]),
    (("verify: lock", "verify: {sha256: " + "0" * 64 + "}"), ["0" * 64, "--update word"]),
    (("verify: lock", "verify: {checksums: \"https://dl.example/SUMS\"}"),
     ["/word is to be verified otherwise", "first use"]),
    ((f"{ALPINE}\n", "other.qcow2\n"), ["the base is ", f"{ALPINE} in it"]),
    (("boot: {", "packages: [nginx, curl]\nboot: {"), ["the package nginx is not in it",
                                                      "the package curl is not in it"]),
    (("boot: {", "recommends: true\npackages: [musl]\nboot: {"), ["the package musl is not in it"]),
    (("/agent, key", "/agent2, key"), ["package repositories or their keys are others"]),
    (("/SHA256SUMS\"}, to: /usr/local/bin/tool", "/other.sums\"}, to: /usr/local/bin/tool"),
     ["/tool is to be verified otherwise", "/SHA256SUMS)"]),
]


@pytest.mark.parametrize("change, words", DRIFT, ids=[str(i) for i in range(len(DRIFT))])
def test_locked_refuses(ingot, copy, server, files, tmp_path, change, words):
    recipe = copy("drift", change)
    before = recipe.with_suffix(".lock").read_text(), len(server.requests), len(files.requests)
    done = ingot("build", recipe, "--locked", "-o", tmp_path)
    assert done.code == 4 and "drift.lock" in done.err, done
    for word in words:
        assert word in done.err, (word, done)
    assert before == (recipe.with_suffix(".lock").read_text(), len(server.requests),
                      len(files.requests))
    assert not list(tmp_path.iterdir())


def test_locked_lists_all_at_once(ingot, copy, tmp_path):
    recipe = copy("drift", *(DRIFT[i][0] for i in (1, 4, 5)))
    done = ingot("build", recipe, "--locked", "-o", tmp_path)
    assert done.code == 4, done
    for i in (1, 4, 5):
        assert all(word in done.err for word in DRIFT[i][1]), done


@pytest.mark.parametrize("text, code, words", [
    (None, 4, "there is no "), ("{}\n", 3, "no lock"), ("", 3, "not valid JSON"),
    ('{"ingot_lock": 2, "epoch": 1}\n', 12, "newer ingot"),
    ('{"ingot_lock": 1, "epoch": 1}\n', 4, "says nothing of amd64"),
    ('{"ingot_lock": 1, "epoch": 1, "amd64": {"sauces": {}}}\n', 3, "'sauces'")])
def test_locked_needs_a_good_lock(ingot, copy, tmp_path, text, code, words):
    done = ingot("build", copy("bad", lock=text), "--locked", "-o", tmp_path)
    assert done.code == code and words in done.err, done


def test_contradiction_without_locked(ingot, copy):
    """Both digests are named, and the way out."""
    recipe = copy("contradicts", ("verify: lock", f"verify: {{sha256: {'1' * 64}}}"))
    done, document = ingot.json("lock", recipe)
    assert done.code == 4 and document["error"]["kind"] == "trust", done
    message = document["error"]["message"]
    assert "1" * 64 in message and section(recipe)["sources"].popitem()[1]["sha256"] in message
    assert "--update word" in message


def test_overrides(ingot, locked, tmp_path):
    done = ingot("build", locked.recipe, "--locked", "--set", "boot.cpus=2", "-o", tmp_path)
    assert done.code == 4 and "takes no overrides" in done.err, done
    other = ingot.with_(SOURCE_DATE_EPOCH="1000000000")
    done = other("build", locked.recipe, "--locked", "-o", tmp_path)
    assert done.code == 4 and "SOURCE_DATE_EPOCH is 1000000000" in done.err, done
    done = ingot.with_(INGOT_SET_boot__cpus="2")("lock", locked.recipe)
    assert done.code == 4 and "INGOT_SET_" in done.err, done
    # It is used where it fits, and not written where it does not.
    image = bake(ingot, locked.recipe, tmp_path, "--offline", "--set", "boot.cpus=2")
    assert sha256(image.disk) == sha256(locked.disk)
    done = ingot("plan", locked.recipe, "--set", "packages=[nginx]")
    assert done.code == 0 and "nginx is not in it" in done.out, done
    assert locked.lock.read_text() == locked.text


def test_read_only_folder(ingot, copy, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    recipe = copy("readonly", lock=None)
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    alone = ingot.with_(prefix=["unshare", "-m", "sh", "-c", script, recipe.parent])
    image = bake(alone, recipe, tmp_path)
    assert "readonly.lock is not written" in image.said and "next time" in image.said
    assert not recipe.with_suffix(".lock").exists()


# --- what is new, what is renewed ---------------------------------------------------------------


def lock(ingot, recipe, *options):
    done, document = ingot.json("lock", recipe, *options)
    assert done.code == 0, done
    report, = document["locks"]
    report["said"] = done.err
    return report


def test_only_what_is_new_is_asked_for(ingot, copy, locked, files):
    recipe = copy("more", ("to: /etc/site/word}\n", "to: /etc/site/word}\n"
                           f'  - {{url: "{files.url}/SHA256SUMS", verify: lock, to: /etc/sums}}\n'))
    publish(files.folder, b"another tool", b"another word")
    before = len(files.requests)
    report = lock(ingot, recipe)
    url = f"{files.url}/SHA256SUMS"
    assert report["changes"] == [{"what": "source", "name": url,
                                  "to": sha256(files.folder / "SHA256SUMS")}]
    assert len(report["first_use"]) == 1 and "added to more.lock: source" in report["said"]
    assert files.requests[before:] == ["/SHA256SUMS"]
    # And when it is no longer asked for, the lock is what it was.
    recipe.write_text(locked.recipe.read_text())
    report = lock(ingot, recipe)
    assert [c["name"] for c in report["changes"]] == [url] and "to" not in report["changes"][0]
    assert "no longer needed" in report["said"]
    assert recipe.with_suffix(".lock").read_text() == locked.text


@pytest.mark.parametrize("names, changed", [
    ([], []), (["--update", "tool"], ["tool"]), (["--update", "word"], ["word"]),
    (["--update", "sources"], ["tool", "word"]), (["--update", "base"], []),
    (["--update", ALPINE], [])])
def test_update(ingot, copy, files, names, changed):
    recipe = copy("update")
    before = section(recipe)["sources"]
    publish(files.folder, b"another tool", b"another word")
    report = lock(ingot, recipe, *names)
    assert [c["name"].rsplit("/", 1)[1] for c in report["changes"]] == changed
    for change in report["changes"]:
        name = change["name"].rsplit("/", 1)[1]
        assert change["from"] == before[change["name"]]["sha256"]
        assert change["to"] == sha256(files.folder / name)
        assert section(recipe)["sources"][change["name"]]["sha256"] == change["to"]
    assert report["changed"] == bool(changed)


def test_update_of_nothing(ingot, copy):
    done = ingot("lock", copy("update"), "--update", "nonsense")
    assert done.code == 3 and "'nonsense'" in done.err, done


def test_verified_otherwise(ingot, copy, files):
    """What nobody looked at when it was locked is looked at, and has to be what was locked."""
    word = files.folder / "word"
    for name in ("good", "bad"):
        if name == "bad":
            word.write_bytes(b"another word")
        write(files.folder / f"{name}.sums", f"{sha256(word)}  word\n")
    word.write_bytes(b"word, as it was")
    recipe = copy("strict", ("verify: lock", f'verify: {{checksums: "{files.url}/good.sums"}}'))
    assert lock(ingot, recipe)["changed"]
    assert section(recipe)["sources"][f"{files.url}/word"]["verified"].startswith("checksums ")
    word.write_bytes(b"another word")
    recipe = copy("strict", ("verify: lock", f'verify: {{checksums: "{files.url}/bad.sums"}}'))
    done = ingot("lock", recipe)
    assert done.code == 4 and sha256(word) in done.err and "--update word" in done.err, done


def test_packages(ingot, debian, site):
    """A new package is added to those that are locked, and nothing else moves."""
    old = site / "debian.lock"
    recipe = write(site / "debian-more.yaml", debian.recipe.read_text()
                   .replace("packages: [tree]", "packages: [tree, jq]"))
    shutil.copyfile(old, recipe.with_suffix(".lock"))
    report = lock(ingot, recipe)
    names = [c["name"] for c in report["changes"]]
    assert "jq" in names and "tree" not in names and {c["what"] for c in report["changes"]} == {
        "package"} and not any(c.get("from") for c in report["changes"])
    before, after = (json.loads(p.read_text())["amd64"] for p in (old, recipe.with_suffix(".lock")))
    assert after["base"] == before["base"]
    assert after["packages"]["wanted"] == ["jq", "tree"]
    kept = [p for p in after["packages"]["packages"] if p["name"] not in names]
    assert kept == before["packages"]["packages"]
    # It goes again, with what it alone needed.
    recipe.write_text(debian.recipe.read_text())
    report = lock(ingot, recipe)
    assert sorted(c["name"] for c in report["changes"]) == sorted(names)
    assert json.loads(recipe.with_suffix(".lock").read_text())["amd64"]["packages"]["packages"] == \
        before["packages"]["packages"]


# --- another architecture -----------------------------------------------------------------------


def test_arm64_is_locked_and_fetched_anywhere(ingot, locked, server, files, tmp_path):
    folder = tmp_path / "www"
    folder.mkdir()
    disk = raw_of(server.folder / ALPINE, folder / "arm.raw")
    write(tmp_path / "arch", "aarch64\n")
    for request in ("rm /etc/apk/arch", f"write {tmp_path / 'arch'} /etc/apk/arch"):
        run("debugfs", "-w", "-R", request, disk)
    recipe = write(tmp_path / "arm.yaml", "ingot: 1\nname: arm\narch: arm64\n"
                   f"base: {{image: {disk}, verify: {{sha256: {sha256(disk)}}}, os: alpine, "
                   "seed: tiny-cloud, user: alpine}\n" + sources(files.url))
    report = lock(ingot, recipe)
    assert report["arch"] == "arm64" and report["complete"] is False
    assert "takes a host of arm64" in report["said"]
    arm64 = section(recipe, "arm64")
    assert arm64["base"]["url"] == "./www/arm.raw" and len(arm64["sources"]) == 2
    done, document = ingot.json("fetch", recipe)
    assert done.code == 0 and {f["what"] for f in document["recipes"][0]["files"]} == {
        "base", "source"}
    assert ingot("plan", recipe).code == 0
    done = ingot("build", recipe, "-o", tmp_path / "out")
    assert done.code == 6 and "host of that architecture" in done.err, done
