# SPDX-License-Identifier: GPL-2.0-or-later
"""The test bed: real Debian releases, booted with systemd in throw-away containers.

`trees` makes the base trees, `container` boots them, `packages` builds our own packages, `repository` publishes
packages to a container, `repack` makes newer versions of Debian's packages, `load` sends requests.
"""
