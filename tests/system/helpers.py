"""What the tests of builds share: running ingot, a small HTTP server, looking into disks."""

import functools
import hashlib
import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

from libvirtd import Done

ROOT = pathlib.Path(__file__).resolve().parents[2]


def environment(**more):
    """The test's own, without settings that would change a build."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith(("INGOT_", "XDG_", "LIBVIRT_", "MAKE"))
           and k not in ("SOURCE_DATE_EPOCH", "MFLAGS")}
    env["PATH"] = env.get("PATH", "") + ":/usr/sbin:/sbin"
    env.update({k: str(v) for k, v in more.items()})
    return env


class Ingot:
    """bin/ingot with a cache; `prefix` stands in front of it (unshare, setpriv …)."""

    def __init__(self, program, cache, prefix=(), **env):
        self.program, self.cache, self.prefix, self.env = program, cache, list(prefix), env

    def with_(self, cache=None, prefix=None, **env):
        return Ingot(self.program, cache or self.cache, self.prefix if prefix is None else prefix,
                     **{**self.env, **env})

    def command(self, arguments):
        return [*self.prefix, str(self.program), *(str(a) for a in arguments)]

    def environment(self):
        return environment(**{"INGOT_CACHE": self.cache, **self.env})

    def __call__(self, *arguments, cwd=None, timeout=600, **more):
        return Done(subprocess.run(self.command(arguments), env=self.environment(), cwd=cwd,
                                   stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                   errors="replace", timeout=timeout, **more))

    def json(self, *arguments, **more):
        done = self(*arguments, "--json", **more)
        return done, json.loads(done.out)

    def start(self, *arguments, **more):
        return subprocess.Popen(self.command(arguments), env=self.environment(), text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def work_left(self):
        """What a build that ended should have taken away."""
        return [str(p) for p in (*self.cache.glob("layers/.work-*"), *self.cache.glob("tmp/*"),
                                 *self.cache.glob("tmp/.*"))]


def run(*argv, check=True, **more):
    done = Done(subprocess.run([str(a) for a in argv], env=environment(), capture_output=True,
                               text=True, errors="replace", **more))
    assert not check or done.code == 0, f"{argv}: {done}"
    return done


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


# --- processes ----------------------------------------------------------------------------------


def descendants(pid):
    """Processes below pid, with their command lines."""
    found = []
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                line = pathlib.Path(f"/proc/{child}/cmdline").read_bytes()
                found.append((int(child), line.replace(b"\0", b" ").decode(errors="replace")))
                found += descendants(int(child))
    except OSError:
        pass  # it ended meanwhile
    return found


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def interrupt_when(process, seen, number=signal.SIGINT, seconds=120):
    """Sends a signal as soon as seen(process) is true; returns exit code, stderr and the processes
    that still run although they were started by it."""
    deadline = time.monotonic() + seconds
    while not seen(process):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.02)
    below = descendants(process.pid)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    deadline = time.monotonic() + 5
    while any(alive(p) for p, _ in below) and time.monotonic() < deadline:
        time.sleep(0.1)
    return process.returncode, err, [line for p, line in below if alive(p)]


# --- HTTP ---------------------------------------------------------------------------------------


class Server:
    """Serves a folder on 127.0.0.1; `requests` are the paths that were asked for. A path in
    `truncated` gets half of its bytes, one in `slow` trickles."""

    def __init__(self, folder):
        server = self
        self.folder, self.requests, self.truncated, self.slow = folder, [], set(), set()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                server.requests.append(self.path)
                super().do_GET()

            def copyfile(self, source, target):
                data = source.read()
                if self.path in server.truncated:
                    return target.write(data[:len(data) // 2])
                if self.path not in server.slow:
                    return target.write(data)
                for at in range(0, len(data), 65536):
                    target.write(data[at:at + 65536])
                    time.sleep(0.2)
                return None

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # clients that go away belong to the tests

        self.http = Quiet(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


# --- disks --------------------------------------------------------------------------------------


def raw_of(image, target):
    run("qemu-img", "convert", "-O", "raw", image, target)
    return target


def partitions(raw):
    """(number, offset, size) in bytes of each partition."""
    table = json.loads(run("sfdisk", "--json", raw).out)["partitiontable"]
    size = table.get("sectorsize", 512)
    return [(int(p["node"][len(str(raw)):].lstrip("p")), p["start"] * size, p["size"] * size)
            for p in table["partitions"]]


def extract(raw, offset, size, target):
    """Part of a sparse file as a sparse file of its own."""
    with open(raw, "rb") as source, open(target, "wb") as copy:
        copy.truncate(size)
        at, end = offset, offset + size
        while at < end:
            try:
                at = os.lseek(source.fileno(), at, os.SEEK_DATA)
            except OSError:  # a hole to the end of the file
                break
            stop = min(end, os.lseek(source.fileno(), at, os.SEEK_HOLE))
            while at < stop:
                data = os.pread(source.fileno(), min(1 << 20, stop - at), at)
                os.pwrite(copy.fileno(), data, at - offset)
                at += len(data)
    return target


class Ext4:
    """An ext4 in a file of its own, read by debugfs."""

    def __init__(self, path):
        self.path = path

    def debugfs(self, request):
        return run("debugfs", "-R", request, self.path).out

    def cat(self, path):
        return self.debugfs(f"cat {path}")

    def ls(self, path):
        """name -> (mode, uid, gid, size) of a folder."""
        found = {}
        for line in self.debugfs(f"ls -p {path}").splitlines():
            fields = line.split("/")
            if len(fields) >= 7 and fields[5] not in (".", ".."):
                found[fields[5]] = (int(fields[2], 8), int(fields[3]), int(fields[4]),
                                    int(fields[6] or 0))
        return found

    def exists(self, path):
        return "File not found" not in run("debugfs", "-R", f"stat {path}", self.path).err

    def check(self):
        return run("e2fsck", "-fn", self.path, check=False)
