# SPDX-License-Identifier: GPL-2.0-or-later
"""Attacks on sites and from sites: each is data, tried on booted servers, shown in docs/attacks.md."""
