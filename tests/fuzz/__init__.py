# SPDX-License-Identifier: GPL-2.0-or-later
"""Every parser of bytes that somebody else wrote or damaged, and a mutator that makes such bytes from good ones."""
