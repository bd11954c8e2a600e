# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of `fpmjail-deb publish` with real gpg, apt-ftparchive and apt."""
