# SPDX-License-Identifier: GPL-2.0-or-later
"""`python3 -m fpmjail_deb` is the command fpmjail-deb."""

import sys

from fpmjail_deb.cli import main

sys.exit(main())
