"""The two disk writers, ext4 on the host and libguestfs in the appliance, give the same tree."""

import io
import json
import os
import tarfile

import pytest

from bakes import bake
from helpers import Ext4, raw_of, run, sha256, write


@pytest.fixture(scope="module")
def both(ingot, alpine, alpine_recipe, site, artifacts, tmp_path_factory):
    """writer -> Ext4 of the same recipe, with one of everything that a payload can hold."""
    folder = tmp_path_factory.mktemp("writers")
    tree = site / "tree"
    # Where Alpine has links to folders and to files.
    write(tree / "var/spool/cron/crontabs/site", "# crontab\n", 0o600)
    write(tree / "etc/mtab", "a file in the place of a link\n")
    write(tree / "usr/share/site/deep/er/file", "deep\n", 0o640)
    os.symlink("deep/er", tree / "usr/share/site/link-to-folder")
    os.symlink("../../../etc/passwd", tree / "usr/share/site/link-out-of-it")
    write(tree / "usr/share/site/ünï¢ode with space", "name\n")
    write(tree / "usr/share/site/" / ("n" * 255), "long name\n")
    (tree / "usr/share/site/large").write_bytes(os.urandom(3 << 20))
    write(tree / "usr/share/site/empty", "")
    with open(tree / "usr/share/site/holes", "wb") as f:
        f.truncate(1 << 20)
    archive = site / "more.tar"
    with tarfile.open(archive, "w") as tar:
        for name, kind in (("folder", tarfile.DIRTYPE), ("folder/file", tarfile.REGTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o751
            data = b"from an archive" if kind == tarfile.REGTYPE else b""
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    more = (f"sources: [{{url: {archive}, verify: {{sha256: {sha256(archive)}}}, unpack: tar,"
            " to: /srv/more}]\n"
            'directories: {/srv/own: {mode: "1770", owner: "1000:1000"}, /etc/ssh: "0700"}\n'
            'files: [{path: /etc/motd, content: "motd\\n", mode: "0604", owner: "3:4"}]\n')
    recipe = alpine_recipe("writers", more, overlays="overlays: [site, ./tree]\n",
                           services="services: {enable: [site-hello], disable: [sshd]}\n")
    found = {}
    for writer in ("auto", "appliance"):
        image = bake(ingot, recipe, folder / writer, "--writer", writer, "--force")
        found[writer] = Ext4(raw_of(image.disk, folder / f"{writer}.raw"))
        found[writer].said = image.said
        found[writer].epoch = json.loads(recipe.with_suffix(".lock").read_text())["epoch"]
    return found


def tree_of(system):
    """path -> (mode, uid, gid, size) of all that is there, and the contents by rdump."""
    found, level = {}, ["/"]
    while level:
        script = system.path.with_suffix(".ls")
        script.write_text("".join(f'ls -p "{folder}"\n' for folder in level))
        below, folder = [], None
        for line in run("debugfs", "-f", script, system.path).out.splitlines():
            if line.startswith("debugfs: ls -p "):
                folder = line[len('debugfs: ls -p "'):-1]
                continue
            fields = line.split("/")
            if len(fields) < 7 or fields[5] in (".", ".."):
                continue
            path = os.path.join(folder, fields[5])
            mode = int(fields[2], 8)
            is_folder = mode & 0o170000 == 0o040000
            found[path] = (oct(mode), fields[3], fields[4], None if is_folder else fields[6])
            if is_folder:
                below.append(path)
        level = below
    return found


@pytest.fixture(scope="module")
def trees(both):
    return {writer: tree_of(system) for writer, system in both.items()}


@pytest.fixture(scope="module")
def dumps(both):
    folders = {}
    for writer, system in both.items():
        folders[writer] = system.path.with_suffix(".dump")
        folders[writer].mkdir()
        run("debugfs", "-R", f"rdump / {folders[writer]}", system.path)
    return folders


def test_each_did_its_work(both):
    assert "(appliance)" not in both["auto"].said and ", ext4)" in both["auto"].said
    assert ", appliance)" in both["appliance"].said
    for system in both.values():
        assert system.check().code == 0


def test_same_names_types_modes_owners_sizes(trees):
    assert len(trees["auto"]) > 1000
    differ = {path for path in trees["auto"].keys() | trees["appliance"].keys()
              if trees["auto"].get(path) != trees["appliance"].get(path)}
    assert not differ, {p: (trees["auto"].get(p), trees["appliance"].get(p))
                        for p in sorted(differ)[:10]}


def test_same_contents_and_link_targets(trees, dumps):
    differ, files = [], 0
    for path in trees["auto"]:
        one, two = (dumps[w] / path[1:] for w in ("auto", "appliance"))
        if one.is_symlink() or two.is_symlink():
            same = os.readlink(one) == os.readlink(two)
        elif one.is_file():
            files += 1
            same = two.is_file() and sha256(one) == sha256(two)
        else:
            same = one.is_dir() == two.is_dir()
        if not same:
            differ.append(path)
    assert files > 500 and differ == []


def test_same_attributes(both, trees):
    """Extended attributes of all files, and the times of those that were laid."""
    said = {}
    for writer, system in both.items():
        script = system.path.with_suffix(".ea")
        script.write_text("".join(f'ea_list "{path}"\n' for path in sorted(trees["auto"])))
        said[writer] = run("debugfs", "-f", script, system.path).out
        for path in ("/etc/motd", "/usr/share/site/large", "/srv/more/folder/file"):
            stat = system.debugfs(f'stat "{path}"')
            assert f"mtime: {system.epoch:#010x}" in stat, stat
    assert said["auto"] == said["appliance"]


@pytest.mark.parametrize("writer", ["auto", "appliance"])
def test_as_the_recipe_says(both, trees, writer):
    tree, system = trees[writer], both[writer]
    kind = {path: int(tree[path][0], 8) for path in tree}
    assert tree["/etc/motd"][:3] == ("0o100604", "3", "4")
    assert tree["/srv/own"][:3] == ("0o41770", "1000", "1000")
    assert tree["/etc/ssh"][0] == "0o40700"
    assert tree["/srv/more/folder/file"][0] == "0o100751"
    # A folder in the place of a link to a folder goes where the link leads.
    assert kind["/var/spool/cron/crontabs"] & 0o170000 == 0o120000
    assert system.cat("/etc/crontabs/site") == "# crontab\n"
    assert kind["/usr/share/site/link-to-folder"] & 0o170000 == 0o120000
    assert "/etc/runlevels/default/sshd" not in tree
    assert "/etc/runlevels/default/site-hello" in tree
    assert tree["/usr/share/site/" + "n" * 255][3] == "10"
