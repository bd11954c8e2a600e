# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads what a server has already, a pool of php-fpm and virtual hosts, and writes the site description of it."""
