#!/usr/bin/env python3
"""Makes a signed apk repository of some .apk files, as `apk index` and abuild-sign do, with no Alpine
at hand: FOLDER/ARCH/ with the packages and APKINDEX.tar.gz, and FOLDER/NAME.rsa.pub, its key.

    apk_repository.py FOLDER NAME PACKAGE.apk…

The index holds each package's identity, the SHA-1 of its control segment (apk-index(5)), which is
what apk compares when it installs from a trusted index. A key is made once and kept beside the
folder as FOLDER.key; --unsigned leaves the signature out."""

import argparse
import base64
import gzip
import hashlib
import io
import pathlib
import shutil
import subprocess
import tarfile
import zlib


def segments(data):
    """The gzip members of an .apk: signature, control, data."""
    while data:
        d = zlib.decompressobj(31)
        text = d.decompress(data)
        text += d.flush()
        size = len(data) - len(d.unused_data)
        yield data[:size], text
        data = d.unused_data


def entry(path):
    """One paragraph of APKINDEX and the package's architecture."""
    raw = path.read_bytes()
    control, text = list(segments(raw))[1]
    with tarfile.open(fileobj=io.BytesIO(text)) as tar:
        info = tar.extractfile(".PKGINFO").read().decode()
    fields = [tuple(x.strip() for x in line.split("=", 1))
              for line in info.splitlines() if "=" in line and not line.startswith("#")]
    one = dict(fields)
    many = lambda name: " ".join(v for k, v in fields if k == name)
    identity = "Q1" + base64.b64encode(hashlib.sha1(control).digest()).decode()
    lines = [("C", identity), ("P", one["pkgname"]), ("V", one["pkgver"]), ("A", one["arch"]),
             ("S", str(len(raw))), ("I", one.get("size", "0")), ("T", one.get("pkgdesc", "")),
             ("U", one.get("url", "")), ("L", one.get("license", "")), ("D", many("depend")),
             ("p", many("provides"))]
    return "".join(f"{k}:{v}\n" for k, v in lines if v) + "\n", one


def tar_gz(files, cut=False):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        end = tar.offset
    data = out.getvalue()
    return gzip.compress(data[:end] if cut else data, mtime=0)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--unsigned", action="store_true")
    ap.add_argument("folder", type=pathlib.Path)
    ap.add_argument("name")
    ap.add_argument("packages", nargs="+", type=pathlib.Path)
    args = ap.parse_args()
    key = args.folder.parent / (args.folder.name + ".key")
    args.folder.mkdir(parents=True, exist_ok=True)
    if not key.exists():
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    public = f"{args.name}.rsa.pub"
    subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", args.folder / public],
                   check=True, capture_output=True)
    text, arch = "", "x86_64"
    for p in args.packages:
        paragraph, one = entry(p)
        text, arch = text + paragraph, one["arch"]
        (args.folder / arch).mkdir(exist_ok=True)
        shutil.copyfile(p, args.folder / arch / f"{one['pkgname']}-{one['pkgver']}.apk")
    index = tar_gz([("DESCRIPTION", b"test"), ("APKINDEX", text.encode())])
    if not args.unsigned:
        signature = subprocess.run(["openssl", "dgst", "-sha1", "-sign", key], input=index,
                                   check=True, capture_output=True).stdout
        index = tar_gz([(f".SIGN.RSA.{public}", signature)], cut=True) + index
    (args.folder / arch / "APKINDEX.tar.gz").write_bytes(index)


if __name__ == "__main__":
    main()
