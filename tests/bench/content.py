"""What is put into the image, the same for both ways, and the recipes that say so."""

import json
import random
import shutil

from measure import run

MIB = 1 << 20
BINARY = "/usr/local/bin/engine"
REGISTRIES = "/etc/containers/registries.conf.d/50-bench.conf"
OVERLAY = "/etc/bench.d"

BOOTSTRAP = """ingot: 1
name: bench-base
base:
  bootstrap: {os: debian, suite: bookworm}
"""

REGISTRIES_TEXT = """[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "localhost:5000"
insecure = true
"""


def write_binary(path, size, seed):
    """Bytes that compress to about a half, as those of programs do."""
    if path.exists() and path.stat().st_size == size:
        return
    words = random.Random(seed)
    common = [words.randbytes(64) for _ in range(256)]
    with open(path, "wb") as f:
        for _ in range(size // 8192):
            f.write(words.randbytes(4096))
            f.write(b"".join(words.choices(common, k=64)))
    path.chmod(0o755)


def write_overlay(folder, seed):
    shutil.rmtree(folder, ignore_errors=True)
    inner = folder / OVERLAY[1:]
    inner.mkdir(parents=True)
    for i in range(200):
        lines = random.Random(seed * 1000 + i)
        (inner / f"{i:03}.conf").write_text("".join(
            f"key{n} = {lines.getrandbits(64):x}\n" for n in range(lines.randint(10, 200))))


def make(work):
    write_binary(work / "engine", 60 * MIB, 1)
    write_overlay(work / "overlay", 1)
    write_overlay(work / "other", 2)
    (work / "registries.conf").write_text(REGISTRIES_TEXT)


def change_overlay(work, i):
    """Another content, never one that an earlier run has had."""
    path = work / "overlay" / OVERLAY[1:] / "100.conf"
    path.write_text(f"changed = {random.SystemRandom().getrandbits(64):x}\nround = {i}\n")


def write_recipe(work, name, base, disk, packages, overlay="overlay", hostname="bench",
                 large=False, outputs="[qcow2, cidata]"):
    files = [{"path": BINARY, "source": str(work / "engine"), "mode": "0755"},
             {"path": REGISTRIES, "source": str(work / "registries.conf")}]
    if large:
        write_binary(work / "large", 1024 * MIB, 3)
        files.append({"path": "/srv/large", "source": str(work / "large")})
    digest = work / "base.sha256"
    if not digest.exists() or digest.stat().st_mtime < base.stat().st_mtime:
        digest.write_text(run(["sha256sum", base]).split()[0])
    recipe = work / f"{name}.yaml"
    # JSON is YAML.
    recipe.write_text(f"""ingot: 1
name: {name}
base:
  image: {json.dumps(str(base))}
  verify: {{sha256: {digest.read_text()}}}
  os: debian
  seed: cloud-init
  user: debian
disk: {disk}
outputs: {outputs}
packages: {json.dumps(packages)}
overlays: [{json.dumps(str(work / overlay))}]
files: {json.dumps(files)}
boot: {{user: debian, hostname: {hostname}}}
""")
    return recipe


def packages_of(ingot, recipe, folder):
    """The very packages that ingot resolved, out of its cache, for those who install them by
    hand."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    newest = max((ingot.cache / "resolutions").glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
    for p in json.loads(newest.read_text())["packages"]:
        shutil.copyfile(ingot.cache / "blobs" / "sha256" / p["sha256"], folder / p["filename"])
    return folder
