"""The commands around builds, as a user or a program sees them: no machine is started here."""

import json
import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from helpers import ROOT, Ingot, run, write

PLAIN = """\
ingot: 1
name: plain
base: debian-12
files: [{path: /etc/motd, content: "of @{name}\\n"}]
boot: {user: someone}
"""


@pytest.fixture
def own(ingot, tmp_path):
    """With a cache, a home and a folder of its own."""
    home = tmp_path / "home"
    home.mkdir()
    return Ingot(ingot.program, tmp_path / "cache", HOME=home, INGOT_PATH=ROOT / "recipes")


@pytest.fixture
def plain(tmp_path):
    return write(tmp_path / "plain.yaml", PLAIN)


# --- from nothing to a plan ---------------------------------------------------------------------


def test_new_check_plan(own, tmp_path):
    done = own("new", "golden", cwd=tmp_path)
    assert (done.code, done.out) == (0, "golden.yaml\n"), done
    assert own("new", "golden", cwd=tmp_path).code == 11
    assert own("check", "golden.yaml", cwd=tmp_path).code == 0
    done = own("plan", "golden.yaml", cwd=tmp_path)
    assert done.code == 0 and "ubuntu-24.04" in done.out and "k3s" in done.out, done
    schema = json.loads(own("schema").out)
    jsonschema = pytest.importorskip("jsonschema")
    yaml = pytest.importorskip("yaml")
    jsonschema.Draft202012Validator(schema).validate(
        yaml.safe_load((tmp_path / "golden.yaml").read_text()))
    own("new", "other", "--base", "alpine-3.24", "--distribution", "none", cwd=tmp_path)
    assert "alpine-3.24" in own("plan", "other.yaml", cwd=tmp_path).out


def test_plan_json_and_changes_nothing(own, plain):
    done, document = own.json("plan", plain)
    assert done.code == 0 and document["name"] == "plain", done
    before = sorted(str(p) for p in own.cache.rglob("*") if p.is_file())
    assert own("plan", plain).out == own("plan", plain).out
    assert sorted(str(p) for p in own.cache.rglob("*") if p.is_file()) == before
    assert not list(own.cache.glob("layers/*"))


def test_plan_show(own, plain):
    done = own("plan", plain, "--show", "/etc/motd")
    assert (done.code, done.out) == (0, "of @{name}\n"), done  # only NAME.in is filled in
    done = own("plan", plain, "--show", "/etc/mot")
    assert done.code == 3 and "/etc/motd" in done.err and done.out == "", done


def test_plan_explain(own, plain):
    done = own.with_(INGOT_SET_boot__cpus="3")("plan", plain, "--explain", "--set", "disk=9GiB")
    assert done.code == 0, done
    assert "9.0 GiB" in done.out and "--set" in done.out, done
    assert f"{plain}:2:7" in done.out or "plain.yaml:2" in done.out, done
    assert "/var/lib/systemd/random-seed" in done.out, done


def test_check_says_all_at_once(own, tmp_path):
    bad = write(tmp_path / "bad.yaml", "ingot: 1\nname: a/b\nbase: debian-12\ndiks: 8GB\n")
    done = own("check", bad)
    assert done.code == 3 and done.out == "", done
    assert f"{bad}:2:7: name:" in done.err and "did you mean 'disk'" in done.err, done
    done, document = own.json("check", bad)
    assert done.code == 3, done


# --- settings -----------------------------------------------------------------------------------


def test_config(own, tmp_path):
    config = tmp_path / "config"
    write(config / "ingot/config.yaml", f"cache: {tmp_path}/from-file\naccel: tcg\n")
    there = own.with_(XDG_CONFIG_HOME=config)
    done, settings = there.json("config")
    assert settings["cache"]["value"] == str(own.cache)
    assert settings["cache"]["origin"] == "environment"
    assert settings["accel"] == {"value": "tcg", "variable": "INGOT_ACCEL",
                                 "origin": f"{config}/ingot/config.yaml:2:1"}
    assert settings["state"]["origin"] == "default"
    there.env["INGOT_CACHE"] = ""
    assert there.json("config")[1]["cache"]["value"] == f"{tmp_path}/from-file"
    assert there("cache", "ls").out == f"0 items, 0 B in {tmp_path}/from-file\n"
    write(config / "ingot/config.yaml", "cahce: /x\n")
    done = there("config")
    assert done.code == 3 and "did you mean 'cache'" in done.err, done


def test_mirror_setting(own, tmp_path):
    """A text or a list; a password in it is for the server alone."""
    config = tmp_path / "config"
    there = own.with_(XDG_CONFIG_HOME=config)

    def mirror(text):
        write(config / "ingot/config.yaml", text)
        return there.json("config")[1]["mirror"]

    one, other = "https://a.example/=http://m.example/a/", "sha256:=!http://u:secret@m.example/b/"
    assert mirror(f"mirror: {one}\n") == {"value": one, "variable": "INGOT_MIRROR",
                                          "origin": f"{config}/ingot/config.yaml:1:1"}
    assert mirror(f"mirror:\n  - {one}\n  - '{other}'\n")["value"] == \
        f"{one} {other.replace('secret', '***')}"
    assert "secret" not in there("config").out
    assert there.with_(INGOT_MIRROR=one).json("config")[1]["mirror"]["origin"] == "environment"
    for wrong in (f"mirror: [[{one}]]\n", "mirror: {a: b}\n", "mirror: ['a b']\n",
                  "cache: [/x]\n"):
        write(config / "ingot/config.yaml", wrong)
        done = there("config")
        assert done.code == 3 and "is expected" in done.err, done


def test_doctor(own):
    done, document = own.json("doctor")
    found = {f["name"]: f["state"] for f in document["findings"]}
    assert found["qemu-img"] == "ok" and "kvm" in found and "kernel" in found
    assert done.code == (0 if document["ready"] else 6)
    done, document = own.with_(PATH="/nonexistent").json("doctor")
    assert document["findings"], done


# --- the cache ----------------------------------------------------------------------------------


def test_cache_ls_verify_gc(own, plain, tmp_path):
    blob = write(tmp_path / "blob", "some bytes\n")
    digest = run("sha256sum", blob).out.split()[0]
    source = f"{{url: {blob}, verify: {{sha256: {digest}}}, to: /srv/blob}}"
    # The base is missing, so the build fails; a base image is fetched before that.
    bad = write(tmp_path / "bad.yaml", "ingot: 1\nname: bad\nbase: {image: %s, verify: {sha256: %s}}"
                "\nsources: [%s]\n" % (blob, digest, source))
    assert own("build", bad, "-o", tmp_path / "out").code == 3
    done, listed = own.json("cache", "ls")
    assert [i["name"] for i in listed["items"]] == [digest], done
    assert listed["items"][0]["url"] == str(blob)
    done = own("cache", "verify")
    assert done.code == 0 and done.out.startswith("every blob"), done
    path = own.cache / "blobs/sha256" / digest
    path.chmod(0o600)
    path.write_text("other bytes\n")
    done, damaged = own.json("cache", "verify")
    assert done.code == 4 and [i["name"] for i in damaged["items"]] == [digest], done
    assert not path.exists() and own("cache", "verify").code == 0
    own("build", bad, "-o", tmp_path / "out")
    assert path.read_text() == "some bytes\n"
    done = own("cache", "gc", "--all", "--dry-run")
    assert digest[:12] in done.out and path.exists(), done
    done = own("cache", "gc")
    assert done.code == 0 and path.exists(), done
    done = own("cache", "gc", "--all")
    assert done.code == 0 and not path.exists(), done
    done = own("cache", "frob")
    assert done.code == 2 and "ls, verify or gc" in done.err, done


# --- seeds and artifacts ------------------------------------------------------------------------


def seed_files(iso, folder):
    run("xorriso", "-osirrox", "on", "-indev", iso, "-extract", "/", folder)
    return {p.name: p.read_text() for p in folder.iterdir()}


def test_cidata_from_flags(own, site, tmp_path):
    iso = tmp_path / "seed.iso"
    hash_file = write(tmp_path / "hash", "$6$salt$" + "a" * 86 + "\n", 0o600)
    flags = ["--hostname", "node-1", "--user", "ops", "--ssh-key", site / "id_test.pub",
             "--password-hash-file", hash_file, "--address", "10.0.0.5/24",
             "--gateway", "10.0.0.1", "--nameserver", "10.0.0.2"]
    done, document = own.json("cidata", "-o", iso, *flags)
    assert done.code == 0 and document["hostname"] == "node-1", done
    assert iso.stat().st_mode & 0o777 == 0o600
    texts = seed_files(iso, tmp_path / "files")
    assert sorted(texts) == ["meta-data", "network-config", "user-data"]
    assert document["instance_id"] in texts["meta-data"] and "node-1" in texts["meta-data"]
    assert "$6$salt$" in texts["user-data"] and "tester@site" in texts["user-data"]
    assert "10.0.0.5/24" in texts["network-config"]
    assert "$6$salt$" not in done.out + done.err
    if shutil.which("cloud-init"):
        run("cloud-init", "schema", "--config-file", tmp_path / "files/user-data")
    # The same again gives the same bytes.
    again = tmp_path / "again.iso"
    own("cidata", "-o", again, *flags)
    assert again.read_bytes() == iso.read_bytes()


def test_cidata_from_a_recipe(own, plain, tmp_path):
    iso = tmp_path / "seed.iso"
    done = own("cidata", plain, "-o", iso, "--hostname", "other")
    assert (done.code, done.out) == (0, f"{iso}\n"), done
    texts = seed_files(iso, tmp_path / "files")
    assert "other" in texts["meta-data"] and "someone" in texts["user-data"]


@pytest.mark.parametrize("arguments, code, words", [
    (["cidata"], 2, "-o FILE"),
    (["cidata", "-o", "x.iso", "--kind", "windows"], 2, "--kind"),
    (["cidata", "-o", "x.iso", "--address", "10.0.0.5"], 3, "10.0.0.5"),
    (["cidata", "-o", "x.iso", "--ssh-key", "/nonexistent"], 3, "/nonexistent"),
    (["build"], 2, "RECIPE"), (["build", "x", "--untli", "base"], 2, "did you mean --until"),
    (["build", "x", "--until", "top"], 2, "--until"), (["build", "nosuch"], 3, "nosuch"),
    (["bulid"], 2, "did you mean 'build'"), ([], 2, "no command"),
    (["inspect", "/nonexistent"], 3, "/nonexistent"),
    (["plan", "./no.yaml"], 3, "no.yaml"), (["new", "a/b"], 2, "a/b"),
])
def test_refused(own, tmp_path, arguments, code, words):
    """`--json` gives one document also for errors; stderr says the same."""
    done, document = own.json(*arguments, cwd=tmp_path)
    error = document["error"]
    assert done.code == error["code"] == code, done
    assert words in error["message"] and error["message"] in done.err, done
    assert error["chain"] and error["kind"], done
    done = own(*arguments, cwd=tmp_path)
    assert done.code == code and done.out == "", done
    assert not list(tmp_path.glob("*.iso"))


def test_inspect(ingot, own, tmp_path):
    bad = write(tmp_path / "not-a-disk", "x" * 1000)
    done = own("inspect", bad)
    assert done.code == 3 and str(bad) in done.err and done.out == "", done
    assert own.work_left() == []


# --- output -------------------------------------------------------------------------------------


def test_help_and_version(own):
    for program in ("ingot", "ingot-boot"):
        there = Ingot(own.program.parent / program, own.cache)
        done = there("--help")
        assert done.code == 0 and "130  interrupted" in done.out and done.err == "", done
        assert re.fullmatch(program + r" \d+\.\d+\.\d+\n", there("--version").out)
        commands = re.findall(r"^  ([a-z]+) +[A-Za-z]", done.out.split("\nOptions")[0], re.M)
        assert len(commands) >= 10
        for command in commands:
            done = there(command, "--help")
            assert done.code == 0 and done.out.startswith(f"Usage: {program} {command}"), done


def test_progress_json(own, tmp_path):
    bad = write(tmp_path / "bad.yaml", "ingot: 1\nname: bad\nbase: {image: %s, verify: {sha256: %s}}"
                "\n" % (tmp_path / "none", "0" * 64))
    done = own("build", bad, "--progress", "json", "-o", tmp_path / "out")
    assert done.code == 3 and done.out == "", done
    lines = [json.loads(l) for l in done.err.splitlines()]
    assert {"step"} <= {l.get("event") for l in lines}, lines
    assert [l["message"] for l in lines if l.get("level") == "error"], lines


@pytest.mark.parametrize("extra, coloured", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_color_only_on_a_terminal(own, extra, coloured):
    assert "\033" not in own("build", "nosuch").err
    assert "\033" in own("build", "nosuch", "--color", "always").err
    leader, follower = pty.openpty()
    there = own.with_(TERM="xterm", **extra)
    process = subprocess.Popen(there.command(["build", "nosuch"]), env=there.environment(),
                               stdout=subprocess.DEVNULL, stderr=follower)
    assert process.wait(20) == 3
    os.close(follower)
    said = b""
    while select.select([leader], [], [], 0.5)[0]:
        try:
            said += os.read(leader, 4096)
        except OSError:
            break
    os.close(leader)
    assert b"nosuch" in said and (b"\033[1;31m" in said) == coloured, said


def test_full_stdout_is_an_error(own):
    with open("/dev/full", "w") as full:
        done = subprocess.run(own.command(["schema"]), env=own.environment(), stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 6 and "No space left" in done.stderr


# --- the programs themselves --------------------------------------------------------------------


def test_programs_export_nothing_of_ours(build):
    """A library that looks for a function of libc must never find one of ours."""
    ours = set()
    for archive in (build / "lib").glob("*.a"):
        for line in run("nm", "--defined-only", "--extern-only", archive).out.splitlines():
            if len(line.split()) == 3:
                ours.add(line.split()[2])
    assert len(ours) > 500
    for program in ("ingot", "ingot-boot"):
        exported = {line.split()[-1].split("@")[0] for line in
                    run("nm", "-D", "--defined-only", build / "bin" / program).out.splitlines()}
        assert exported & ours == set()


def test_boot_needs_no_builder_libraries(build):
    needed = run("readelf", "-d", build / "bin/ingot-boot").out
    for library in ("libguestfs", "libcurl", "libarchive", "libext2fs"):
        assert library not in needed, needed
    assert "libvirt.so" in needed


def test_install(build, tmp_path):
    destination = tmp_path / "root"
    make = ["make", "-s", "-C", ROOT, f"O={build}", f"DESTDIR={destination}", "PREFIX=/opt/ingot"]
    # The flags that the build was made with: another PREFIX would compile everything again.
    run(*make, "-o", "all", "install")
    installed = Ingot(destination / "opt/ingot/bin/ingot", tmp_path / "cache",
                      INGOT_PATH=destination / "opt/ingot/share/ingot/recipes")
    for name in ("demo", "alpine-k3s"):
        done = installed("plan", name, cwd=tmp_path)
        assert done.code == 0 and f"plan for {name}" in done.out, done
    assert (destination / "opt/ingot/bin/ingot-boot").stat().st_mode & 0o777 == 0o755
    run(*make, "uninstall")
    assert [p for p in destination.rglob("*") if not p.is_dir()] == []
