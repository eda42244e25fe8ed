#!/usr/bin/env python3
"""What the compiler does not check of the sources: includes go one way, one file per foreign
library, no shell and no unbounded string functions, files and functions of a readable size."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILDER = ROOT / "builder"

# Foreign headers and the only files that may see them (globs below builder/).
FOREIGN = {
    "guestfs.h": ["disk/appliance*.[ch]"],
    "ext2fs/": ["disk/ext4*.[ch]"],
    "blkid/": ["disk/partitions.c"],
    "curl/": ["source/curl*.c"],
    "gpgme.h": ["signature/openpgp.c"],
    "yaml.h": ["*/yaml.c"],
    "jansson.h": ["base/json.h"],
    "openssl/": ["base/digest.c"],
    "zlib.h": ["resolve/apk_package.c"],
    "archive": ["payload/*.[ch]", "disk/ext4*.c", "disk/tar_reader.c", "disk/appliance_tar.c"],
    "libvirt/": ["boot/virt*.[ch]"],
    "libxml/": ["boot/xml*.[ch]", "boot/domain_xml.c"],
    "libisofs/": ["cidata/iso*.[ch]"],
    "libburn/": ["cidata/iso*.[ch]"],
}
BANNED = re.compile(
    r"\b(system|popen|strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|mktemp|tmpnam|alloca)\s*\("
)
MAX_FILE, MAX_FUNCTION = 620, 85


def layers():
    """The order in which the Makefile stands: leaves, ingot's, boot's."""
    text = (ROOT / "Makefile").read_text()
    return [re.search(rf"^{n} := (.*)$", text, re.M).group(1).split()
            for n in ("LEAVES", "INGOT_LAYERS", "BOOT_LAYERS")]


def allowed():
    leaves, ingot, boot = layers()
    order = {}
    for i, layer in enumerate(leaves):
        order[layer] = set(leaves[: i + 1])
    for i, layer in enumerate(ingot):
        order[layer] = set(leaves) | set(ingot[: i + 1])
    for i, layer in enumerate(boot):
        order[layer] = set(leaves) | set(boot[: i + 1])
    return order


def strip_comments(text):
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group(0))
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def functions(text):
    """(line, length) of each function body: a brace in column 0 opens and closes it."""
    start = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start:
            yield start, number - start + 1
            start = None


def check_file(path, order, complain):
    name = path.relative_to(BUILDER)
    layer = name.parts[0]
    text = path.read_text()
    if layer not in order:
        complain(path, 1, f"folder '{layer}' is no layer of the Makefile")
        return
    for number, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not m:
            continue
        kind, header = m.groups()
        if kind == '"':
            if not (BUILDER / header).is_file():
                complain(path, number, f'"{header}" is not named from builder/')
            elif header.split("/")[0] not in order[layer]:
                complain(path, number, f"layer {layer} may not include {header}: includes go down")
        for foreign, where in FOREIGN.items():
            if header.startswith(foreign) and not any(name.match(w) for w in where):
                complain(path, number, f"<{header}> belongs to {', '.join(where)}")
    code = strip_comments(text)
    for number, line in enumerate(code.splitlines(), 1):
        m = BANNED.search(line)
        if m:
            complain(path, number, f"{m.group(1)} is not used here")
    for start, length in functions(code):
        if length > MAX_FUNCTION:
            complain(path, start, f"a function of {length} lines")
    if text.count("\n") > MAX_FILE:
        complain(path, 1, f"a file of {text.count(chr(10))} lines")


def main():
    problems = []

    def complain(path, line, message):
        problems.append(f"{path.relative_to(ROOT)}:{line}: {message}")

    order = allowed()
    sources = sorted(p for s in ("c", "h") for p in BUILDER.rglob(f"*.{s}"))
    for path in sources:
        check_file(path, order, complain)
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True,
                             capture_output=True).stdout.split()
    for name in tracked:
        if name.endswith((".o", ".a", ".pyc", ".qcow2", ".iso")):
            complain(ROOT / name, 1, "generated file among the sources")
    for p in problems:
        print(p)
    print(f"lint: {len(sources)} files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
