"""Bundles: out of a build, over the gap, in again. The judges are tar, sha256sum, cat, ssh-keygen and
gpg."""

import io
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tarfile
import time

import pytest

from fetching import source
from helpers import environment, run, sha256, write
from keys import Keys
from libvirtd import Done
from test_boot import WAIT, Boot

THING = b"a thing\n" * 300000


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    made = Keys(tmp_path_factory.mktemp("gpg"))
    made.make("release")
    made.make("other")
    for name in ("release", "other"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made.folder / name)
    yield made
    made.stop()


@pytest.fixture
def carry(build, there):
    """A site with a build in out/site, and ingot-boot without a libvirt."""
    there.thing = write(there.folder / "files/thing", THING.decode())
    over = there.folder / "overlays/mine"
    write(over / "etc/mine/run", "#!/bin/sh\n", 0o755)
    write(over / "etc/mine/note", "a note\n")
    os.symlink("note", over / "etc/mine/link")
    (over / "var/empty").mkdir(parents=True)
    write(over / "usr/share/licenses/mine/LICENSE", "Do what you want.\n")
    write(there.folder / "COPYING", "The recipe is free.\n")
    there.path = there.recipe(source(f"file://{there.thing}", THING), more="overlays: [mine]\n")
    there.boot = lambda *a, **more: Done(subprocess.run(
        [build / "bin/ingot-boot", *map(str, a)], capture_output=True, text=True, cwd=there.folder,
        stdin=subprocess.DEVNULL, env=environment(HOME=there.home, **more)))
    return there


def built(site, ingot=None):
    done = (ingot or site.ingot)("build", site.path, "-o", site.out)
    assert done.code == 0, done
    return site.out / "site"


def create(site, what, name="b.bundle", *options, code=0, **env):
    done = site.ingot.with_(**env)("bundle", "create", what, "-o", site.folder / name, *options)
    assert done.code == code, done
    return site.folder / name if code == 0 else done


def tree(folder):
    """Every file below a folder, with its digest, mode and target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "link" if path.is_symlink() else "dir" if path.is_dir() else "file"
        found[str(path.relative_to(folder))] = (
            kind, os.readlink(path) if kind == "link" else sha256(path) if kind == "file" else "",
            path.stat().st_mode & 0o111 if kind == "file" else 0)
    return found


# --- artifacts ----------------------------------------------------------------------------------


def test_artifact_there_and_back(carry):
    folder = built(carry)
    first = create(carry, folder, "first")
    second = create(carry, folder, "second")
    assert first.read_bytes() == second.read_bytes()
    names = run("tar", "-tf", first).out.split()
    assert names[0] == "manifest.json" and names[1:] == sorted(names[1:])
    assert {"site/image.json", "site/SHA256SUMS", "site/site-amd64.qcow2", "site/recipe/site.yaml",
            "site/recipe/site.lock", "site/licences/COPYING",
            "site/licences/overlays/mine/usr/share/licenses/mine/LICENSE"} <= set(names)
    by_hand = carry.folder / "by-hand"
    by_hand.mkdir()
    run("tar", "-xf", first, "-C", by_hand)
    run("sha256sum", "--strict", "-c", "SHA256SUMS", cwd=by_hand / "site")
    manifest = json.loads((by_hand / "manifest.json").read_text())
    for member in manifest["members"]:
        path = by_hand / member["path"]
        assert (path.stat().st_size, sha256(path)) == (member["bytes"], member["sha256"])
    done = carry.boot("bundle", "verify", first, "--json")
    assert done.code == 0 and json.loads(done.out)["members"] == len(manifest["members"]), done
    done = carry.boot("bundle", "ls", first)
    assert done.code == 0 and "site/image.json" in done.out, done
    assert carry.ingot.json("inspect", first)[1]["kind"] == "artifacts"
    for program in (carry.boot, carry.ingot):
        to = carry.folder / f"to{id(program)}"
        done = program("bundle", "import", first, "--to", to)
        assert done.code == 0 and done.out.strip() == str(to / "site"), done
        assert "needs " in done.err
        assert tree(to / "site") == tree(by_hand / "site")
        assert [p.name for p in to.iterdir()] == ["site"]
        done = program("bundle", "import", first, "--to", to)
        assert done.code == 0 and "already" in done.err, done
        write(to / "site/image.json", "{}")
        done = program("bundle", "import", first, "--to", to)
        assert done.code == 11 and "image.json" in done.err, done


def test_folder_that_is_not_what_it_was(carry):
    folder = built(carry)
    disk = folder / "site-amd64.qcow2"
    with open(disk, "r+b") as f:
        f.seek(-1, os.SEEK_END)
        last = f.read(1)
        f.seek(-1, os.SEEK_END)
        f.write(bytes([last[0] ^ 1]))
    done = create(carry, folder, "b", code=4)
    assert "site-amd64.qcow2" in done.err and not (carry.folder / "b").exists()
    (folder / "SHA256SUMS").unlink()
    create(carry, folder, "b", code=3)


def test_recipe_that_was_changed_is_left_out(carry):
    folder = built(carry)
    write(carry.path, carry.path.read_text() + "# later\n")
    done = carry.ingot("bundle", "create", folder, "-o", carry.folder / "b")
    assert done.code == 0 and "site.yaml was changed since" in done.err, done
    assert "recipe" not in run("tar", "-tf", carry.folder / "b").out
    named = create(carry, folder, "c", "--recipe", carry.path)
    assert "site/recipe/site.yaml" in run("tar", "-tf", named).out


def test_several_artifacts(carry, tmp_path):
    folder = built(carry)
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    done = carry.ingot.json("bundle", "create", folder, other, "-o", carry.folder / "b")[1]
    assert done["names"] == ["site", "other"] and done["files"] == [str(carry.folder / "b")]
    assert create(carry, folder, "b", code=11)
    done = carry.boot("bundle", "import", "b", "--to", "to")
    assert done.code == 0 and len(done.out.split()) == 2, done


# --- parts --------------------------------------------------------------------------------------


def test_parts(carry):
    folder = built(carry)
    whole = create(carry, folder, "whole")
    create(carry, folder, "parts", "--split", "64KiB")
    parts = sorted(carry.folder.glob("parts.*"))
    assert len(parts) > 2 and {p.stat().st_size for p in parts[:-1]} == {64 << 10}
    joined = carry.folder / "joined"
    with open(joined, "wb") as out:
        subprocess.run(["cat", *parts], stdout=out, check=True)
    assert joined.read_bytes() == whole.read_bytes()
    for name in ("parts.001", "parts"):
        assert carry.boot("bundle", "verify", name).code == 0
    done = carry.boot("bundle", "import", "parts.001", "--to", "to")
    assert done.code == 0, done
    parts[1].rename(carry.folder / "away")
    done = carry.boot("bundle", "import", "parts", "--to", "other")
    assert done.code == 5 and "parts.002 is missing" in done.err, done
    shutil.copy(parts[2], parts[1])
    done = carry.boot("bundle", "import", "parts", "--to", "other")
    assert done.code in (3, 4) and not list((carry.folder / "other").iterdir()), done


# --- signatures ---------------------------------------------------------------------------------


def unpack(bundle, folder):
    folder.mkdir()
    run("tar", "-xf", bundle, "-C", folder)
    return folder


def test_signed_by_openssh(carry, keys):
    folder = built(carry)
    signed = create(carry, folder, "signed", "--sign-key", keys.folder / "release")
    assert run("tar", "-tf", signed).out.split()[1] == "manifest.json.sig"
    by_hand = unpack(signed, carry.folder / "by-hand")
    signers = write(carry.folder / "signers",
                    "release@tests " + (keys.folder / "release.pub").read_text())
    with open(by_hand / "manifest.json") as manifest:
        run("ssh-keygen", "-Y", "verify", "-n", "ingot-bundle", "-I", "release@tests", "-f", signers,
            "-s", by_hand / "manifest.json.sig", stdin=manifest)
    key = keys.folder / "release.pub"
    done = carry.boot("bundle", "verify", signed, "--key", key, "--json")
    assert done.code == 0 and json.loads(done.out)["signature_check"] == "good", done
    assert carry.boot("bundle", "import", signed, "--key", key, "--to", "to").code == 0
    assert carry.ingot("bundle", "import", signed, "--key", key, "--to", carry.folder / "t").code == 0
    done = carry.boot("bundle", "verify", signed)
    assert done.code == 0 and "not checked" in done.out and "--key" in done.err, done
    for command in (("verify",), ("import", "--to", "never")):
        done = carry.boot("bundle", command[0], signed, "--key", keys.folder / "other.pub",
                          *command[1:])
        assert done.code == 4, done
    assert not (carry.folder / "never").exists()
    plain = create(carry, folder, "plain")
    done = carry.boot("bundle", "verify", plain, "--key", key)
    assert done.code == 4 and "not signed" in done.err, done


def test_signed_by_openpgp(carry, keys):
    folder = built(carry)
    signed = create(carry, folder, "signed", "--sign-key", keys["release"], GNUPGHOME=keys.home)
    by_hand = unpack(signed, carry.folder / "by-hand")
    keys.gpg("--verify", by_hand / "manifest.json.asc", by_hand / "manifest.json")
    key = ("--key", keys.file("release", "other"))
    done = carry.boot("bundle", "verify", signed, *key, "--fingerprint", keys["release"])
    assert done.code == 0 and "signature good" in done.out, done
    done = carry.boot("bundle", "verify", signed, *key, "--fingerprint", keys["other"])
    assert done.code == 4, done
    done = carry.boot("bundle", "verify", signed, *key, "--fingerprint", keys["release"][-16:])
    assert done.code != 0, done
    done = carry.boot("bundle", "verify", signed, *key)
    assert done.code == 2 and "--fingerprint" in done.err, done


def test_signature_of_another_manifest(carry, keys):
    """A manifest that was changed behind its signature, with the members that it then names."""
    folder = built(carry)
    signed = create(carry, folder, "signed", "--sign-key", keys.folder / "release")
    members = []
    with tarfile.open(signed) as tar:
        for member in tar:
            members.append((member, tar.extractfile(member).read()))
    manifest = members[0][1].replace(b', "epoch": ', b',  "epoch":')
    assert manifest != members[0][1]
    with tarfile.open(carry.folder / "changed", "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, data in members:
            data = manifest if member.name == "manifest.json" else data
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    changed = carry.folder / "changed"
    os.truncate(changed, signed.stat().st_size)
    done = carry.boot("bundle", "verify", changed)
    assert done.code == 0, done
    done = carry.boot("bundle", "verify", changed, "--key", keys.folder / "release.pub")
    assert done.code == 4 and "signature" in done.err, done


# --- secrets ------------------------------------------------------------------------------------

HASH = "$6$salt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"


def with_password(site):
    write(site.folder / "hash", HASH + "\n", 0o600)
    base = f"{{image: {site.base}, verify: {{sha256: {sha256(site.base)}}}, os: debian, " \
           "seed: cloud-init, user: someone}"
    site.path = site.recipe(base=base, more="boot: {password: {file: hash}}\n")
    return built(site)


def test_seed_with_a_password(carry):
    folder = with_password(carry)
    image = json.loads((folder / "image.json").read_text())
    assert image["seed"]["secret"] is True
    done = create(carry, folder, "b", code=3)
    assert "--with-secrets" in done.err and "--without-seed" in done.err
    assert HASH not in done.err and not (carry.folder / "b").exists()
    without = unpack(create(carry, folder, "b", "--without-seed"), carry.folder / "without")
    assert sorted(p.name for p in (without / "site").iterdir() if p.is_file()) == [
        "SHA256SUMS", "image.json", "site-amd64.qcow2"]
    run("sha256sum", "--strict", "-c", "SHA256SUMS", cwd=without / "site")
    image = json.loads((without / "site/image.json").read_text())
    assert [f["role"] for f in image["files"]] == ["disk"] and "secret" not in image["seed"]
    assert carry.ingot("inspect", without / "site").code == 0
    everything = create(carry, folder, "c", "--with-secrets")
    assert carry.boot("bundle", "import", everything, "--to", "to").code == 0
    assert (carry.folder / "to/site/site-cidata.iso").stat().st_mode & 0o777 == 0o600
    # An image.json that does not say it: the ISO is looked into.
    image = json.loads((folder / "image.json").read_text())
    del image["seed"]["secret"]
    sums = (folder / "SHA256SUMS").read_text()
    before = sha256(folder / "image.json")
    write(folder / "image.json", json.dumps(image))
    write(folder / "SHA256SUMS", sums.replace(before, sha256(folder / "image.json")))
    done = create(carry, folder, "d", code=3)
    assert "passwd" in done.err, done


def test_disk_with_secrets(carry):
    folder = built(carry)
    image = json.loads((folder / "image.json").read_text())
    image["contains_secrets"] = True
    before = sha256(folder / "image.json")
    write(folder / "image.json", json.dumps(image))
    sums = (folder / "SHA256SUMS").read_text()
    write(folder / "SHA256SUMS", sums.replace(before, sha256(folder / "image.json")))
    done = create(carry, folder, "b", code=3)
    assert "--with-secrets" in done.err, done
    create(carry, folder, "b", "--with-secrets")


def test_sources_with_a_password(carry):
    write(carry.folder / "hash", HASH + "\n", 0o600)
    portable(carry, more="boot: {password: {file: hash}}\n", seed="cloud-init")
    done = create(carry, carry.path, "b", "--sources", code=3)
    assert "--with-secrets" in done.err and HASH not in done.err, done


# --- sources ------------------------------------------------------------------------------------


def portable(site, *sources, more="", seed="none"):
    """A recipe that names what is on this host relative to itself."""
    shutil.copy(site.base, site.folder / "files/base.qcow2")
    write(site.folder / "bases/mine.yaml", f"""summary: mine
os: debian
init: systemd
seed: {seed}
user: someone
images:
  amd64:
    image: ../files/base.qcow2
    verify: {{sha256: {sha256(site.base)}}}
    format: qcow2
    firmware: bios
""")
    site.path = site.recipe(*sources, base="mine", more=more)


def test_sources_build_the_same_inside(carry, tmp_path):
    done = create(carry, carry.path, "s.bundle", "--sources", code=3)
    assert "relative to the recipe" in done.err, done
    portable(carry, source("files/thing", THING), more="overlays: [mine]\n")
    folder = built(carry)
    bundle = create(carry, carry.path, "s.bundle", "--sources", "--split", "1MiB")
    again = create(carry, carry.path, "t.bundle", "--sources")
    assert again.read_bytes() == b"".join(
        p.read_bytes() for p in sorted(carry.folder.glob("s.bundle.*")))
    done = carry.boot("bundle", "verify", bundle)
    assert done.code == 0, done
    inside = carry.ingot.with_(cache=tmp_path / "inside", prefix=["unshare", "-n"],
                               INGOT_PATH="/nowhere")
    gap = tmp_path / "gap"
    gap.mkdir()
    done, report = inside.json("bundle", "import", bundle, cwd=gap)
    assert done.code == 0 and report["blobs_added"] >= 1, done
    assert report["folders"] == [str(gap / "site")]
    overlay = gap / "site/overlays/mine"
    assert tree(overlay) == tree(carry.folder / "overlays/mine")
    shutil.rmtree(carry.folder / "files")
    done = inside("build", "site/site.yaml", "--locked", "--offline", cwd=gap)
    assert done.code == 0, done
    assert (gap / "out/site/SHA256SUMS").read_text() == (folder / "SHA256SUMS").read_text()
    done, report = inside.json("bundle", "import", bundle, cwd=gap)
    assert done.code == 0 and report["blobs_added"] == 0, done


def test_sources_found_by_name(carry, tmp_path):
    """A profile and an overlay of a project that INGOT_PATH names, an image from a mirror."""
    project, www, inside = (tmp_path / n for n in ("project", "www", "inside"))
    www.mkdir()
    shutil.copy(carry.base, www / "base.qcow2")
    portable(carry)
    text = (carry.folder / "bases/mine.yaml").read_text()
    (carry.folder / "bases/mine.yaml").unlink()
    write(project / "recipes/bases/theirs.yaml",
          text.replace("../files/base.qcow2", "https://images.example/base.qcow2"))
    write(project / "overlays/shared/common/etc/shared", "shared\n")
    write(project / "overlays/shared/systemd/etc/systemd/system/x.conf", "x\n")
    os.symlink("/dev/null", project / "overlays/shared/systemd/etc/systemd/system/y.service")
    carry.path = carry.recipe(base="theirs", more="overlays: [shared]\n")
    outside = carry.ingot.with_(INGOT_PATH=project / "recipes",
                                INGOT_MIRROR=f"https://images.example/=!{www}/")
    folder = built(carry, outside)
    done = outside("bundle", "create", "--sources", carry.path, "-o", carry.folder / "s")
    assert done.code == 0, done
    assert {"recipe/bases/theirs.yaml", "recipe/overlays/shared/common/etc/shared",
            "recipe/site.lock"} <= set(run("tar", "-tf", carry.folder / "s").out.split())
    alone = carry.ingot.with_(cache=inside / "cache", prefix=["unshare", "-n"], INGOT_PATH="/none")
    done = alone("bundle", "import", carry.folder / "s", "--to", inside / "here")
    assert done.code == 0, done
    done = alone("build", inside / "here/site.yaml", "--locked", "--offline", "-o", inside / "out")
    assert done.code == 0, done
    assert (inside / "out/site/SHA256SUMS").read_text() == (folder / "SHA256SUMS").read_text()


@pytest.mark.slow
def test_packages_installed_inside(ingot, alpine_recipe, server, site, tmp_path):
    """Alpine with a package, locked outside, installed where there is no network."""
    shutil.copy(server.key, site)
    path = alpine_recipe("gapped")
    write(path, path.read_text().replace(str(server.key), server.key.name))
    outside = ingot.with_(cache=tmp_path / "outside")
    done = outside("bundle", "create", "--sources", path, "-o", tmp_path / "s")
    assert done.code == 0, done
    inside = ingot.with_(cache=tmp_path / "inside", prefix=["unshare", "-n"], INGOT_PATH="/none")
    done = inside("bundle", "import", tmp_path / "s", "--to", tmp_path / "recipe")
    assert done.code == 0, done
    done = inside("build", tmp_path / "recipe/gapped.yaml", "--locked", "--offline", "-o", tmp_path)
    assert done.code == 0, done
    image = json.loads((tmp_path / "gapped/image.json").read_text())
    assert "qemu-guest-agent" in [p["name"] for p in image["packages"]]


def test_file_outside_of_the_recipe(carry, tmp_path):
    write(carry.folder.parent / "outside.txt", "x\n")
    portable(carry, more="files: [{path: /etc/x, source: ../outside.txt}]\n")
    done = create(carry, carry.path, "b", "--sources", code=3)
    assert "outside.txt" in done.err and "move it" in done.err, done


def test_artifacts_are_not_sources(carry):
    portable(carry)
    bundle = create(carry, carry.path, "s.bundle", "--sources")
    done = carry.boot("bundle", "import", bundle, "--to", "to")
    assert done.code == 3 and "ingot bundle import" in done.err, done
    assert carry.boot("bundle", "ls", bundle).code == 0


# --- killed, out of space -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An artifact with enough in it to be killed over."""
    folder = tmp_path_factory.mktemp("large") / "large"
    folder.mkdir()
    files = []
    for number in range(12):
        path = folder / f"disk{number}.raw"
        path.write_bytes(random.Random(number).randbytes(3 << 20))
        files.append({"role": "disk", "name": path.name, "format": "raw", "bytes": 3 << 20,
                      "sha256": sha256(path)})
    image = {"contract": 1, "requires": [], "name": "large", "arch": "amd64", "firmware": "bios",
             "files": files}
    write(folder / "image.json", json.dumps(image))
    run("sh", "-c", "sha256sum disk* image.json > SHA256SUMS", cwd=folder)
    return folder


def kill_at_random(command, env, cwd, seconds, seed):
    process = subprocess.Popen(list(map(str, command)), env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(0.005, seconds))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


TIMES = 50 if os.environ.get("INGOT_TEST_SLOW") else 5


def test_killed_import_goes_on(carry, large):
    bundle = create(carry, large, "b")
    to = carry.folder / "to"
    command = [carry.ingot.program.parent / "ingot-boot", "bundle", "import", bundle, "--to", to]
    env = environment(HOME=carry.home)
    start = time.monotonic()
    run(*command)
    seconds = time.monotonic() - start
    killed = 0
    for attempt in range(TIMES):
        shutil.rmtree(to)
        for again in range(3):
            if not kill_at_random(command, env, carry.folder, seconds, attempt * 3 + again):
                break
            killed += 1
            # Nothing under its name that is not whole.
            if (to / "large").exists():
                run("sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS", cwd=to / "large")
        run(*command)
        run("sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS", cwd=to / "large")
        assert [p.name for p in to.iterdir()] == ["large"]
    assert killed > 0


def test_killed_create_leaves_nothing(carry, large):
    target = carry.folder / "made"
    target.mkdir()
    command = [carry.ingot.program, "bundle", "create", large, "-o", target / "b", "--split", "8MiB"]
    env = carry.ingot.environment()
    start = time.monotonic()
    run(*command[:4], "-o", carry.folder / "c")
    seconds = time.monotonic() - start
    killed = 0
    for attempt in range(TIMES):
        killed += kill_at_random(command, env, carry.folder, seconds, attempt)
        left = sorted(p.name for p in target.iterdir())
        # The first part comes last: it is there only if all are.
        assert "b.001" not in left or carry.boot("bundle", "verify", target / "b").code == 0, left
        assert not [n for n in left if n.startswith(".")], left
        for name in left:
            (target / name).unlink()
    assert killed > 0
    done = carry.ingot(*command[1:])
    assert done.code == 0 and carry.boot("bundle", "verify", target / "b").code == 0, done


def test_two_imports_at_once(carry, large):
    bundle = create(carry, large, "b")
    command = [carry.ingot.program.parent / "ingot-boot", "bundle", "import", bundle, "--to",
               carry.folder / "to"]
    both = [subprocess.Popen(command, env=environment(HOME=carry.home), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    for process in both:
        assert process.wait() == 0, process.communicate()
        process.communicate()
    run("sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS", cwd=carry.folder / "to/large")
    assert [p.name for p in (carry.folder / "to").iterdir()] == ["large"]


def test_no_space_is_said_before(carry, large, tmp_path):
    bundle = create(carry, large, "b")
    small = tmp_path / "small"
    small.mkdir()
    done = run("unshare", "-m", "sh", "-c", f"mount -t tmpfs -o size=8m tmpfs {small}; "
               f"{carry.ingot.program.parent / 'ingot-boot'} bundle import {bundle} --to {small}/to; "
               f"echo code $?; find {small}/to -mindepth 1", check=False)
    if "mount" in done.err and "permitted" in done.err:
        pytest.skip("no file system can be mounted here")
    assert done.out.split("\n")[0] == "code 7" and done.out.strip() == "code 7", done
    assert "are free" in done.err


# --- hostile ones (the whole list is in tests/unit/test_bundle.c) ---------------------------------


def craft(path, manifest, members):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data, more in [("manifest.json", manifest, {}), *members]:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(data), 1704067200, 0o644
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    size = sum(512 + (len(d) + 511) // 512 * 512 for d in [manifest, *(m[1] for m in members)])
    os.truncate(path, size + 1024)
    return path


def manifest(*members, **more):
    document = {"bundle": 1, "requires": [], "kind": "artifacts", "epoch": 1704067200, "names": ["t"],
                "members": [{"path": p, "bytes": len(d), "sha256": run(
                    "sh", "-c", "printf %s \"$1\" | sha256sum", "sh", d.decode()).out.split()[0]}
                    for p, d in members], **more}
    return json.dumps(document).encode()


A = ("t/a", b"text")


@pytest.mark.parametrize("text, members, code, words", [
    (manifest(("../../x", b"text")), [("../../x", b"text", {})], 3, "`..`"),
    (manifest(("/tmp/x", b"text")), [("/tmp/x", b"text", {})], 3, "absolute"),
    (manifest(A), [("t/a", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"})], 3,
     "cut off"),
    (manifest(A), [("t/a", b"TEXT", {})], 4, "SHA-256"),
    (manifest(A), [("t/a", b"text", {"mode": 0o4755})], 3, "not as ingot"),
    (manifest(A), [("t/b", b"text", {})], 3, "'t/b' stands where"),
    (manifest(A), [("t/a", b"text", {}), ("t/b", b"text", {})], 3, "between its members"),
    (manifest(A, bundle=2), [("t/a", b"text", {})], 12, "version 2"),
    (manifest(A, requires=["more"]), [("t/a", b"text", {})], 12, "'more'"),
])
def test_hostile(carry, text, members, code, words):
    path = craft(carry.folder / "bad", text, members)
    before = {p for p in carry.folder.parent.rglob("*") if "cache" not in p.parts}
    for program in (carry.boot, carry.ingot):
        done = program("bundle", "import", path, "--to", carry.folder / "to")
        assert done.code == code and words in done.err, done
    done = carry.boot("bundle", "verify", path)
    assert done.code == code and words in done.err, done
    after = {p for p in carry.folder.parent.rglob("*") if "cache" not in p.parts}
    assert after - before <= {carry.folder / "to"}, after - before


def test_what_it_is_linked_with(build):
    """On a hypervisor there is no builder."""
    needed = run("readelf", "-d", build / "bin/ingot-boot").out
    for library in ("guestfs", "curl", "yaml", "ext2fs"):
        assert f"lib{library}" not in needed


# --- with libvirt -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boot(build, private_libvirt):
    return Boot(build, private_libvirt)


def test_up_a_bundle(boot, ingot, tiny, artifacts, tmp_path_factory):
    bundle = artifacts / "tiny.bundle"
    ingot = ingot.with_(cache=tmp_path_factory.mktemp("cache"))
    run("sh", "-c", "sha256sum *.qcow2 image.json > SHA256SUMS", cwd=tiny)
    done = ingot("bundle", "create", tiny, "-o", bundle)
    assert done.code == 0, done
    done, document = boot.json("up", bundle, "--name", "b", "--timeout", WAIT)
    try:
        assert done.code == 0 and document["created"], done
        assert "/artifacts/bundles/" in document["artifact"]
        done, document = boot.json("up", bundle, "--name", "b", "--timeout", WAIT)
        assert done.code == 0 and not document["created"] and "unpack" not in done.err, done
        assert boot("exec", "b", "--", "true").code == 0
    finally:
        boot("delete", "--yes", "b")


def test_import_into_a_pool(boot, ingot, tiny, artifacts, private_libvirt, tmp_path_factory):
    bundle = artifacts / "pool.bundle"
    ingot = ingot.with_(cache=tmp_path_factory.mktemp("cache"))
    run("sh", "-c", "sha256sum *.qcow2 image.json > SHA256SUMS", cwd=tiny)
    done = ingot("bundle", "create", tiny, "-o", bundle)
    assert done.code == 0, done
    folder = artifacts / "pool"
    folder.mkdir(mode=0o755)
    done = boot("bundle", "import", bundle, "--pool", "none-such")
    assert done.code == 3 and "pool-list" in done.err, done

    def virsh(*arguments):
        done = private_libvirt.run(["virsh", "-q", *arguments])
        assert done.code == 0, done
        return done.out

    virsh("pool-create-as", "tests", "dir", "--target", folder)
    try:
        done, document = boot.json("bundle", "import", bundle, "--pool", "tests")
        assert done.code == 0 and "in the pool 'tests'" in done.err, done
        volume = document["volumes"][0]
        assert volume["created"] and volume["volume"] in virsh("vol-list", "tests")
        image = json.loads((tiny / "image.json").read_text())
        assert sha256(folder / volume["volume"]) == image["files"][0]["sha256"]
        done, document = boot.json("bundle", "import", bundle, "--pool", "tests")
        assert done.code == 0 and not document["volumes"][0]["created"], done
        done, document = boot.json("up", "tiny", "--name", "p", "--no-wait")
        assert done.code == 0 and document["artifact"].endswith("/artifacts/tiny"), done
        boot("delete", "--yes", "p")
        assert sha256(folder / volume["volume"]) == image["files"][0]["sha256"]
        # Somebody else's volume of that name is not touched.
        (folder / volume["volume"]).write_bytes(b"other")
        done = boot("bundle", "import", bundle, "--pool", "tests")
        assert done.code == 11 and "vol-delete" in done.err, done
        assert (folder / volume["volume"]).read_bytes() == b"other"
        # One that a killed import has left is: its marker says so.
        state = private_libvirt.environment()["INGOT_STATE"]
        write(pathlib.Path(state) / f"artifacts/.upload-tests-{volume['volume']}", "")
        done, document = boot.json("bundle", "import", bundle, "--pool", "tests")
        assert done.code == 0 and document["volumes"][0]["created"], done
        assert sha256(folder / volume["volume"]) == image["files"][0]["sha256"]
    finally:
        virsh("pool-destroy", "tests")
