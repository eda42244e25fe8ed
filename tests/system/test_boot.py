"""ingot-boot against a real libvirt, with the tiny guest."""

import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import time

import libvirtd
import pytest

WAIT = "120s"


class Boot:
    """ingot-boot beside the private libvirt."""

    def __init__(self, build, libvirt, user=None):
        self.program, self.libvirt, self.user = build / "bin/ingot-boot", libvirt, user

    def __call__(self, *arguments, **more):
        return self.libvirt.run([self.program, *arguments], self.user, **more)

    def json(self, *arguments, **more):
        done = self(*arguments, "--json", **more)
        return done, json.loads(done.out)

    def instances(self):
        return [i["name"] for i in self.json("list")[1]["instances"]]

    def folders(self):
        folder = pathlib.Path(self.libvirt.environment(self.user)["INGOT_STATE"], "instances")
        return sorted(os.listdir(folder)) if folder.exists() else []


@pytest.fixture(scope="module")
def boot(build, private_libvirt):
    if not (build / "bin/ingot-boot").exists():
        pytest.fail(f"{build}/bin/ingot-boot is not built")
    return Boot(build, private_libvirt)


@pytest.fixture(scope="module")
def one(boot, tiny):
    """An instance that runs while these tests go on."""
    done, document = boot.json("up", tiny, "--name", "one", "--timeout", WAIT, "--ssh-key",
                               "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA someone@somewhere")
    assert done.code == 0, done
    yield document
    boot("delete", "--yes", "one")


def copy_of(artifact, target, **changes):
    """The artifact with other words in its image.json."""
    shutil.copytree(artifact, target)
    image = json.loads((target / "image.json").read_text())
    image.update(changes)
    (target / "image.json").write_text(json.dumps(image))
    target.chmod(0o755)
    return target


# --- a running instance -----------------------------------------------------------------------


def test_up_reports(boot, one, tiny):
    assert one["created"] is True
    assert one["uri"] == "qemu:///system"
    assert one["artifact"] == str(tiny)
    assert "10.0.2.15" in [a["address"] for a in one["addresses"]]
    assert boot.instances() == ["one"]


def test_artifact_keeps_its_owner(one, tiny):
    for path in tiny.iterdir():
        assert (path.stat().st_uid, path.stat().st_gid) == (0, 0), path


def test_instance_files_are_private(boot, one):
    folder = pathlib.Path(one["folder"])
    for name in ("disk.qcow2", "cidata.iso", "console.log"):
        assert (folder / name).stat().st_mode & 0o077 == 0, name


def test_seed_reaches_the_guest(boot, one):
    assert boot("exec", "one", "--", "hostname").out == "one\n"
    assert boot("exec", "one", "--", "cat", "/run/cloud-init/instance-id").out.strip() == \
        one["instance_id"]
    assert "someone@somewhere" in boot("exec", "--", "cat", "/run/cloud-init/user-data").out


def test_list_and_status(boot, one):
    done = boot("list")
    assert done.code == 0 and done.out.split()[:3] == ["one", "running", "tiny"]
    done, status = boot.json("status")
    assert status["state"] == "running" and status["agent_answers"] is True
    assert status["os"] == "Tiny guest"
    assert status["memory"] == 256 << 20 and status["cpus"] == 1
    assert "agent:     answers" in boot("status", "one").out


def test_ip(boot, one):
    done = boot("ip", "one")
    assert done.code == 0 and done.out.splitlines()[0] == "10.0.2.15", done


@pytest.mark.parametrize("command, code, out, err", [
    (["sh", "-c", "echo out; echo err >&2; exit 7"], 7, "out\n", "err\n"),
    (["true"], 0, "", ""),
    (["sh", "-c", "kill -TERM $$"], 128 + 15, "", ""),
    (["/no/such/program"], 127, "", "/no/such/program"),
    (["no-such-program"], 127, "", "no-such-program"),
    (["/etc/passwd"], 126, "", "/etc/passwd"),
    (["printf", "%s|", "a b", "$HOME", "'", ""], 0, "a b|$HOME|'||", ""),
    (["printf", "\\303\\274"], 0, "ü", ""),
])
def test_exec(boot, one, command, code, out, err):
    done = boot("exec", "one", "--", *command)
    assert (done.code, done.out) == (code, out) and err in done.err, done
    assert bool(err) == bool(done.err), done


def test_exec_large_output(boot, one):
    done = boot("exec", "--", "sh", "-c", "yes 0123456789abcde | head -c 16777216")
    assert done.code == 0 and len(done.out) == 16 << 20, done
    assert done.out == "0123456789abcde\n" * (1 << 20)


def test_exec_output_comes_as_it_is_written(boot, one):
    running = boot.libvirt.start([boot.program, "exec", "one", "--", "sh", "-c",
                                  "echo first; sleep 1000"])
    assert running.stdout.readline() == "first\n"
    assert running.poll() is None
    boot("exec", "one", "--", "killall", "sleep")
    running.communicate(timeout=30)
    assert running.returncode == 143


def test_exec_leaves_nothing_in_the_guest(boot, one):
    left = boot("exec", "one", "--", "sh", "-c", "sleep 1; ls -d /var/tmp/ingot* /tmp/ingot* | wc -l")
    assert left.out == "1\n", left  # its own


def test_exec_stdin(boot, one):
    done = boot("exec", "--stdin", "--", "wc", "-c", input="x" * (2 << 20))
    assert (done.code, done.out.strip()) == (0, str(2 << 20)), done
    assert boot("exec", "--", "wc", "-c").out.strip() == "0"


def test_exec_timeout(boot, one):
    done = boot("exec", "--timeout", "2s", "--", "sleep", "1000")
    assert done.code == 125 and "did not end within 2 s" in done.err, done
    assert boot("exec", "--", "sh", "-c", "pgrep sleep || echo none").out == "none\n"


def test_logs(boot, one):
    done = boot("logs")
    assert done.code == 0 and "Linux version" in done.out
    assert "tiny guest one is up" in done.out


def test_wait_returns_at_once(boot, one):
    done, document = boot.json("wait", "one", "--timeout", "20s")
    assert done.code == 0 and document["reached"] == "cloud-init", done
    assert boot("wait", "--for", "agent", "--timeout", "20s").code == 0


def test_up_again_finds_it_running(boot, one, tiny):
    done, document = boot.json("up", tiny, "--name", "one", "--timeout", WAIT)
    assert done.code == 0 and document["created"] is False, done
    assert document["instance_id"] == one["instance_id"]


def test_name_of_another_artifact_is_a_conflict(boot, one, tiny, tmp_path):
    other = copy_of(tiny, tmp_path / "other")
    done = boot("up", other, "--name", "one")
    assert done.code == 11 and str(tiny) in done.err, done


def test_console(boot, one):
    """Through a terminal: what is typed goes to the guest's shell, Ctrl-] ends it."""
    leader, follower = pty.openpty()
    console = subprocess.Popen(boot.libvirt.command([boot.program, "console", "one"]),
                               env=boot.libvirt.environment(), stdin=follower, stdout=follower,
                               stderr=follower)
    os.close(follower)
    seen, typed, deadline = b"", False, time.monotonic() + 60
    while b"sum is 42" not in seen and time.monotonic() < deadline:
        if select.select([leader], [], [], 0.5)[0]:
            seen += os.read(leader, 4096)
        if b"Ctrl-]" in seen and not typed:
            typed = True
            os.write(leader, b"\recho sum is $((40 + 2))\r")
    os.write(leader, b"\x1d")
    assert console.wait(20) == 0, seen
    os.close(leader)
    assert b"sum is 42" in seen, seen


def test_second_instance(boot, one, tiny):
    done, two = boot.json("up", tiny, "--name", "two", "--timeout", WAIT, "--for", "agent",
                          "--forward", "12345:80", "--memory", "192MiB", "--hostname", "other")
    assert done.code == 0, done
    assert two["instance_id"] != one["instance_id"]
    assert boot.instances() == ["one", "two"]
    done = boot("status")
    assert done.code == 2 and "one, two" in done.err, done
    assert boot("exec", "two", "--", "hostname").out == "other\n"
    assert boot.json("status", "two")[1]["memory"] == 192 << 20
    # The forward leads into the guest.
    boot("exec", "two", "--", "sh", "-c", "echo hello > /tmp/index.html; httpd -p 80 -h /tmp")
    done = boot.libvirt.run(["/usr/bin/python3", "-c", "import urllib.request as u; print(u.urlopen("
                             "'http://127.0.0.1:12345/', timeout=20).read().decode())"])
    assert done.out.strip() == "hello", done
    # Its port is taken now.
    done = boot("up", tiny, "--name", "three", "--forward", "12345:80")
    assert done.code == 11 and "port 12345" in done.err, done
    assert boot("delete", "--yes", "two").code == 0
    assert boot.instances() == ["one"] and boot.folders() == ["one"]


def test_stop_and_start_keep_identity_and_disk(boot, one):
    assert boot("exec", "one", "--", "sh", "-c", "echo kept > /disk/note; sync").code == 0
    done = boot("stop", "one", "--timeout", "60s")
    assert done.code == 0, done
    assert boot("list").out.split()[1:3] == ["shut", "off"]
    assert boot("stop", "one").code == 0
    done = boot("exec", "one", "--", "true")
    assert done.code == 125, done
    done = boot("ip", "one")
    assert done.code == 8, done
    done = boot("start", "one", "--timeout", WAIT)
    assert done.code == 0, done
    assert boot("exec", "one", "--", "cat", "/disk/note").out == "kept\n"
    assert boot("exec", "one", "--", "cat", "/run/cloud-init/instance-id").out.strip() == \
        one["instance_id"]


def test_delete(boot, one):
    done = boot("delete", "one")
    assert done.code == 2 and "--yes" in done.err, done
    done = boot("delete", "one", "--yes")
    assert done.code == 0, done
    assert boot.instances() == [] and boot.folders() == []
    done = boot("status")
    assert done.code == 3 and "ingot-boot up" in done.err, done


# --- when it does not work --------------------------------------------------------------------


def nothing_left(boot):
    """But the instance of the tests above, where a choice of tests has left it running."""
    return set(boot.instances()) <= {"one"} and set(boot.folders()) <= {"one"}


@pytest.mark.parametrize("arguments, code, words", [
    (["up", "/nonexistent"], 3, "/nonexistent"),
    (["up", "ARTIFACT", "--name", "../x"], 2, "no name for an instance"),
    (["up", "ARTIFACT", "--memory", "2GB"], 2, "--memory"),
    (["up", "ARTIFACT", "--forward", "22"], 2, "no forward"),
    (["up", "ARTIFACT", "--for", "ever"], 2, "--for"),
    (["up", "ARTIFACT", "--timeout", "soon"], 2, "--timeout"),
    (["up", "ARTIFACT", "--network", "nowhere"], 3, "no network 'nowhere'"),
    (["up", "ARTIFACT", "--network", "nowhere", "--connect", "qemu+ssh://host/system"], 12,
     "another machine"),
    (["up", "ARTIFACT", "--hostname", "a b"], 3, "no host name"),
    (["up", "ARTIFACT", "--user-data", "/nonexistent"], 3, "--user-data"),
    (["up", "ARTIFACT", "--ssh-key", "/nonexistent"], 3, "--ssh-key"),
    (["status", "nobody"], 3, "no instance 'nobody'"),
    (["start", "nobody"], 3, "no instance 'nobody'"),
    (["list", "--connect", "qemu:///nowhere"], 6, "qemu:///nowhere"),
])
def test_refused(boot, tiny, arguments, code, words):
    done, document = boot.json(*[tiny if a == "ARTIFACT" else a for a in arguments])
    assert done.code == code and words in done.err, done
    assert document["error"]["code"] == code
    assert nothing_left(boot)


@pytest.mark.parametrize("changes, code, words", [
    ({"contract": 2}, 12, "contract 2"),
    ({"requires": ["sealed-disk"]}, 12, "sealed-disk"),
    ({"name": "../../etc"}, 3, "plain name"),
])
def test_contract_refused(boot, tiny, tmp_path, changes, code, words):
    done = boot("up", copy_of(tiny, tmp_path / "bad", **changes))
    assert done.code == code and words in done.err, done
    assert nothing_left(boot)


def test_damaged_disk(boot, tiny, tmp_path):
    bad = copy_of(tiny, tmp_path / "bad")
    disk = next(bad.glob("*.qcow2"))
    with open(disk, "r+b") as f:
        f.seek(100000)
        f.write(b"damage")
    done = boot("up", bad)
    assert done.code == 4 and "SHA-256" in done.err, done
    os.truncate(disk, 100000)
    done = boot("up", bad)
    assert done.code == 4 and "not whole" in done.err, done
    assert nothing_left(boot)


def test_disk_that_names_another_file(boot, tiny, tmp_path):
    bad = copy_of(tiny, tmp_path / "bad")
    disk = next(bad.glob("*.qcow2"))
    disk.unlink()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b",
                    "/etc/shadow", disk, "1M"], check=True)
    image = json.loads((bad / "image.json").read_text())
    image["files"][0]["bytes"] = disk.stat().st_size
    image["files"][0]["sha256"] = subprocess.run(
        ["sha256sum", disk], check=True, capture_output=True, text=True).stdout.split()[0]
    (bad / "image.json").write_text(json.dumps(image))
    done = boot("up", bad)
    assert done.code == 4 and "/etc/shadow" in done.err, done
    assert nothing_left(boot)


def test_state_that_qemu_cannot_reach(boot, tiny):
    closed = boot.libvirt.folder / "closed"
    closed.mkdir(mode=0o700)
    done = boot("up", tiny, INGOT_STATE=closed / "state")
    assert done.code == 6 and "INGOT_STATE" in done.err, done
    assert list((closed / "state/instances").iterdir()) == []
    document = boot.json("doctor", INGOT_STATE=closed / "state")[1]
    assert [f["state"] for f in document["findings"] if f["name"] == "reach"] == ["fault"]


def test_foreign_domain_of_that_name(boot, tiny):
    xml = boot.libvirt.folder / "foreign.xml"
    xml.write_text("<domain type='qemu'><name>foreign</name><memory unit='MiB'>32</memory>"
                   "<os><type arch='x86_64'>hvm</type></os></domain>")
    assert boot.libvirt.run(["virsh", "-c", "qemu:///system", "define", xml]).code == 0
    try:
        assert boot.instances() == []
        done = boot("up", tiny, "--name", "foreign")
        assert done.code == 11 and "not ingot's" in done.err, done
        done = boot("delete", "foreign", "--yes")
        assert done.code == 3 and "not one of ingot's" in done.err, done
    finally:
        boot.libvirt.run(["virsh", "-c", "qemu:///system", "undefine", "foreign"])


def test_no_daemon(build, tiny, tmp_path):
    """In a mount namespace where libvirt's sockets are not there."""
    if os.geteuid() != 0:
        pytest.skip("only root can hide libvirt's sockets")
    os.makedirs("/run/libvirt", exist_ok=True)
    done = libvirtd.Done(subprocess.run(
        ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /run/libvirt && exec "$@"', "sh",
         build / "bin/ingot-boot", "up", tiny], capture_output=True, text=True, timeout=60,
        env=dict(os.environ, INGOT_STATE=str(tmp_path / "state"))))
    assert done.code == 6, done
    assert "libvirtd -d" in done.err or "systemctl start" in done.err, done
    assert not (tmp_path / "state").exists()


def test_guest_that_never_answers(boot, mute):
    done = boot("up", mute, "--timeout", "25s")
    assert done.code == 9, done
    assert "waited 25s for the guest agent to answer" in done.err, done
    assert "tiny guest mute is up" in done.err, done
    assert nothing_left(boot)


def test_guest_that_ends(boot, mute):
    """Somebody pulls the plug while `up` waits."""
    waiting = boot.libvirt.start([boot.program, "up", mute, "--timeout", "100s"])
    for _ in range(200):
        if boot.instances() and boot.json("list")[1]["instances"][0]["state"] == "running":
            break
        time.sleep(0.1)
    done = boot("stop", "mute", "--force", "--timeout", "2s")
    assert done.code == 0, done
    _, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 8 and "'mute' ended while waiting for" in err, err
    assert nothing_left(boot)


def test_interrupt_leaves_nothing(boot, mute):
    done = boot.libvirt.run(["timeout", "--foreground", "--preserve-status", "-s", "INT", "4", boot.program, "up",
                             mute, "--timeout", "100s"])
    assert done.code == 130 and "interrupted" in done.err, done
    assert nothing_left(boot)
    qemu = boot.libvirt.run(["pgrep", "-f", "guest=mute"])
    assert qemu.out == "", qemu


# --- other ways ---------------------------------------------------------------------------------


def test_kvm_that_fails_in_use(boot, tiny):
    """The probe said that KVM runs a guest. Whatever it does here, the guest comes up, and the
    memory says what use has shown."""
    if not os.path.exists("/dev/kvm"):
        pytest.skip("this machine has no /dev/kvm")
    cache = boot.libvirt.folder / "accel-cache"
    cache.mkdir()
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True,
                             check=True).stdout.splitlines()[0]
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (cache / "accel.json").write_text(json.dumps({
        "key": {"boot": boot_id, "qemu": version, "uid": 0}, "state": "probed", "reason": "said"}))
    done = boot("up", tiny, "--timeout", WAIT, "--for", "agent", INGOT_CACHE=cache)
    assert done.code == 0, done
    state = json.loads((cache / "accel.json").read_text())["state"]
    kind = boot.json("status", "tiny")[1]["accelerator"]
    assert (state, kind) in [("broken", "tcg"), ("works", "kvm")], done
    if state == "broken":
        assert "using TCG" in done.err, done
    assert boot("delete", "--yes", "tiny").code == 0
    assert nothing_left(boot)


def test_uefi_machine(boot, tiny, tmp_path):
    """The firmware starts, and its variables go with the instance."""
    if not os.path.exists("/usr/share/qemu/firmware"):
        pytest.skip("no UEFI firmware is installed")
    done = boot("up", copy_of(tiny, tmp_path / "uefi", firmware="uefi"), "--name", "uefi",
                "--no-wait")
    assert done.code == 0, done
    try:
        for _ in range(240):
            if "BdsDxe" in boot("logs", "uefi").out:
                break
            time.sleep(0.5)
        assert "BdsDxe" in boot("logs", "uefi").out
    finally:
        assert boot("delete", "--yes", "uefi").code == 0
    left = list((boot.libvirt.folder / "libvirt/var/lib/libvirt/qemu/nvram").glob("*"))
    assert left == [] and nothing_left(boot)


def test_libvirt_network(boot, tiny):
    """An address from libvirt's own DHCP server."""
    if not shutil.which("dnsmasq", path="/usr/sbin:/sbin:/usr/bin"):
        pytest.skip("dnsmasq is not installed")
    xml = boot.libvirt.folder / "lan.xml"
    xml.write_text("<network><name>lan</name><bridge name='ingotbr0'/>"
                   "<ip address='192.168.77.1' netmask='255.255.255.0'><dhcp>"
                   "<range start='192.168.77.10' end='192.168.77.20'/></dhcp></ip></network>")
    virsh = ["virsh", "-c", "qemu:///system"]
    assert boot.libvirt.run([*virsh, "net-define", xml]).code == 0
    done = boot("up", tiny, "--network", "lan")
    assert done.code == 6 and "net-start lan" in done.err, done
    started = boot.libvirt.run([*virsh, "net-start", "lan"])
    if started.code != 0:
        boot.libvirt.run([*virsh, "net-undefine", "lan"])
        pytest.skip(f"this kernel does not let libvirt make a network: {started.err.strip()}")
    try:
        done = boot("up", tiny, "--network", "lan", "--timeout", WAIT)
        assert done.code == 0, done
        for _ in range(60):
            address = boot("ip").out
            if address:
                break
            time.sleep(0.5)
        assert address.startswith("192.168.77."), address
    finally:
        boot("delete", "--yes")
        boot.libvirt.run([*virsh, "net-destroy", "lan"])
        boot.libvirt.run([*virsh, "net-undefine", "lan"])
    assert nothing_left(boot)


def test_session_as_an_ordinary_user(build, private_libvirt, tiny):
    boot = Boot(build, private_libvirt, libvirtd.NOBODY)
    done, document = boot.json("up", tiny, "--timeout", WAIT, "--for", "agent")
    assert done.code == 0, done
    assert document["uri"] == "qemu:///session"
    assert boot("exec", "--", "hostname").out == "tiny\n"
    assert "Linux version" in boot("logs").out
    assert tiny.stat().st_uid == 0 and next(tiny.glob("*.qcow2")).stat().st_uid == 0
    assert boot("stop", "--timeout", "60s").code == 0
    assert boot("delete", "--yes").code == 0
    assert nothing_left(boot)


def test_doctor(boot):
    done, document = boot.json("doctor")
    found = {f["name"]: f for f in document["findings"]}
    assert found["libvirt"]["state"] == "ok" and "qemu:///system" in found["libvirt"]["message"]
    assert found["state"]["state"] == "ok" and "qemu-img" in found
    assert done.code == (0 if document["ready"] else 6)
    done, document = boot.json("doctor", "--connect", "qemu:///nowhere")
    assert done.code == 6 and document["ready"] is False
