"""A Debian made from packages, with an overlay and all that a recipe can say: judged by tools that are
not ours, then booted once, and asked."""

import json
import re
import shutil

import pytest

from helpers import ROOT, Ext4, extract, partitions, raw_of, run, sha256
from test_boot import Boot


@pytest.fixture(scope="module")
def raw(debian, tmp_path_factory):
    return raw_of(debian.disk, tmp_path_factory.mktemp("debian") / "disk.raw")


@pytest.fixture(scope="module")
def systems(raw):
    """Partition number -> Ext4, of those that are."""
    found = {}
    for number, offset, size in partitions(raw):
        kind = run("blkid", "-p", "-O", offset, "-S", size, "-s", "TYPE", "-o", "value", raw,
                   check=False).out.strip()
        if kind == "ext4":
            found[number] = Ext4(extract(raw, offset, size, raw.parent / f"p{number}.ext4"))
    return found


@pytest.fixture(scope="module")
def root(systems):
    return systems[1]


@pytest.fixture(scope="module")
def seed(debian, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seed")
    run("xorriso", "-osirrox", "on", "-indev", debian.seed, "-extract", "/", folder)
    return folder


# --- judged as files ----------------------------------------------------------------------------


def test_folder_is_whole(debian):
    assert sorted(p.name for p in debian.folder.iterdir()) == [
        "SHA256SUMS", "deb-amd64.qcow2", "deb-cidata.iso", "image.json"]
    run("sha256sum", "--strict", "-c", "SHA256SUMS", cwd=debian.folder)
    assert debian.seed.stat().st_mode & 0o777 == 0o600
    assert debian.disk.stat().st_mode & 0o777 == 0o644


def test_image_json(debian):
    jsonschema = pytest.importorskip("jsonschema")
    image = json.loads((debian.folder / "image.json").read_text())
    jsonschema.Draft202012Validator(
        json.loads((ROOT / "docs/image.schema.json").read_text())).validate(image)
    assert image["contract"] == 1 and image["name"] == "deb"
    assert image["os"]["id"] == "debian" and image["os"]["init"] == "systemd"
    assert image["seed"]["kind"] == "cloud-init" and image["agent"] is True
    disk = next(f for f in image["files"] if f["role"] == "disk")
    assert disk["sha256"] == sha256(debian.disk)
    assert disk["bytes"] == debian.disk.stat().st_size
    assert "tree" in [p["name"] for p in image["packages"]]


def test_qcow2(debian):
    run("qemu-img", "check", debian.disk)
    info = json.loads(run("qemu-img", "info", "--output=json", debian.disk).out)
    assert info["virtual-size"] == 5 << 30 and "backing-filename" not in info
    assert info["format-specific"]["data"]["compression-type"] == "zstd"


def test_partitions(raw):
    done = run("sfdisk", "--verify", raw)
    assert "No errors detected" in done.out, done
    end = max(offset + size for _, offset, size in partitions(raw))
    assert end > (5 << 30) - (2 << 20)


def test_file_systems(systems):
    assert sorted(systems) == [1, 16]
    for number, label in ((1, "cloudimg-rootfs"), (16, "BOOT")):
        done = systems[number].check()
        assert done.code == 0, done
        assert run("blkid", "-p", "-s", "LABEL", "-o", "value",
                   systems[number].path).out.strip() == label


def test_esp(raw):
    offset, size = next((o, s) for n, o, s in partitions(raw) if n == 15)
    esp = extract(raw, offset, size, raw.parent / "esp")
    run("fsck.vfat", "-n", esp)
    assert run("blkid", "-p", "-s", "LABEL", "-o", "value", esp).out.strip() == "UEFI"


def test_identity_is_gone(root):
    assert root.ls("/etc")["machine-id"][3] == 0
    assert not [n for n in root.ls("/etc/ssh") if n.startswith("ssh_host_")]
    for folder in ("/var/lib/cloud", "/tmp", "/var/tmp", "/var/lib/apt/lists", "/run"):
        assert root.ls(folder) == {}, folder
    for path in ("/var/lib/systemd/random-seed", "/usr/sbin/policy-rc.d", "/var/lib/dbus/machine-id"):
        assert not root.exists(path), path
    assert all(size == 0 for name, (mode, _, _, size) in root.ls("/var/log").items()
               if mode & 0o170000 == 0o100000)


def test_files(root):
    assert root.cat("/etc/site/inline") == "inline text\n"
    assert root.ls("/etc/site")["inline"][:3] == (0o100640, 0, 42)
    assert root.ls("/srv")["data"][:3] == (0o040750, 1000, 1000)
    assert root.ls("/usr/local/bin")["site-hello"][:3] == (0o100755, 0, 0)
    assert "hello from deb," in root.cat("/usr/local/bin/site-hello")
    # The overlay has a folder /lib; the guest has a link there, which stays one.
    assert root.ls("/")["lib"][0] & 0o170000 == 0o120000
    assert root.cat("/usr/lib/site/in-lib") == "in lib\n"
    assert "site-hello.service" in root.ls("/etc/systemd/system/multi-user.target.wants")


def test_packages_are_marked(root):
    status = root.cat("/var/lib/dpkg/status")
    assert "Package: tree\nStatus: install ok installed\n" in status
    assert "Package: qemu-guest-agent\nStatus: install ok installed\n" in status
    assert "Package: tree\n" not in root.cat("/var/lib/apt/extended_states")


def test_unit(root, tmp_path):
    path = tmp_path / "site-hello.service"
    path.write_text(root.cat("/etc/systemd/system/site-hello.service"))
    text = path.read_text()
    assert "the overlay of deb was here" in text
    path.write_text(text.replace("/usr/local/bin/site-hello", "/bin/true"))  # not on this host
    done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=one", path)
    assert "site-hello" not in done.err, done


def test_seed(debian, seed):
    done = run("xorriso", "-indev", debian.seed, "-pvd_info")
    assert re.search(r"Volume [Ii]d\s*: '?cidata'?", done.out + done.err), done
    user_data = seed / "user-data"
    assert user_data.read_text().startswith("#cloud-config\n")
    if not shutil.which("cloud-init"):
        pytest.skip("cloud-init is not installed")
    assert "Valid" in run("cloud-init", "schema", "--config-file", user_data).out
    key = (debian.recipe.parent / "id_test.pub").read_text().split()[1]
    assert key in user_data.read_text()
    assert "debguest" in (seed / "meta-data").read_text()


def test_inspect(ingot, debian):
    done, said = ingot.json("inspect", debian.folder)
    assert done.code == 0 and set(said["files"].values()) == {"ok"}, done
    done = ingot("inspect", debian.disk)
    assert done.code == 0 and "Debian GNU/Linux 12" in done.out, done
    assert re.search(r"agent +yes", done.out) and "5.0 GiB" in done.out, done
    assert ingot.work_left() == []


@pytest.mark.slow
def test_virt_inspector(debian):
    if not shutil.which("virt-inspector"):
        pytest.skip("virt-inspector is not installed")
    xml = run("env", "LIBGUESTFS_BACKEND=direct", "LIBGUESTFS_BACKEND_SETTINGS=force_tcg",
              "virt-inspector", "-a", debian.disk, timeout=300).out
    for words in ("<distro>debian</distro>", "<major_version>12</major_version>",
                  "<mountpoint dev=\"/dev/sda1\">/</mountpoint>", "<name>tree</name>"):
        assert words in xml, words


# --- booted -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guest(build, private_libvirt, debian):
    boot = Boot(build, private_libvirt)
    done, document = boot.json("up", debian.folder, "--name", "deb", "--timeout", "300s",
                               timeout=400)
    assert done.code == 0, done

    def ask(*command, code=0):
        answer = boot("exec", "deb", "--", *command)
        assert answer.code == code, answer
        return answer.out

    ask.document = document
    yield ask
    boot("delete", "--yes", "deb")


def test_guest_first_boot(guest):
    status = guest("cloud-init", "status", "--long")
    assert "status: done" in status, status
    assert "errors: []" in status or "errors" not in status, status
    assert guest("systemctl", "--failed", "--no-legend", "--plain") == ""
    assert guest("systemctl", "is-system-running", "--wait").strip() == "running"
    assert guest("hostname").strip() == "deb"  # the instance's name


def test_guest_has_the_user(guest, debian):
    key = (debian.recipe.parent / "id_test.pub").read_text().strip()
    assert key in guest("cat", "/home/tester/.ssh/authorized_keys")
    assert guest("id", "-un", "tester").strip() == "tester"
    assert guest("systemctl", "is-active", "ssh").strip() == "active"


def test_guest_registries(guest):
    info = json.loads(guest("podman", "info", "--format", "json"))["registries"]
    mirrors = {m["Location"]: m["Insecure"] for m in info["docker.io"]["Mirrors"]}
    assert mirrors == {"localhost:5000": True}, info
    mirrors = [m["Location"] for m in info["registry.example.internal:5001"]["Mirrors"]]
    assert mirrors == ["localhost:5001", "mirror.example"], info
    assert info["insecure.example"]["Insecure"] is True
    assert info["blocked.example"]["Blocked"] is True


def test_guest_overlay(guest):
    assert guest("cat", "/var/lib/site/hello") == "hello from deb, the note\n"
    assert guest("systemctl", "is-active", "site-hello").strip() == "active"
    assert guest("cat", "/lib/site/link") == "in lib\n"
    assert guest("tree", "--version").startswith("tree ")


def test_guest_kernel_settings(guest):
    assert "br_netfilter" in guest("lsmod")
    assert guest("sysctl", "-n", "net.ipv4.ip_forward", "vm.max_map_count").split() == \
        ["1", "262144"]


def test_guest_disk_is_grown(guest):
    size = int(guest("df", "--output=size", "-B1", "/").split()[1])
    assert size > 3.8 * (1 << 30)  # of 5 GiB, with /boot and the ESP


def test_guest_has_an_identity(guest):
    machine = guest("cat", "/etc/machine-id").strip()
    assert re.fullmatch("[0-9a-f]{32}", machine)
    keys = guest("sh", "-c", "ls /etc/ssh/ssh_host_*_key").split()
    assert "/etc/ssh/ssh_host_ed25519_key" in keys
