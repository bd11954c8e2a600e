# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that is tested: unit, golden, package, lifecycle."""
