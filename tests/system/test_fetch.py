"""Fetching from servers that behave, and from one that does not."""

import email.utils
import re
import threading
import time

import pytest

from conftest import need
from fetching import digest, everywhere, source
from helpers import sha256, write
from servers import Answer, Authority, Nginx, Pattern, Proxy, Wire

BODY = Pattern(300_000)[:]
OTHER = bytes(reversed(BODY))
NEVER = threading.Event()
PATH = "/pub/thing-1.0.bin"


@pytest.fixture(scope="module")
def wire():
    server = Wire()
    yield server
    NEVER.set()
    server.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    need("openssl")
    return Authority(tmp_path_factory.mktemp("ca"))


def offsets(requests):
    """Where each request began; None for one without Range."""
    return [r.range and int(re.fullmatch(r"bytes=(\d+)-", r.range)[1]) for r in requests]


def refused(done, code, url, *words):
    """The one error: its code, the source's URL, and what else it must say."""
    assert done.code == code if code else done.code in (4, 5), done
    assert "s3cr3t" not in done.err
    said = [l for l in done.err.splitlines() if l.startswith("error: ")]
    assert len(said) == 1, done
    for word in (url, *words):
        assert str(word).lower() in said[0].lower(), (word, done)


def impatient(there):
    """A second without bytes is a stall."""
    return there.ingot.with_(INGOT_TEST_STALL_SECONDS=1)


# --- what goes well in the end ------------------------------------------------------------------

CUT = Answer(cut=100_000)


def redirects(count, last="/end"):
    """Paths /0 … that lead on to each other, count times."""
    paths = [f"/r{count}/{i}" for i in range(count)] + [last]
    return paths[0], list(zip(paths[:-1], paths[1:]))


WELL = {  # answers -> where the requests began
    "plain": ([Answer()], [None]),
    "no validator": ([Answer(etag=None)], [None]),
    "until the end": ([Answer(length="none")], [None]),
    "chunked": ([Answer(chunked=True)], [None]),
    "resumed": ([CUT, Answer()], [None, 100_000]),
    "resumed twice": ([CUT, CUT, Answer()], [None, 100_000, 200_000]),
    "resumed when chunked": ([Answer(chunked=True, cut=100_000), Answer()], [None, 100_000]),
    "cut before the first byte": ([Answer(cut=0), Answer()], [None, None]),
    "closed before the answer": ([Answer(drop=True), Answer(drop=True), Answer()],
                                 [None, None, None]),
    "cut, but no Range": ([Answer(cut=100_000, ranges=False), Answer(ranges=False)], None),
    # The digest is known: what is resumed with no validator is hashed as a whole all the same.
    "cut, no validator": ([Answer(cut=100_000, etag=None), Answer(etag=None)], [None, 100_000]),
    "cut, a weak ETag": ([Answer(cut=100_000, etag='W/"first"'), Answer(etag='W/"first"')],
                         [None, 100_000]),
    "changed, no validator": ([Answer(cut=100_000, etag=None, body=OTHER), Answer(etag=None)],
                              [None, 100_000, None]),
    "changed between the tries": ([Answer(cut=100_000, body=OTHER), Answer(etag='"second"')],
                                  [None, 100_000]),
    "changed, If-Range not heard": ([Answer(cut=100_000, body=OTHER),
                                     Answer(etag='"second"', heeds=False), Answer(etag='"second"')],
                                    [None, 100_000, None]),
    "wrong Content-Range": ([CUT, Answer(content_range="bytes 5-299999/300000"), Answer()],
                            [None, 100_000, None]),
    "another length in Content-Range": ([CUT, Answer(content_range="bytes 100000-399999/400000"),
                                         Answer()], [None, 100_000, None]),
    "416 to the rest": ([CUT, Answer(416), Answer()], [None, 100_000, None]),
    "502": ([Answer(502), Answer()], [None, None]),
    "503 twice": ([Answer(503), Answer(503), Answer()], [None] * 3),
    "429 with seconds": ([Answer(429, headers=(("Retry-After", "1"),)), Answer()], [None, None]),
    "429 with a date": ([Answer(429, headers=(("Retry-After", email.utils.formatdate(
        time.time() + 1, usegmt=True)),)), Answer()], [None, None]),
    "503 in the middle": ([CUT, Answer(503), Answer()], [None, 100_000, 100_000]),
    "stalled": ([Answer(hold=(1000, NEVER)), Answer()], [None, 1000]),
    "more than was said": ([Answer(body=BODY + b"more", length=len(BODY))], [None]),
}


@pytest.mark.parametrize("name", WELL)
def test_well(there, wire, name):
    answers, began = WELL[name]
    path = "/well/" + name.replace(" ", "-").replace(",", "")
    url = wire.put(path, BODY, *answers)
    done = there.fetch(source(url, BODY), ingot=impatient(there))
    assert done.code == 0, done
    requests = wire.asked(path)
    if began is not None:
        assert offsets(requests) == began
    for request in requests:
        if request.range:
            strong = answers[0].etag == '"first"'
            assert request.headers.get("if-range") == ('"first"' if strong else None), request
            assert request.headers.get("accept-encoding", "identity") == "identity", request
    if requests[-1].status == 206:
        assert requests[-1].sent == len(BODY) - began[-1]
    assert there.holds(BODY)
    there.clean()
    # A second time nothing is asked.
    asked = len(wire.requests)
    assert there.fetch(source(url, BODY)).code == 0
    assert len(wire.requests) == asked


def test_redirects(there, wire):
    """Ten are followed, and the thing keeps its name."""
    first, steps = redirects(10)
    for a, b in steps:
        wire.put(a, b"", Answer(302, headers=(("Location", b),)))
    wire.put("/end", BODY)
    assert there.fetch(source(wire.url + first, BODY)).code == 0
    assert there.holds(BODY)


def test_many_over_few_connections(there, wire):
    """Thirty files, several at once, over kept connections."""
    bodies = [Pattern(1000 + i)[:] for i in range(30)]
    before = wire.connections
    sources = [source(wire.put(f"/many/{i}", b), b, to=f"/srv/{i}") for i, b in enumerate(bodies)]
    done = there.fetch(*sources)
    assert done.code == 0, done
    assert all(there.holds(b) for b in bodies)
    assert 1 < wire.connections - before <= 16
    there.clean()


def test_what_is_said(there, wire):
    """stdout has the digest and URL of each file, --json where each is in the cache."""
    urls = [source(wire.put(f"/said/{i}", b"%d" % i), b"%d" % i, to=f"/srv/{i}") for i in range(3)]
    done = there.fetch(*urls)
    assert done.code == 0, done
    lines = dict(reversed(l.split()) for l in done.out.splitlines())
    for i in range(3):
        assert lines[f"{wire.url}/said/{i}"] == digest(b"%d" % i), done
    done, document = there.ingot.json("fetch", there.recipe(*urls))
    files = {f["url"]: f for f in document["recipes"][0]["files"]}
    for i in range(3):
        assert sha256(files[f"{wire.url}/said/{i}"]["path"]) == digest(b"%d" % i), document


def test_nginx(there, tmp_path):
    """A real server: kept connections, Range, If-Range with its own ETag after an interruption."""
    need("nginx")
    nginx = Nginx(tmp_path / "nginx", tmp_path / "www")
    try:
        (nginx.root / "slow").mkdir()
        (nginx.root / "slow/big").write_bytes(Pattern(8 << 20)[:])
        for i in range(20):
            (nginx.root / f"small{i}").write_bytes(b"%d" % i)
        big = source(nginx.url + "/slow/big", Pattern(8 << 20))
        running = there.ingot.start("fetch", there.recipe(big))
        deadline = time.monotonic() + 30
        while not any(p.stat().st_size > 1 << 20 for p in there.cache.rglob("*") if p.is_file()):
            assert time.monotonic() < deadline and running.poll() is None, running.communicate()
            time.sleep(0.01)
        running.terminate()
        assert running.wait(20) == 143
        running.communicate()
        done = there.fetch(big, *(source(f"{nginx.url}/small{i}", b"%d" % i, to=f"/srv/{i}")
                                  for i in range(20)))
        assert done.code == 0 and there.holds(Pattern(8 << 20)), done
        log = nginx.log()
        again = [l for l in log if l[1] == "/slow/big"][-1]
        assert again[0] == "206" and again[3].strip('"') != "-", log
        offset = int(re.match(r"bytes=(\d+)-", again[2])[1])
        assert offset >= 1 << 20 and int(again[4]) == (8 << 20) - offset
        assert len({l[5] for l in log if l[1].startswith("/small")}) <= 8, log
        there.clean()
    finally:
        nginx.stop()


# --- what is refused ----------------------------------------------------------------------------

TO = lambda where: Answer(302, headers=(("Location", where),))  # noqa: E731
ILL = {  # answers -> exit code, words, number of requests (None: any)
    "wrong bytes": ([Answer(body=OTHER)], 4, [digest(BODY), digest(OTHER)], 1),
    "too short": ([Answer(length=200_000)], 4, [digest(BODY), digest(BODY[:200_000])], 1),
    "empty": ([Answer(body=b"")], 4, [digest(BODY), digest(b"")], 1),
    "longer": ([Answer(body=BODY + b"x")], 4, [digest(BODY), digest(BODY + b"x")], 1),
    "less than was said": ([Answer(length=400_000, ranges=False)], 5, ["cut"], 5),
    "gzip that nobody asked for": ([Answer(packed=True)], 5, ["gzip"], 1),
    "404": ([Answer(404)], 5, ["404", "version"], 1),
    "403": ([Answer(403)], 5, ["403"], 1),
    "410": ([Answer(410)], 5, ["410"], 1),
    "401": ([Answer(login="u:p")], 5, ["401", "netrc"], 1),
    "204": ([Answer(204)], 5, ["204"], 1),
    "206 that nobody asked for": ([Answer(206)], 5, ["206"], 1),
    "500 for ever": ([Answer(500)], 5, ["500"], 5),
    "429 for a day": ([Answer(429, headers=(("Retry-After", "86400"),))], 5, ["429"], 5),
    "always closed": ([Answer(drop=True)], 5, [], 5),
    "stalls for ever": ([Answer(hold=(0, NEVER))], 5, [], 5),
    "a megabyte of headers": ([Answer(header_bytes=1_000_000)], 5, ["header"], None),
    "never a word": ([Answer(raw=b"")], 5, [], 5),
    "an exabyte": ([Answer(length=10**18)], 3, ["larger"], 1),
    "a length that is none": ([Answer(length="12monkeys")], 4, [digest(BODY[:12])], 1),
    "304 that nobody asked for": ([Answer(304)], 5, ["304"], 1),
    "no HTTP": ([Answer(raw=b"220 ftp.example ready\r\n" * 10)], 5, ["HTTP"], 1),
    "for ever 100": ([Answer(raw=[b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 1000] * 40)], 5,
                     ["header"], None),
    "endless chunk size": ([Answer(raw=[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                        b"f" * 100_000])], 5, [], None),
    "an endless trailer": ([Answer(raw=[
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
        b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 20_000])], None, [], None),
    "redirect to itself": ([TO("{url}/ill/redirect-to-itself")], 5, ["redirect"], 11),
    "redirect to a file": ([TO("file:///etc/passwd")], 4, ["redirected to file:///etc/passwd"], 1),
    "redirect to ftp": ([TO("ftp://u:s3cr3t@127.0.0.1/x")], 4, ["redirected to ftp:"], 1),
    "redirect with a password": ([TO("http://me:s3cr3t@127.0.0.1:1/x")], 5, ["127.0.0.1:1"], 2),
    "redirect to nowhere": ([Answer(302)], 5, ["302"], 1),
}


@pytest.mark.parametrize("name", ILL)
def test_ill(there, wire, name):
    answers, code, words, count = ILL[name]
    path = "/ill/" + name.replace(" ", "-")
    url = wire.put(path, BODY, *answers)
    done = there.fetch(source(url, BODY), ingot=impatient(there))
    refused(done, code, url, *words)
    if count is not None:
        assert len(wire.asked(path)) == count
    assert not there.blob(BODY).exists()
    if code == 4:
        assert there.ingot.work_left() == []
    there.clean()


def test_eleven_redirects(there, wire):
    first, steps = redirects(11)
    for a, b in steps:
        wire.put(a, b"", Answer(302, headers=(("Location", b),)))
    wire.put("/end", BODY)
    refused(there.fetch(source(wire.url + first, BODY)), 5, wire.url + first, "redirect")


def test_unknown_host_and_closed_port(there):
    for url, words in (("http://127.0.0.1:1/thing", "127.0.0.1"),
                       ("http://no-such-host.invalid/thing", "no-such-host.invalid")):
        refused(there.fetch(source(url, BODY)), 5, url, words)


@pytest.mark.parametrize("said", [True, False])
def test_larger_than_it_may_be(there, wire, said):
    """Checksum files are small: one that is not is refused, by its length or while it comes."""
    sums = Pattern(64 << 20)
    url = wire.put("/large/thing", BODY)
    where = wire.put("/large/SUMS", sums, Answer(length=None if said else "none"))
    done = there.fetch(source(url, verify=f"{{checksums: {where}}}"))
    refused(done, 3, where, "larger")
    assert wire.asked("/large/SUMS")[-1].sent < 32 << 20
    there.clean()


# --- credentials --------------------------------------------------------------------------------


def test_netrc(there, wire):
    """A password comes from netrc, goes to its host only, and is said and kept nowhere."""
    secret, user = "s3cr3t-of-netrc", "fetcher"
    netrc = there.home / "somewhere"
    write(netrc, f"machine 127.0.0.1 login {user} password {secret}\n", 0o600)
    url = wire.put("/login/thing", BODY, Answer(login=f"{user}:{secret}"))
    knowing = there.ingot.with_(NETRC=netrc)
    done = there.fetch(source(url, BODY), options=["-v"], ingot=knowing)
    assert done.code == 0 and there.holds(BODY), done
    done2 = there.fetch(source(wire.put("/login/bad", BODY, Answer(login="x:y")), OTHER),
                        options=["-v", "--json"], ingot=knowing)
    assert done2.code == 5, done2
    netrc.unlink()
    for text in (done.out, done.err, done2.out, done2.err):
        assert secret not in text
    assert everywhere(there.folder, [secret]) == []


def test_netrc_is_for_its_host(there, wire):
    """Whoever redirects does not get another host's password."""
    other = Wire()
    try:
        write(there.home / ".netrc", "machine localhost login u password secret\n", 0o600)
        end = other.put("/end", BODY)
        url = wire.put("/away", b"", TO(end))
        done = there.fetch(source(url.replace("127.0.0.1", "localhost"), BODY))
        assert done.code == 0, done
        assert "authorization" in wire.asked("/away")[-1].headers or \
            wire.asked("/away")[-1].status == 302
        assert "authorization" not in other.asked("/end")[-1].headers
    finally:
        other.stop()


def test_query_is_a_secret(there, wire):
    """Signed URLs carry their credentials in the query."""
    url = wire.put("/signed/thing", BODY, Answer(404))
    done = there.fetch(source(url + "?X-Signature=s3cr3t", BODY), options=["-v"])
    refused(done, 5, url)
    assert "s3cr3t" not in done.out + done.err


# --- TLS ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secure(authority, tmp_path_factory):
    """name -> a server with that certificate."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "stranger")
    certificates = {
        "right": authority.issue("right"),
        "stranger": stranger.issue("right"),
        "expired": authority.issue("expired", end="20210101000000Z"),
        "not yet": authority.issue("notyet", begin="20980101000000Z"),
        "wrong name": authority.issue("wrong", subject="DNS:elsewhere.example"),
    }
    servers = {name: Wire(c.context()) for name, c in certificates.items()}
    yield servers
    for server in servers.values():
        server.stop()


def trusting(there, authority, variable="SSL_CERT_FILE"):
    return there.ingot.with_(**{variable: authority.file})


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "CURL_CA_BUNDLE"])
def test_tls(there, secure, authority, variable):
    url = secure["right"].put("/thing", BODY, CUT, Answer())
    done = there.fetch(source(url, BODY), ingot=trusting(there, authority, variable))
    assert done.code == 0 and there.holds(BODY), done


def test_tls_without_the_authority(there, secure):
    url = secure["right"].put("/thing", BODY)
    refused(there.fetch(source(url, BODY)), 4, url, "certificate", "CURL_CA_BUNDLE")


@pytest.mark.parametrize("name, words", [("stranger", "certificate"), ("expired", "expired"),
                                         ("not yet", "not yet valid"),
                                         ("wrong name", "certificate")])
def test_tls_that_is_not_trusted(there, secure, authority, name, words):
    url = secure[name].put("/thing", BODY)
    done = there.fetch(source(url, BODY), ingot=trusting(there, authority))
    refused(done, 4, url, words)
    assert secure[name].asked() == [] and not there.blob(BODY).exists()


def test_from_https_to_less(there, secure, authority, wire):
    end = wire.put("/plain/thing", BODY)
    url = secure["right"].put("/less", b"", TO(end))
    done = there.fetch(source(url, BODY), ingot=trusting(there, authority))
    refused(done, 4, url, "https")
    assert wire.asked("/plain/thing") == []


def test_through_https_to_less(there, secure, authority, wire):
    """Once on https, it stays there, also where it began on http."""
    end = wire.put("/plain/other", BODY)
    middle = secure["right"].put("/middle", b"", TO(end))
    url = wire.put("/to-https", b"", TO(middle))
    done = there.fetch(source(url, BODY), ingot=trusting(there, authority))
    refused(done, 4, url, "https")
    assert wire.asked("/plain/other") == []


# --- proxies ------------------------------------------------------------------------------------


@pytest.fixture
def proxy():
    proxy = Proxy()
    yield proxy
    proxy.stop()


def test_proxy(there, wire, proxy):
    wire.put("/proxied", BODY)
    proxy.targets["files.example:80"] = wire.port
    done = there.fetch(source("http://files.example/proxied", BODY), options=["-v"],
                       ingot=there.ingot.with_(http_proxy=proxy.url.replace("//", "//me:pr0xypw@")))
    assert done.code == 0 and there.holds(BODY), done
    assert proxy.requests == ["GET http://files.example/proxied"] and proxy.logins[0]
    assert "pr0xypw" not in done.out + done.err
    assert everywhere(there.folder, ["pr0xypw"]) == []


def test_proxy_for_tls(there, secure, authority, proxy):
    server = secure["right"]
    server.put("/proxied", BODY)
    proxy.targets["localhost:443"] = server.port
    done = there.fetch(source("https://localhost/proxied", BODY),
                       ingot=trusting(there, authority).with_(https_proxy=proxy.url))
    assert done.code == 0 and there.holds(BODY), done
    assert proxy.requests == ["CONNECT localhost:443"]


def test_no_proxy(there, wire, proxy):
    url = wire.put("/direct", BODY)
    done = there.fetch(source(url, BODY),
                       ingot=there.ingot.with_(http_proxy=proxy.url, no_proxy="example,127.0.0.1"))
    assert done.code == 0 and proxy.requests == [], done


def test_proxy_that_is_not_there(there, wire):
    url = wire.put("/behind", BODY)
    done = there.fetch(source(url, BODY),
                       ingot=there.ingot.with_(http_proxy="http://u:pr0xypw@127.0.0.1:1"))
    refused(done, 5, url, "127.0.0.1 port 1", "proxy")
    assert "pr0xypw" not in done.err
