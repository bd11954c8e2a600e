# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench`: how fast, how small, how far, each figure against a rival that is measured in the same run."""
