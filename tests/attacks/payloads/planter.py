# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes files and links as the user of a site."""

import json
import os
import pwd
import sys
from pathlib import Path

known = pwd.getpwnam(sys.argv[1])
os.setgroups([])
os.setgid(known.pw_gid)
os.setuid(known.pw_uid)
for thing in json.load(sys.stdin):
    for place, text in thing["files"].items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text(text)
        Path(place).chmod(0o755 if place.endswith(".sh") else 0o644)
    for place, target in thing["links"].items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).symlink_to(target)
