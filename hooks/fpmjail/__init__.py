# SPDX-License-Identifier: MIT
"""The runtime of fpmjail: keeps the copies in every PHP-FPM jail of this server true."""

__version__ = "0.1.0"
