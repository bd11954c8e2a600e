# SPDX-License-Identifier: GPL-2.0-or-later
"""Generated packages before the tools that will read them: dpkg-deb, lintian, dash, Apache, PHP-FPM, systemd."""
