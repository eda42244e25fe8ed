"""What people do today, as they would write it down: libguestfs's tools and qemu-img."""

import json
import os
import shutil
import subprocess
import sys
import time

import content
from measure import run

SEED_USER = "#cloud-config\nusers:\n- name: debian\n  lock_passwd: true\nhostname: bench\n"
SEED_META = "instance-id: bench\nlocal-hostname: bench\n"


def acceleration(ingot):
    """What ingot has found out of KVM: virt-customize has to be told."""
    said = subprocess.run([str(ingot.program), "doctor", "--json"], env=ingot.env,
                          capture_output=True, text=True).stdout
    for f in json.loads(said)["findings"]:
        if f["name"] == "kvm":
            return "kvm" if f["state"] == "ok" else "tcg"
    sys.exit("bench: `ingot doctor` says nothing of KVM")


def environment(ingot):
    env = dict(os.environ, LIBGUESTFS_BACKEND="direct")
    if acceleration(ingot) != "kvm":
        env["LIBGUESTFS_BACKEND_SETTINGS"] = "force_tcg"
    return env


def image(work):
    return work / "today" / "image.qcow2"


def make(ingot, work, base, disk, debs):
    """{"seconds", "steps"} of the whole way, in the folder work/today."""
    out = work / "today"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    (out / "user-data").write_text(SEED_USER)
    (out / "meta-data").write_text(SEED_META)
    env = environment(ingot)
    guest_debs = f"/var/tmp/{debs.name}"
    steps = {
        "cp": ["cp", base, out / "work.qcow2"],
        "qemu-img resize": ["qemu-img", "resize", "-q", out / "work.qcow2",
                            disk.removesuffix("iB")],
        "virt-customize": [
            "virt-customize", "-q", "--no-network", "-a", out / "work.qcow2",
            "--copy-in", f"{debs}:/var/tmp",
            "--run-command", f"dpkg -i {guest_debs}/*.deb && rm -r {guest_debs}",
            "--upload", f"{work / 'engine'}:{content.BINARY}",
            "--chmod", f"0755:{content.BINARY}",
            "--copy-in", f"{work / 'overlay' / content.OVERLAY[1:]}:/etc",
            "--mkdir", os.path.dirname(content.REGISTRIES),
            "--upload", f"{work / 'registries.conf'}:{content.REGISTRIES}"],
        "xorriso": ["xorriso", "-as", "mkisofs", "-quiet", "-output", out / "cidata.iso",
                    "-volid", "cidata", "-joliet", "-rock", out / "user-data", out / "meta-data"],
        "qemu-img convert -c": ["qemu-img", "convert", "-c", "-O", "qcow2", out / "work.qcow2",
                                image(work)],
    }
    load, seconds = os.getloadavg()[0], {}
    for name, argv in steps.items():
        start = time.monotonic()
        run(argv, env=env)
        seconds[name] = round(time.monotonic() - start, 3)
    # Beside it: with the compression that ingot uses if nobody says otherwise.
    start = time.monotonic()
    run(["qemu-img", "convert", "-c", "-O", "qcow2", "-o", "compression_type=zstd",
         out / "work.qcow2", out / "zstd.qcow2"])
    zstd = round(time.monotonic() - start, 3)
    return {"seconds": sum(seconds.values()), "steps": seconds, "zstd_seconds": zstd, "load": load,
            "bytes": image(work).stat().st_size,
            "zstd_bytes": (out / "zstd.qcow2").stat().st_size}


LOOK = (f"sha256sum {content.BINARY} {content.REGISTRIES}; cd {content.OVERLAY} && "
        "sha256sum * | sha256sum; dpkg-query -W | sha256sum; dpkg --audit")


def look(ingot, disk):
    return run(["guestfish", "--ro", "-a", disk, "-i", "sh", LOOK], env=environment(ingot))


def compare(ingot, work, theirs, ours):
    """Both disks hold the same files and the same packages, or the benchmark says nothing."""
    a, b = look(ingot, theirs), look(ingot, ours)
    if a != b:
        sys.exit(f"bench: the two images differ:\n{a}\n{b}")
