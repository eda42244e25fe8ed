"""OpenPGP keys that the tests make, in a home of their own, and signatures by them."""

import os
import pathlib
import subprocess

from helpers import environment

PAST = "20200101T000000"


class Keys:
    """Each key: its fingerprint is keys["name"], its public part keys.file("name")."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "gnupg"
        self.home.mkdir(mode=0o700, parents=True)
        self.fingerprints, self.subkeys = {}, {}

    def gpg(self, *arguments, text=None):
        done = subprocess.run(["gpg", "--batch", "--quiet", "--yes", "--no-tty", "--pinentry-mode",
                               "loopback", "--passphrase", "", *map(str, arguments)], input=text,
                              env=environment(GNUPGHOME=self.home), capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def make(self, name, usage="sign", expire="never", past=False):
        user = f"{name} <{name}@tests.example>"
        when = ["--faked-system-time", PAST] if past else []
        self.gpg(*when, "--quick-gen-key", user, "ed25519", usage, expire)
        lines = self.gpg("--list-keys", "--with-colons", user).splitlines()
        self.fingerprints[name] = next(l.split(":")[9] for l in lines if l.startswith("fpr:"))
        return self.fingerprints[name]

    def add_subkey(self, name):
        self.gpg("--quick-add-key", self[name], "ed25519", "sign", "never")
        lines = self.gpg("--list-keys", "--with-colons", self[name]).splitlines()
        self.subkeys[name] = [l.split(":")[9] for l in lines if l.startswith("fpr:")][-1]

    def revoke(self, name):
        certificate = (self.home / "openpgp-revocs.d" / f"{self[name]}.rev").read_text()
        self.gpg("--import", text=certificate.replace(":-----BEGIN", "-----BEGIN"))

    def __getitem__(self, name):
        return self.fingerprints[name]

    def file(self, *names, armor=True):
        path = self.folder / ("-".join(names) + (".asc" if armor else ".gpg"))
        self.gpg(*(["--armor"] if armor else []), "--output", path, "--export",
                 *(self[n] for n in names))
        return path

    def sign(self, name, data, armor=False, past=False, more=()):
        """The bytes of a detached signature over data."""
        signed, signature = self.folder / "signed", self.folder / "signature"
        signed.write_bytes(data)
        when = ["--faked-system-time", PAST] if past else []
        self.gpg(*when, *(["--armor"] if armor else []), *more, "--local-user", self[name],
                 "--output", signature, "--detach-sign", signed)
        return signature.read_bytes()

    def stop(self):
        """The agent that gpg has started goes with its home."""
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"],
                       env=dict(os.environ, GNUPGHOME=str(self.home)), capture_output=True)


def make_all(folder):
    keys = Keys(folder)
    keys.make("good")
    keys.make("other")
    keys.make("expired", expire="2020-02-01", past=True)
    keys.make("revoked")
    keys.make("with-subkey", usage="cert")
    keys.add_subkey("with-subkey")
    return keys
