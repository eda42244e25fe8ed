"""What vouches for a source, as a user sees it: real keys, real signatures, and everything that must
not be believed (exit code 4)."""

import hashlib
import json

import pytest

from conftest import need
from fetching import digest, source
from helpers import write
from keys import make_all
from servers import Answer, Pattern, Wire

BODY = Pattern(20_000)[:]
OTHER = bytes(reversed(BODY))


@pytest.fixture(scope="module")
def wire():
    server = Wire()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    need("gpg", "gpg-agent")
    keys = make_all(tmp_path_factory.mktemp("keys"))
    # Signed while it was good.
    keys.old = {data: keys.sign("revoked", data) for data in (BODY, sums())}
    keys.revoke("revoked")
    yield keys
    keys.stop()


def sums(body=BODY, name="thing", hash_="sha256"):
    return f"{hashlib.new(hash_, body).hexdigest()}  {name}\n".encode()


def refused(there, done, *words):
    assert done.code == 4, done
    said = [l for l in done.err.splitlines() if l.startswith("error: ")]
    assert len(said) == 1, done
    for word in words:
        assert str(word).lower() in said[0].lower(), (word, done)
    assert not there.blob(BODY).exists() and not there.blob(OTHER).exists()
    assert there.ingot.work_left() == []
    there.clean()


class Release:
    """thing, SHA256SUMS and SHA256SUMS.gpg below a path of their own."""

    def __init__(self, wire, name):
        self.wire, self.path = wire, f"/{name}"
        self.url = wire.url + self.path

    def put(self, name, data):
        return self.wire.put(f"{self.path}/{name}", data)

    def signed_sums(self, signature, text=None, body=BODY):
        self.put("thing", body)
        self.put("SHA256SUMS", sums() if text is None else text)
        self.put("SHA256SUMS.gpg", signature)

    def by_sums(self, fingerprint, key):
        return source(f"{self.url}/thing", verify=(
            f"{{checksums: {self.url}/SHA256SUMS, openpgp: {{fingerprint: {fingerprint}, "
            f"key: {key}, signature: {self.url}/SHA256SUMS.gpg}}}}"))

    def by_key(self, fingerprint, key):
        return source(f"{self.url}/thing", verify=(
            f"{{openpgp: {{fingerprint: {fingerprint}, key: {key}, "
            f"signature: {self.url}/thing.asc}}}}"))


@pytest.fixture
def release(wire, request):
    return Release(wire, request.node.name.replace("[", "-").rstrip("]").replace(" ", "-"))


# --- signatures that are good -------------------------------------------------------------------


@pytest.mark.parametrize("by", ["good", "with-subkey"])
@pytest.mark.parametrize("armor", [True, False])
def test_signed_checksums(there, release, keys, by, armor):
    release.signed_sums(keys.sign(by, sums(), armor))
    done = there.fetch(release.by_sums(keys[by], keys.file(by, armor=armor)))
    assert done.code == 0 and there.holds(BODY), done
    there.clean()


def test_signed_file(there, release, keys):
    """Over the file itself, with the key from a URL and among others."""
    release.put("thing", BODY)
    release.put("thing.asc", keys.sign("good", BODY, armor=True))
    where = release.put("keys.asc", keys.file("other", "good").read_bytes())
    done = there.fetch(release.by_key(keys["good"], where))
    assert done.code == 0 and there.holds(BODY), done


def test_fingerprint_as_gpg_prints_it(there, release, keys):
    release.signed_sums(keys.sign("good", sums()))
    f = keys["good"]
    spaced = " ".join(f[i:i + 4] for i in range(0, 40, 4)).lower()
    done = there.fetch(release.by_sums(f'"{spaced}"', keys.file("good")))
    assert done.code == 0 and there.holds(BODY), done


def test_users_own_keys_do_not_count(there, release, keys):
    """The key file says which key, not the keyring of whoever runs ingot."""
    release.signed_sums(keys.sign("good", sums()))
    done = there.fetch(release.by_sums(keys["good"], keys.file("other")),
                       ingot=there.ingot.with_(GNUPGHOME=keys.home))
    refused(there, done, keys["good"], f"{release.url}/SHA256SUMS")


# --- signatures that are not --------------------------------------------------------------------


def test_other_signer(there, release, keys):
    release.signed_sums(keys.sign("other", sums()))
    done = there.fetch(release.by_sums(keys["good"], keys.file("good", "other")))
    refused(there, done, keys["good"], keys["other"], f"{release.url}/SHA256SUMS")


def test_wrong_fingerprint(there, release, keys):
    wrong = "0123456789ABCDEF0123456789ABCDEF01234567"
    release.signed_sums(keys.sign("good", sums()))
    done = there.fetch(release.by_sums(wrong, keys.file("good")))
    refused(there, done, wrong, f"{release.url}/SHA256SUMS")


@pytest.mark.parametrize("over", ["checksums", "file"])
@pytest.mark.parametrize("by", ["expired", "revoked"])
def test_key_that_is_no_longer_good(there, release, keys, by, over):
    sign = (lambda data: keys.old[data]) if by == "revoked" else \
        (lambda data: keys.sign(by, data, past=True))
    if over == "checksums":
        release.signed_sums(sign(sums()))
        done = there.fetch(release.by_sums(keys[by], keys.file(by)))
    else:
        release.put("thing", BODY)
        release.put("thing.asc", sign(BODY))
        done = there.fetch(release.by_key(keys[by], keys.file(by)))
    refused(there, done, by, keys[by], release.url)


def test_expired_signature(there, release, keys):
    """The key is good still, what it signed was meant for a week only."""
    keys.make("aged", past=True)
    release.signed_sums(keys.sign("aged", sums(), past=True, more=("--default-sig-expire", "1w")))
    done = there.fetch(release.by_sums(keys["aged"], keys.file("aged")))
    refused(there, done, "expired", f"{release.url}/SHA256SUMS")


@pytest.mark.parametrize("signature, words", [(b"", ""), (b"nothing of the kind", "signature")],
                         ids=["empty", "text"])
def test_no_signature(there, release, keys, signature, words):
    release.signed_sums(signature)
    refused(there, there.fetch(release.by_sums(keys["good"], keys.file("good"))), words,
            release.url)


def test_signature_that_is_not_there(there, release, keys):
    release.put("thing", BODY)
    release.put("SHA256SUMS", sums())
    done = there.fetch(release.by_sums(keys["good"], keys.file("good")))
    assert done.code == 5 and f"{release.url}/SHA256SUMS.gpg" in done.err, done
    assert not there.blob(BODY).exists()


def test_key_that_is_not_there(there, release, keys, tmp_path):
    release.signed_sums(keys.sign("good", sums()))
    done = there.fetch(release.by_sums(keys["good"], tmp_path / "none.asc"))
    assert done.code in (3, 4) and "none.asc" in done.err, done
    verify = f"{{checksums: {release.url}/SHA256SUMS, openpgp: {{fingerprint: {keys['good']}, " \
             f"signature: {release.url}/SHA256SUMS.gpg}}}}"
    done = there.fetch(source(f"{release.url}/thing", verify=verify))
    refused(there, done, keys["good"], "key")


@pytest.mark.parametrize("text", [b"\x99\xff" * 999, b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n"],
                         ids=["bytes", "armour"])
def test_key_file_that_is_none(there, release, keys, tmp_path, text):
    release.signed_sums(keys.sign("good", sums()))
    (tmp_path / "bad.asc").write_bytes(text)
    done = there.fetch(release.by_sums(keys["good"], tmp_path / "bad.asc"))
    refused(there, done, "bad.asc", keys["good"])


@pytest.mark.parametrize("digits", [8, 16, 32])
def test_short_id(there, release, keys, digits):
    """Short ids can be forged: `check` refuses them already."""
    recipe = there.recipe(release.by_sums(f'"{keys["good"][-digits:]}"', keys.file("good")))
    done = there.ingot("check", recipe)
    assert done.code == 3 and "fingerprint" in done.err, done


def test_checksums_changed_after_signing(there, release, keys):
    release.signed_sums(keys.sign("good", sums()), text=sums(OTHER), body=OTHER)
    done = there.fetch(release.by_sums(keys["good"], keys.file("good")))
    refused(there, done, f"{release.url}/SHA256SUMS", keys["good"])
    assert [r for r in release.wire.asked(f"{release.path}/thing")] == [], "fetched nevertheless"


def test_file_changed_after_signing(there, release, keys):
    release.put("thing", OTHER)
    release.put("thing.asc", keys.sign("good", BODY))
    done = there.fetch(release.by_key(keys["good"], keys.file("good")))
    refused(there, done, f"{release.url}/thing", keys["good"])


def test_signed_checksums_of_another_file(there, release, keys):
    release.signed_sums(keys.sign("good", sums()), body=OTHER)
    done = there.fetch(release.by_sums(keys["good"], keys.file("good")))
    refused(there, done, f"{release.url}/thing", digest(BODY), digest(OTHER))


def test_signature_is_kept_with_the_record(there, release, keys):
    """What was verified by one key is not taken for verified by another."""
    release.signed_sums(keys.sign("good", sums()))
    assert there.fetch(release.by_sums(keys["good"], keys.file("good"))).code == 0
    (there.folder / "site.lock").unlink(missing_ok=True)
    done = there.fetch(release.by_sums(keys["other"], keys.file("other")))
    assert done.code == 4 and keys["other"] in done.err, done


# --- checksum files -----------------------------------------------------------------------------

GOOD = {
    "sha256sum": sums(),
    "sha512sum": sums(hash_="sha512"),
    "binary mark": f"{digest(BODY)} *thing\n".encode(),
    "dot slash": f"{digest(BODY)}  ./thing\n".encode(),
    "folder": f"{digest(BODY)}  _dist/thing\n".encode(),
    "bare": f"{digest(BODY)}\n".encode(),
    "upper case": f"{digest(BODY).upper()}  thing\n".encode(),
    "among others": sums(OTHER, "nothing") + sums() + sums(OTHER, "thing.sig"),
    "windows": f"{digest(BODY)}  thing\r\n".encode(),
    "bsd": f"SHA256 (thing) = {digest(BODY)}\n".encode(),
}


@pytest.mark.parametrize("name", GOOD)
def test_checksums(there, release, name):
    release.put("thing", BODY)
    where = release.put("SUMS", GOOD[name])
    done = there.fetch(source(f"{release.url}/thing", verify=f"{{checksums: {where}}}"))
    assert done.code == 0 and there.holds(BODY), done


BAD = {
    "does not name it": (sums(name="something"), ["thing"]),
    "ends in its name": (sums(name="a-thing"), ["thing"]),
    "empty": (b"", ["thing"]),
    "empty digest": (b"  thing\n", ["thing"]),
    "md5": (sums(hash_="md5"), ["forged"]),
    "sha1": (sums(hash_="sha1"), ["forged"]),
    "cut short": (sums()[1:], ["thing"]),
    "two that differ": (sums() + sums(OTHER), ["thing"]),
    "a web page": (b"<!doctype html><title>thing</title>" * 100, ["thing"]),
    "binary": (b"\0\xff" * 1000, ["thing"]),
    "other digest": (sums(OTHER), [digest(OTHER), digest(BODY)]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_checksums(there, release, name):
    text, words = BAD[name]
    release.put("thing", BODY)
    where = release.put("SUMS", text)
    done = there.fetch(source(f"{release.url}/thing", verify=f"{{checksums: {where}}}"))
    refused(there, done, f"{release.url}/", *words)


@pytest.mark.parametrize("verify, words", [
    ("{md5: 0123}", "md5"), ("{sha1: 0123}", "sha1"), ('{sha256: ""}', "sha256"),
    ("{sha256: abc}", "sha256"), ("{}", "verify"), ("{openpgp: {}}", "fingerprint"),
    ("trust-me", "lock"),
])
def test_refused_by_check(there, verify, words):
    recipe = there.recipe(source("https://files.example/thing", verify=verify))
    done = there.ingot("check", recipe)
    assert done.code == 3 and words in done.err, done


# --- first use, and the lock --------------------------------------------------------------------


def read_lock(there):
    return json.loads((there.folder / "site.lock").read_text())


def test_first_use_is_said_and_pinned(there, release):
    url = release.put("thing", BODY)
    done = there.fetch(source(url, verify="lock"))
    assert done.code == 0 and there.holds(BODY), done
    assert "first use" in done.err and url in done.err and digest(BODY) in done.err, done
    locked = read_lock(there)["amd64"]["sources"][url]
    assert locked["sha256"] == digest(BODY) and locked["verified"] == "first use"
    # From then on the lock says what it must be, in an empty cache too.
    release.put("thing", OTHER)
    there.blob(BODY).unlink()
    done = there.fetch(source(url, verify="lock"))
    refused(there, done, url, digest(BODY), digest(OTHER), "lock")


def test_first_use_that_no_lock_pins_is_said_each_time(there, release):
    url = release.put("thing", BODY)
    recipe = there.recipe(source(url, verify="lock"))
    for _ in range(2):
        done = there.ingot("build", recipe, "-o", there.out, "--set", "disk=40MiB")
        assert done.code == 0, done
        assert url in done.err and "nothing published vouches for it" in done.err, done
        assert "no lock says what it must be" in done.err, done
    assert not (there.folder / "site.lock").exists()


def test_release_that_was_replaced(there, release):
    """Checksums and file were changed together: only the lock knows."""
    url = release.put("thing", BODY)
    where = release.put("SUMS", sums())
    thing = source(url, verify=f"{{checksums: {where}}}")
    assert there.fetch(thing).code == 0
    assert read_lock(there)["amd64"]["sources"][url]["sha256"] == digest(BODY)
    release.put("thing", OTHER)
    release.put("SUMS", sums(OTHER))
    # The cache has it: the lock holds, and nothing is asked.
    assert there.fetch(thing).code == 0
    there.blob(BODY).unlink()
    refused(there, there.fetch(thing), url, digest(BODY), digest(OTHER), "lock")


def test_lock_and_recipe_contradict(there, release):
    """The recipe says another digest than the lock: that is a change, which --locked refuses."""
    url = release.put("thing", BODY)
    assert there.fetch(source(url, BODY)).code == 0
    release.put("thing", OTHER)
    recipe = there.recipe(source(url, OTHER))
    done = there.ingot("build", recipe, "-o", there.out, "--locked")
    refused_ = [l for l in done.err.splitlines() if l.startswith("error: ")]
    assert done.code == 4 and len(refused_) == 1 and url in refused_[0], done
    assert digest(BODY) in refused_[0] and digest(OTHER) in refused_[0], done
    assert not there.out.exists() or not list(there.out.iterdir())


# --- asked anew ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lock", "openpgp"])
def test_update_asks_again(there, wire, release, keys, kind):
    """What is in the cache is no answer to `lock --update`, though nothing but its URL is known."""
    url = release.put("thing", BODY)
    release.put("thing.asc", keys.sign("good", BODY))
    thing = source(url, verify="lock") if kind == "lock" else \
        release.by_key(keys["good"], keys.file("good"))
    assert there.fetch(thing).code == 0
    release.put("thing", OTHER)
    wire.put(f"{release.path}/thing.asc", keys.sign("good", OTHER), Answer(etag='"second"'))
    assert there.fetch(thing).code == 0  # the lock holds
    assert read_lock(there)["amd64"]["sources"][url]["sha256"] == digest(BODY)
    done = there.ingot("lock", there.recipe(thing), "--update")
    assert done.code == 0, done
    assert read_lock(there)["amd64"]["sources"][url]["sha256"] == digest(OTHER), done


def test_signer_is_looked_at_again(there, release, keys, tmp_path):
    """A blob that was believed once is not, without a lock, when its key is no longer the right
    one."""
    release.put("thing", BODY)
    release.put("thing.asc", keys.sign("good", BODY))
    key = tmp_path / "key.asc"
    key.write_bytes(keys.file("good").read_bytes())
    thing = release.by_key(keys["good"], key)
    assert there.fetch(thing).code == 0 and there.holds(BODY)
    for lock in there.folder.glob("*.lock"):
        lock.unlink()
    key.write_bytes(keys.file("other").read_bytes())
    done = there.fetch(thing)
    assert done.code == 4 and keys["good"] in done.err, done
