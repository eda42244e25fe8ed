#!/usr/bin/env python3
"""Makes compile_commands.json of what `make -Bn` prints."""

import json
import os
import re
import subprocess
import sys

entries = []
for line in sys.stdin:
    m = re.search(r" -c (\S+\.c) -o \S+", line)
    if m:
        flags = re.sub(r"\$\((pkg-config [^)]*)\)",
                       lambda p: subprocess.run(p.group(1).split(), text=True, check=True,
                                                capture_output=True).stdout.strip(), line.strip())
        entries.append({"directory": os.getcwd(), "file": m.group(1), "command": flags})
json.dump(entries, sys.stdout, indent=1)
