# SPDX-License-Identifier: GPL-2.0-or-later
"""The booted servers of the lifecycle tests, with their journal beneath what fails."""

from tests.lifecycle.conftest import bed, pytest_runtest_makereport, pytest_runtest_setup, signing_key

__all__ = ["bed", "pytest_runtest_makereport", "pytest_runtest_setup", "signing_key"]
