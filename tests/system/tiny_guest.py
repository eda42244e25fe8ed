#!/usr/bin/env python3
"""Makes the tiny guest: an artifact (disk and image.json) whose system is the host's kernel, busybox
and the guest agent in an initramfs, on a small disk with GRUB for BIOS. It answers its agent a few
seconds after its start, so that tests of the companion need no whole distribution.

  tiny_guest.py DIR [--mute] [--name NAME]

It reads the NoCloud seed as cloud-init does (host name, instance-id; user-data is kept in
/run/cloud-init/user-data), writes /run/cloud-init/result.json, gets an address by DHCP, and keeps what
is written to /disk, which is on its disk. --mute leaves the agent out: a guest that never answers.

Needed: busybox (static), qemu-guest-agent, grub-pc-bin, grub-common, e2fsprogs, qemu-utils, a kernel.
"""

import argparse
import glob
import gzip
import hashlib
import json
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

MODULES = ["virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "virtio_scsi", "virtio_rng",
           "sd_mod", "sr_mod", "ata_piix", "isofs", "ext4", "button"]
SECTOR, START, SIZE = 512, 2048, 64 << 20

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/sbin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /run/cloud-init /dev/virtio-ports /seed /disk /tmp /var/run /dev/pts
mount -t devpts pts /dev/pts
for m in @MODULES@; do insmod /modules/$m.ko; done
for try in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vda1 ] && { [ -b /dev/sr0 ] || [ $try -gt 5 ]; } && break
    sleep 0.2
done
mount -t ext4 /dev/vda1 /disk
if [ -b /dev/sr0 ] && mount -t iso9660 -o ro /dev/sr0 /seed; then
    sed -n 's/^instance-id: "\\(.*\\)"$/\\1/p' /seed/meta-data > /run/cloud-init/instance-id
    sed -n 's/^local-hostname: "\\(.*\\)"$/\\1/p' /seed/meta-data > /etc/hostname
    hostname -F /etc/hostname
    cp /seed/user-data /seed/meta-data /run/cloud-init/
fi
ip link set lo up
for name in /sys/class/net/*; do
    name=${name##*/}
    [ $name = lo ] || { ip link set $name up; udhcpc -q -n -t 5 -T 1 -i $name -s /dhcp > /dev/null & }
done
port=$(grep -l org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name)
port=${port%/name}
mkdir -p /usr/local/var/run /var/lib/qemu
[ -x /usr/sbin/qemu-ga ] && /usr/sbin/qemu-ga -d -m virtio-serial -p /dev/${port##*/} -t /run
echo '{"v1": {"datasource": "DataSourceNoCloud [seed=/dev/sr0]", "errors": []}}' \
    > /run/cloud-init/result.json
echo "tiny guest $(hostname) is up"
exec setsid cttyhack sh
"""

DHCP = """#!/bin/busybox sh
[ "$1" = bound ] || exit 0
/bin/busybox ip addr add $ip/${mask:-24} dev $interface
[ -z "$router" ] || /bin/busybox ip route add default via ${router%% *}
"""

SHUTDOWN = "#!/bin/busybox sh\nsync; umount /disk; (sleep 0.3; poweroff -f) &\n"


def run(*argv, **more):
    env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    done = subprocess.run([str(a) for a in argv], env=env, text=True, capture_output=True, **more)
    if done.returncode:
        sys.exit(f"{argv[0]} failed ({done.returncode}): {done.stderr or done.stdout}")
    return done.stdout


def kernel():
    """The newest kernel that can be read and has its modules."""
    found = [k for k in glob.glob("/boot/vmlinuz-*")
             if os.access(k, os.R_OK) and os.path.isdir("/lib/modules/" + k.split("vmlinuz-")[1])]
    if not found:
        sys.exit("no kernel in /boot that this user can read")
    newest = max(found, key=os.path.getmtime)
    return newest, newest.split("vmlinuz-")[1]


def modules(release):
    """Module files with those that they need, in the order in which they are to be loaded."""
    order = []
    for name in MODULES:
        shown = run("modprobe", "-S", release, "--show-depends", name).splitlines()
        for line in shown:
            word = line.split()
            if word[0] == "insmod" and word[1] not in order:
                order.append(word[1])
    return order


def libraries(program):
    found = []
    for line in run("ldd", program).splitlines():
        paths = [w for w in line.split() if w.startswith("/")]
        found += paths[:1]
    return found


class Cpio:
    """newc archives (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self.out, self.inode, self.made = bytearray(), 0, set()

    def entry(self, name, mode, data=b"", rdev=(0, 0)):
        self.inode += 1
        name = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(name), 0]
        self.out += b"070701" + b"".join(b"%08x" % f for f in fields) + name
        self.out += bytes(-len(self.out) % 4) + data
        self.out += bytes(-len(self.out) % 4)

    def folders(self, name):
        parts = name.split("/")[:-1]
        for i in range(1, len(parts) + 1):
            folder = "/".join(parts[:i])
            if folder not in self.made:
                self.made.add(folder)
                self.entry(folder, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o755):
        name = name.lstrip("/")
        self.folders(name)
        self.entry(name, stat.S_IFREG | mode, data)

    def end(self):
        self.entry("TRAILER!!!", 0)
        return bytes(self.out)


def read_module(path):
    if path.endswith(".xz"):
        return subprocess.run(["xz", "-dc", path], check=True, capture_output=True).stdout
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    return pathlib.Path(path).read_bytes()


def initramfs(release, mute):
    archive = Cpio()
    names = []
    for path in modules(release):
        name = os.path.basename(path).split(".ko")[0]
        names.append(name)
        archive.file(f"modules/{name}.ko", read_module(path), 0o644)
    busybox = shutil.which("busybox")
    archive.file("bin/busybox", pathlib.Path(busybox).read_bytes())
    archive.file("init", INIT.replace("@MODULES@", " ".join(names)).encode())
    archive.file("dhcp", DHCP.encode())
    archive.file("sbin/shutdown", SHUTDOWN.encode())
    archive.file("etc/os-release", b'ID=tiny\nPRETTY_NAME="Tiny guest"\n', 0o644)
    archive.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)
    for folder in ("dev/x", "proc/x", "sys/x", "run/x"):
        archive.folders(folder)
    if not mute:
        program = "/usr/sbin/qemu-ga"
        archive.file(program, pathlib.Path(program).read_bytes())
        for library in libraries(program):
            archive.file(library, pathlib.Path(library).read_bytes())
    return gzip.compress(archive.end(), 1, mtime=0)


def install_grub(disk, work):
    """GRUB's boot.img and core.img behind the partition table, in the gap before the partition."""
    folder = "/usr/lib/grub/i386-pc"
    early = work / "early.cfg"
    early.write_text("set root=(hd0,msdos1)\nset prefix=(hd0,msdos1)/boot\n"
                     "configfile (hd0,msdos1)/boot/grub.cfg\n")
    core = work / "core.img"
    run("grub-mkimage", "-O", "i386-pc", "-d", folder, "-o", core, "-p", "(hd0,msdos1)/boot", "-c",
        early, "biosdisk", "part_msdos", "ext2", "linux", "normal", "configfile", "serial",
        "terminal", "echo")
    boot = bytearray(pathlib.Path(folder, "boot.img").read_bytes())
    image = bytearray(core.read_bytes())
    image += bytes(-len(image) % SECTOR)
    boot[0x5C:0x64] = struct.pack("<Q", 1)
    boot[0x66:0x68] = b"\x90\x90"
    image[0x1F4:0x200] = struct.pack("<QHH", 2, len(image) // SECTOR - 1, 0x820)
    assert len(image) // SECTOR < START - 1
    with open(disk, "r+b") as f:
        f.write(boot[:440])
        f.seek(SECTOR)
        f.write(image)


def make_disk(target, mute, work):
    path, release = kernel()
    tree = work / "tree"
    (tree / "boot").mkdir(parents=True)
    shutil.copyfile(path, tree / "boot/vmlinuz")
    (tree / "boot/initrd").write_bytes(initramfs(release, mute))
    (tree / "boot/grub.cfg").write_text(
        "linux /boot/vmlinuz console=ttyS0 panic=-1 loglevel=6\ninitrd /boot/initrd\nboot\n")
    raw = work / "disk.raw"
    with open(raw, "wb") as f:
        f.truncate(SIZE)
        # One partition of type 83, active, from sector 2048 to the end.
        f.seek(446)
        f.write(struct.pack("<B3sB3sII", 0x80, b"\0\0\0", 0x83, b"\0\0\0", START,
                            SIZE // SECTOR - START))
        f.seek(510)
        f.write(b"\x55\xaa")
    run("mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal,^metadata_csum,^64bit", "-d", tree,
        "-E", f"offset={START * SECTOR}", raw, f"{(SIZE - START * SECTOR) >> 10}k")
    install_grub(raw, work)
    run("qemu-img", "convert", "-q", "-O", "qcow2", raw, target)


def make(folder, name="tiny", mute=False):
    """Makes the artifact in `folder`, and returns its image.json as a value."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    disk = folder / f"{name}-amd64.qcow2"
    with tempfile.TemporaryDirectory(prefix="ingot-tiny-") as work:
        make_disk(disk, mute, pathlib.Path(work))
    disk.chmod(0o644)
    image = {
        "contract": 1, "requires": [], "name": name, "arch": "amd64", "firmware": "bios",
        "os": {"id": "tiny", "pretty_name": "Tiny guest", "init": "busybox"},
        "files": [{"role": "disk", "name": disk.name, "format": "qcow2",
                   "bytes": disk.stat().st_size,
                   "sha256": hashlib.sha256(disk.read_bytes()).hexdigest()}],
        "minimum": {"memory": 128 << 20}, "recommended": {"memory": 256 << 20, "cpus": 1},
        "seed": {"kind": "cloud-init", "label": "cidata"}, "agent": True,
        "users": [{"name": "root"}], "ports": [], "packages": [],
        "distribution": {"name": "none"}, "built": {"epoch": 1700000000, "tools": []},
    }
    (folder / "image.json").write_text(json.dumps(image, indent=2) + "\n")
    return image


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--name", default="tiny")
    parser.add_argument("--mute", action="store_true")
    given = parser.parse_args()
    make(given.folder, given.name, given.mute)
