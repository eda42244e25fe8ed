"""A libvirt of the tests' own (private_libvirtd), and commands run beside it."""

import os
import pathlib
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
NOBODY = 65534


class Done:
    """What a command did."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"exit code {self.code}\nstdout: {self.out[-2000:]}\nstderr: {self.err[-3000:]}"


def children(pid):
    return [int(p) for p in
            pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class PrivateLibvirt:
    """Runs from its making until stop(); `folder` is for whatever the tests keep: QEMU's user can
    reach it."""

    def __init__(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="ingot-private-")
        self.folder = pathlib.Path(self.temporary.name)
        self.folder.chmod(0o711)
        self.daemon = subprocess.Popen(
            [HERE / "private_libvirtd", "--network", "--dir", self.folder / "libvirt",
             "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.daemon.stdout.readline() != "ready\n":
            raise RuntimeError("the private libvirtd does not start")
        # This script, unshare, and its first process: the one whose namespaces are wanted.
        self.inside = children(children(self.daemon.pid)[0])[0]

    def command(self, argv, user=None):
        enter = ["nsenter", "-t", str(self.inside), "-m", "-n", "-p", f"--wd={self.folder}"]
        if user is not None:
            enter += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        return enter + [str(a) for a in argv]

    def environment(self, user=None, **more):
        env = {k: v for k, v in os.environ.items()
               if not k.startswith(("INGOT_", "LIBVIRT_", "XDG_"))}
        env["PATH"] = env.get("PATH", "") + ":/usr/sbin:/sbin"
        home = self.folder / ("root" if user is None else f"user-{user}")
        if not home.exists():
            home.mkdir(mode=0o711)
            (home / "run").mkdir(mode=0o700)
            if user is not None:
                os.chown(home, user, user)
                os.chown(home / "run", user, user)
        env.update(HOME=str(home), XDG_RUNTIME_DIR=str(home / "run"),
                   INGOT_STATE=str(home / "state"), INGOT_CACHE=str(home / "cache"))
        env.update({k: str(v) for k, v in more.items()})
        return env

    def run(self, argv, user=None, timeout=240, input=None, **env):
        return Done(subprocess.run(self.command(argv, user), env=self.environment(user, **env),
                                   input=input, timeout=timeout, text=True, errors="replace",
                                   capture_output=True))

    def start(self, argv, user=None, **env):
        return subprocess.Popen(self.command(argv, user), env=self.environment(user, **env),
                                text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def stop(self):
        self.daemon.stdin.close()
        self.daemon.wait(30)
        self.daemon.stdout.close()
        for attempt in range(20):
            try:
                return self.temporary.cleanup()
            except OSError:
                time.sleep(0.1)
        return None
