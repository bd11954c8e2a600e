# SPDX-License-Identifier: GPL-2.0-or-later
"""The restricted shell: its parser under a fuzzer, its lines against dash."""
