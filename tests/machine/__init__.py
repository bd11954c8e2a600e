# SPDX-License-Identifier: GPL-2.0-or-later
"""What only a kernel of Debian's own shows: whole machines under qemu's software emulation."""
