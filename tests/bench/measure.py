"""Running a program and measuring it alone: seconds, and the peak of its own resident memory,
without that of the programs that it starts."""

import os
import pathlib
import subprocess
import sys
import time


def text(argv):
    return [str(a) for a in argv]


def run(argv, **more):
    """stdout; ends the benchmark if the program fails."""
    done = subprocess.run(text(argv), capture_output=True, text=True, errors="replace", **more)
    if done.returncode:
        sys.exit(f"bench: {' '.join(text(argv))}: status {done.returncode}\n"
                 f"{done.stderr[-4000:]}")
    return done.stdout


def peak_of(pid):
    """VmHWM, proc(5): the kernel keeps the maximum, so that it has to be read often only to catch
    what is used just before the end."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    return 0


def measure(argv, env=None, quiet=True):
    """{"seconds", "peak_bytes", "load"}. wait4(2)'s maximum would count the children, too."""
    load = os.getloadavg()[0]
    start = time.monotonic()
    p = subprocess.Popen(text(argv), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT if quiet else None)
    exe = pathlib.Path(text(argv)[0]).name[:15]
    peak, output = 0, []
    os.set_blocking(p.stdout.fileno(), False)
    while True:
        try:
            said = os.read(p.stdout.fileno(), 65536)
            if said:
                output.append(said)
                continue
            break
        except BlockingIOError:
            pass
        try:
            if pathlib.Path(f"/proc/{p.pid}/comm").read_text().strip() == exe:
                peak = max(peak, peak_of(p.pid))
        except OSError:
            pass
        time.sleep(0.002 if time.monotonic() - start < 1 else 0.02)
    status = p.wait()
    seconds = time.monotonic() - start
    if status:
        sys.exit(f"bench: {' '.join(text(argv))}: status {status}\n"
                 f"{b''.join(output).decode(errors='replace')[-4000:]}")
    return {"seconds": seconds, "peak_bytes": peak, "load": load}


def best_of(count, once):
    """The quickest of count runs; the peak of memory of all."""
    runs = [once(i) for i in range(count)]
    best = dict(min(runs, key=lambda r: r["seconds"]))
    best["peak_bytes"] = max(r["peak_bytes"] for r in runs)
    best["all_seconds"] = [r["seconds"] for r in runs]
    return best
