# SPDX-License-Identifier: GPL-2.0-or-later
"""fpmjail-deb: one YAML file per PHP website in, one Debian package with its jail out."""

__version__ = "0.1.0"
