"""Mirrors: where a URL is asked for instead, in which order, and that a mirror is not trusted."""

import pytest

from fetching import digest, everywhere, source
from helpers import write
from servers import Answer, Pattern, Wire

BODY = Pattern(50_000)[:]
OTHER = bytes(reversed(BODY))


@pytest.fixture
def wire():
    server = Wire()
    yield server
    server.stop()


@pytest.fixture
def mirror(there, wire):
    """Runs fetch of a URL of upstream.example with --mirror texts; asked() are paths of the server."""

    def fetch(*texts, url="http://upstream.example/pub/a/thing", env=None, body=BODY):
        options = [o for t in texts for o in ("--mirror", t.format(wire=wire.url))]
        return there.fetch(source(url, body), options=options,
                           ingot=there.ingot.with_(**(env or {})))

    return fetch


def paths(wire):
    return [r.path for r in wire.requests]


def test_in_order(mirror, there, wire):
    wire.put("/two/a/thing", BODY)
    done = mirror("http://upstream.example/pub={wire}/one", "http://upstream.example/pub={wire}/two",
                  "http://upstream.example/pub={wire}/three")
    assert done.code == 0 and there.holds(BODY), done
    assert paths(wire) == ["/one/a/thing", "/two/a/thing"]


def test_several_in_one_text(mirror, there, wire):
    wire.put("/two/a/thing", BODY)
    done = mirror("http://upstream.example/pub={wire}/one http://upstream.example/pub={wire}/two")
    assert done.code == 0, done
    assert paths(wire) == ["/one/a/thing", "/two/a/thing"]


def test_longest_prefix_first(mirror, wire):
    wire.put("/short/pub/a/thing", BODY)
    done = mirror("http://upstream.example/={wire}/short/",
                  "http://upstream.example/pub/a={wire}/long")
    assert done.code == 0, done
    assert paths(wire) == ["/long/thing", "/short/pub/a/thing"]


def test_only_whole_words(mirror, wire):
    done = mirror("http://upstream.example/pu={wire}/x", "http://upstream.examp={wire}/y")
    assert done.code == 5 and wire.requests == [], done


def test_lies_of_a_mirror(there, wire):
    """A mirror with other bytes is left; the URL itself has the right ones."""
    url = wire.put("/up/thing", BODY)
    wire.put("/lie/thing", OTHER)
    done = there.fetch(source(url, BODY), options=["--mirror", f"{wire.url}/up={wire.url}/lie"])
    assert done.code == 0 and there.holds(BODY) and not there.blob(OTHER).exists(), done
    assert paths(wire) == ["/lie/thing", "/up/thing"]
    assert f"{wire.url}/lie/thing" in done.err, "nothing was said of the mirror"
    there.clean()


def test_nothing_but_lies(mirror, there, wire):
    wire.put("/lie/thing", OTHER)
    done = mirror("http://upstream.example/pub/a=!{wire}/lie")
    assert done.code == 4 and digest(BODY) in done.err and digest(OTHER) in done.err, done
    assert "http://upstream.example/pub/a/thing" in done.err
    assert there.ingot.work_left() == [] and not there.blob(OTHER).exists()


def test_only(there, wire):
    """`!` keeps the URL itself from being asked."""
    url = wire.put("/up/thing", BODY)
    done = there.fetch(source(url, BODY), options=["--mirror", f"{wire.url}/up=!{wire.url}/gone"])
    assert done.code == 5 and paths(wire) == ["/gone/thing"], done
    assert url in done.err


def test_by_digest(mirror, there, wire):
    """A static copy of a cache's blobs serves whatever has a digest."""
    wire.put(f"/blobs/sha256/{digest(BODY)}", BODY)
    done = mirror("sha256:={wire}/blobs/sha256/")
    assert done.code == 0 and there.holds(BODY), done
    assert paths(wire) == [f"/blobs/sha256/{digest(BODY)}"]


@pytest.mark.parametrize("as_url", [True, False])
def test_folder(mirror, there, tmp_path, as_url):
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "thing").write_bytes(BODY)
    there_ = f"file://{folder}" if as_url else str(folder)
    done = mirror(f"http://upstream.example/pub/a=!{there_}")
    assert done.code == 0 and there.holds(BODY), done


def test_environment_and_settings(mirror, there, wire):
    """--mirror, then INGOT_MIRROR, then config.yaml: equal prefixes in that order."""
    config = there.home / ".config"
    write(config / "ingot/config.yaml",
          f"mirror: http://upstream.example/pub={wire.url}/setting\n")
    wire.put("/setting/a/thing", BODY)
    env = {"XDG_CONFIG_HOME": config}
    assert mirror(env=env).code == 0
    assert paths(wire) == ["/setting/a/thing"]
    wire.requests.clear()
    wire.put("/environment/a/thing2", OTHER)
    env["INGOT_MIRROR"] = f"http://upstream.example/pub={wire.url}/environment"
    assert mirror(env=env, url="http://upstream.example/pub/a/thing2", body=OTHER).code == 0
    assert paths(wire) == ["/environment/a/thing2"]
    wire.requests.clear()
    wire.put("/option/a/thing3", BODY + b"3")
    done = mirror("http://upstream.example/pub={wire}/option", env=env,
                  url="http://upstream.example/pub/a/thing3", body=BODY + b"3")
    assert done.code == 0 and paths(wire)[0] == "/option/a/thing3", done


@pytest.mark.parametrize("text", ["nothing", "=x", "http://a.example=", "http://a.example=ftp://b/",
                                  "http://a.example=relative/path", "sha256:=!!/x"])
def test_bad_text(mirror, text):
    done = mirror(text)
    assert done.code == 2 and "--mirror" in done.err and text in done.err, done
    done = mirror(env={"INGOT_MIRROR": text})
    assert done.code == 2 and "INGOT_MIRROR" in done.err, done


def test_password_of_a_mirror(mirror, there, wire):
    """A mirror's own credentials are not said."""
    wire.put("/pub/a/thing", BODY, Answer(login="me:m1rr0rpw"))
    there_ = wire.url.replace("//", "//me:m1rr0rpw@")
    done = mirror(f"http://upstream.example={there_}")
    assert "m1rr0rpw" not in done.out + done.err
    assert everywhere(there.folder, ["m1rr0rpw"]) == []
    assert done.code == 0 and there.holds(BODY), done


def test_checksum_file_from_a_mirror(there, wire):
    """The checksum file is mirrored like the rest."""
    wire.put("/m/SHA256SUMS", f"{digest(BODY)}  thing\n".encode())
    wire.put("/m/thing", BODY)
    thing = source("https://upstream.example/pub/thing",
                   verify="{checksums: https://upstream.example/pub/SHA256SUMS}")
    done = there.fetch(thing, options=["--mirror", f"https://upstream.example/pub={wire.url}/m"])
    assert done.code == 0 and there.holds(BODY), done
    assert paths(wire) == ["/m/SHA256SUMS", "/m/thing"]
