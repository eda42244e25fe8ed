"""HTTP servers for the tests of fetching: nginx; one that misbehaves as it is told; a proxy; TLS with
a CA of the tests' own. All on loopback, each on a free port."""

import base64
import dataclasses
import gzip
import hashlib
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

from helpers import run, write


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# --- what is sent -------------------------------------------------------------------------------


class Pattern:
    """Bytes that are made while they are sent: as many as one likes, none of them kept."""

    BLOCK = hashlib.shake_256(b"ingot").digest(1 << 20)

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, part):
        begin, end, _ = part.indices(self.size)
        offset = begin % len(self.BLOCK)
        count = max(0, end - begin)
        return (self.BLOCK * (2 + count // len(self.BLOCK)))[offset:offset + count]

    def sha256(self):
        digest = hashlib.sha256()
        for at in range(0, self.size, len(self.BLOCK)):
            digest.update(self.BLOCK[:min(len(self.BLOCK), self.size - at)])
        return digest.hexdigest()


@dataclasses.dataclass
class Answer:
    """How one request is answered."""

    status: int = 200
    headers: tuple = ()         # more (name, value); {url} is the server's
    body: object = None         # other bytes than the path's
    etag: str = '"first"'       # None: no validator at all
    ranges: bool = True         # does Range count
    length: object = None       # Content-Length that is claimed; "none": until the end
    cut: int = None             # the connection ends after so many bytes of the body
    hold: object = None         # (bytes, event): then it waits for the event
    seconds: float = 0          # between two pieces of 64 KiB
    chunked: bool = False
    packed: bool = False        # gzip, which nobody asked for
    content_range: str = None   # a wrong one in the 206
    header_bytes: int = 0       # so much of headers
    heeds: bool = True          # is If-Range listened to
    drop: bool = False          # closed before any answer
    raw: object = None          # bytes, or a list of them, in place of an answer
    login: str = None           # "user:password" that Basic must have, else 401


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: dict               # names in lower case
    connection: int             # its number
    status: int = 0
    sent: int = 0               # bytes of the body

    @property
    def range(self):
        return self.headers.get("range")


# --- one that misbehaves ------------------------------------------------------------------------


class Loop:
    """Accepts connections and serves each in a thread of its own."""

    def __init__(self, context=None):
        self.context, self.connections, self.stopped = context, 0, threading.Event()
        self.lock, self.open = threading.Lock(), set()
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                self.open.add(connection)
            threading.Thread(target=self.run, args=(connection, self.connections),
                             daemon=True).start()

    def run(self, connection, number):
        talking = connection
        try:
            if self.context:
                talking = self.context.wrap_socket(connection, server_side=True)
            talking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve(talking, number)
        except OSError:
            pass  # the client went away, or did not like the certificate
        finally:
            with self.lock:
                self.open.discard(connection)
            try:
                talking.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            talking.close()

    def stop(self):
        self.stopped.set()
        try:
            self.listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listening.close()
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


def read_head(stream):
    """First line and headers; None where the client has hung up."""
    line = stream.readline(65536).decode("latin-1").strip()
    if not line:
        return None
    headers = {}
    while header := stream.readline(65536).decode("latin-1").strip():
        name, value = header.split(":", 1)
        headers[name.strip().lower()] = value.strip()
    return line, headers


class Wire(Loop):
    """An HTTP/1.1 server that does what it is told: put("/x", bytes, Answer(…), Answer(…)) answers the
    first request for /x with the first answer, the next with the next, and the last one from then on.
    `requests` has every request."""

    def __init__(self, context=None, host="127.0.0.1"):
        super().__init__(context)
        self.url = f"{'https' if context else 'http'}://{host}:{self.port}"
        self.paths, self.requests = {}, []

    def put(self, path, body=b"", *answers):
        self.paths[path] = (body, list(answers) or [Answer()])
        return self.url + path

    def asked(self, path=None):
        return [r for r in self.requests if path is None or r.path == path]

    def serve(self, connection, number):
        stream = connection.makefile("rb")
        while head := read_head(stream):
            method, path, _ = head[0].split(" ", 2)
            request = Request(method, path.split("?")[0], head[1], number)
            with self.lock:
                self.requests.append(request)
                body, answers = self.paths.get(request.path, (b"", [Answer(404, etag=None)]))
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
            if not self.answer(connection, request, body, answer):
                return

    def answer(self, connection, request, body, a):
        """False where the connection is to be closed."""
        if a.drop:
            return False
        if a.raw is not None:
            for piece in [a.raw] if isinstance(a.raw, bytes) else a.raw:
                connection.sendall(piece)
            while not a.raw and not self.stopped.wait(0.05):
                pass  # never a word
            return False
        body = body if a.body is None else a.body
        status, headers = a.status, [(n, str(v).format(url=self.url)) for n, v in a.headers]
        if a.login:
            right = "Basic " + base64.b64encode(a.login.encode()).decode()
            if request.headers.get("authorization") != right:
                status, body = 401, b"who are you"
                headers.append(("WWW-Authenticate", 'Basic realm="tests"'))
        begin, end = 0, len(body)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range or "")
        guard = request.headers.get("if-range")
        if asked and a.ranges and status == 200 and (guard in (None, a.etag) or not a.heeds):
            begin = int(asked[1])
            end = min(end, int(asked[2]) + 1) if asked[2] else end
            if begin >= len(body):
                status, begin, end = 416, 0, 0
                headers.append(("Content-Range", f"bytes */{len(body)}"))
            else:
                status = 206
                headers.append(("Content-Range", a.content_range or
                                f"bytes {begin}-{end - 1}/{len(body)}"))
        if a.etag and request.headers.get("if-none-match") == a.etag and status == 200:
            status, begin, end = 304, 0, 0
        if status not in (200, 206, 401):
            begin = end = 0
        if a.packed:
            body = gzip.compress(body[begin:end])
            begin, end = 0, len(body)
            headers.append(("Content-Encoding", "gzip"))
        if a.etag:
            headers.append(("ETag", a.etag))
        if a.ranges:
            headers.append(("Accept-Ranges", "bytes"))
        if a.chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif a.length != "none" and status != 304:
            headers.append(("Content-Length", end - begin if a.length is None else a.length))
        headers += [(f"X-Filler-{i}", "x" * 1000) for i in range(a.header_bytes // 1000)]
        request.status = status
        text = f"HTTP/1.1 {status} Scripted\r\n"
        text += "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
        connection.sendall(text.encode("latin-1"))
        if request.method != "HEAD":
            if not self.send(connection, request, body, begin, end, a):
                return False
        return a.length is None or isinstance(a.length, int) and a.length == end - begin

    def send(self, connection, request, body, begin, end, a):
        size = 65536 if a.seconds or a.hold or len(body) < (1 << 20) else 1 << 20
        at = begin
        while at < end:
            if a.hold and at - begin == a.hold[0]:
                while not a.hold[1].wait(0.05):
                    if self.stopped.is_set():
                        return False
            stop = min(end, at + size)
            if a.cut is not None:
                stop = min(stop, begin + a.cut)
            if a.hold and at - begin < a.hold[0]:
                stop = min(stop, begin + a.hold[0])
            piece = body[at:stop]
            if a.chunked and piece:
                piece = b"%x\r\n%s\r\n" % (len(piece), piece)
            connection.sendall(piece)
            request.sent += stop - at
            at = stop
            if a.cut is not None and at - begin >= a.cut:
                return False
            if a.seconds:
                time.sleep(a.seconds)
        if a.chunked:
            connection.sendall(b"0\r\n\r\n")
        return True


# --- a proxy ------------------------------------------------------------------------------------


class Proxy(Loop):
    """A proxy for plain requests and CONNECT that sends everything to `targets` (host:port as asked ->
    port on loopback). `requests` has the first lines, `logins` what Proxy-Authorization said."""

    def __init__(self, targets=None):
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self.targets, self.requests, self.logins = targets or {}, [], []

    def dial(self, name):
        port = self.targets.get(name) or int(name.rsplit(":", 1)[1])
        return socket.create_connection(("127.0.0.1", port))

    def serve(self, connection, number):
        stream = connection.makefile("rb", buffering=0)
        head = read_head(stream)
        if not head:
            return
        line, headers = head
        method, target, _ = line.split(" ", 2)
        with self.lock:
            self.requests.append(f"{method} {target}")
            self.logins.append(headers.get("proxy-authorization"))
        if method == "CONNECT":
            with self.dial(target) as other:
                connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                back = threading.Thread(target=self.pipe, args=(other, connection), daemon=True)
                back.start()
                self.pipe(connection, other)
                back.join(10)
            return
        scheme, host, path = re.fullmatch(r"(http)://([^/]+)(/.*)", target).groups()
        with self.dial(host if ":" in host else host + ":80") as other:
            keep = {n: v for n, v in headers.items() if not n.startswith("proxy-")}
            keep["connection"] = "close"
            text = f"{method} {path} HTTP/1.1\r\n"
            text += "".join(f"{n}: {v}\r\n" for n, v in keep.items()) + "\r\n"
            other.sendall(text.encode("latin-1"))
            self.pipe(other, connection, closing=True)

    def pipe(self, source, target, closing=False):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            if not closing:
                target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


# --- nginx --------------------------------------------------------------------------------------

NGINX = """\
daemon off;
master_process off;
pid {prefix}/pid;
error_log {prefix}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format tests '$status $request_uri range=$http_range if=$http_if_range sent=$body_bytes_sent'
                   ' connection=$connection agent=$http_user_agent';
  access_log {prefix}/access.log tests;
  client_body_temp_path {prefix}/body; proxy_temp_path {prefix}/proxy;
  fastcgi_temp_path {prefix}/fastcgi; uwsgi_temp_path {prefix}/uwsgi; scgi_temp_path {prefix}/scgi;
  sendfile on; keepalive_timeout 30s; keepalive_requests 10000; default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port};
    {tls}
    root {root};
    location /slow/ {{ limit_rate 2m; }}
  }}
}}
"""


class Nginx:
    """nginx over a folder, by whoever runs the tests."""

    def __init__(self, prefix, root, certificate=None):
        self.prefix, self.root, self.port = pathlib.Path(prefix), pathlib.Path(root), free_port()
        self.prefix.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(parents=True, exist_ok=True)
        tls = ""
        if certificate:
            tls = (f"ssl_certificate {certificate.file}; ssl_certificate_key {certificate.key};")
        text = NGINX.format(prefix=self.prefix, root=self.root, port=self.port, tls=tls)
        if certificate:
            text = text.replace(f"{self.port};", f"{self.port} ssl;", 1)
        if os.geteuid() == 0:
            text = "user root;\n" + text
        config = write(self.prefix / "nginx.conf", text)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.process = subprocess.Popen(
            [program, "-p", self.prefix, "-c", config, "-e", self.prefix / "error.log"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, \
                    (self.prefix / "error.log").read_text()
                time.sleep(0.02)

    def log(self):
        """(status, path, range, If-Range, bytes, connection) of each request."""
        found = []
        for line in (self.prefix / "access.log").read_text().splitlines():
            found.append(re.match(r"(\d+) (\S+) range=(\S+) if=(\S+) sent=(\d+) connection=(\d+)",
                                  line).groups())
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


# --- TLS ----------------------------------------------------------------------------------------


class Certificate:
    def __init__(self, file, key):
        self.file, self.key = file, key

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name="ca"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file, self.key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        self.config = write(self.folder / f"{name}.cnf", f"""\
[ca]
default_ca = own
[own]
database = {self.folder}/{name}.index
serial = {self.folder}/{name}.serial
new_certs_dir = {self.folder}
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
""")
        write(self.folder / f"{name}.index", "")
        write(self.folder / f"{name}.serial", "01\n")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-subj", f"/CN=tests {name}", "-days", "3650", "-keyout", self.key, "-out",
            self.file)

    def issue(self, name, subject="IP:127.0.0.1,DNS:localhost", begin="20200101000000Z",
              end="20990101000000Z"):
        """A server's certificate; subject as in subjectAltName."""
        key, request, file = (self.folder / f"{name}.{end_}" for end_ in ("key", "csr", "crt"))
        run("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName={subject}", "-keyout", key,
            "-out", request)
        run("openssl", "ca", "-batch", "-notext", "-config", self.config, "-cert", self.file,
            "-keyfile", self.key, "-startdate", begin, "-enddate", end, "-in", request, "-out", file)
        return Certificate(file, key)
