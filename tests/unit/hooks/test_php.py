# SPDX-License-Identifier: GPL-2.0-or-later
"""What PHP's own configuration says about extensions."""

from __future__ import annotations

from fpmjail.php import extension_directory, extensions

BINARY = b"\x7fELF...\0/usr/lib/php/20240924\0extension_dir\0/usr/lib/php/20240924/x\0"


def test_the_directory_is_the_one_php_was_built_with() -> None:
    assert extension_directory(BINARY) == "/usr/lib/php/20240924"
    assert extension_directory(b"nothing") is None


def test_the_last_absolute_extension_dir_counts() -> None:
    texts = ('extension_dir = "/opt/one"\n', "; extension_dir = /no\nextension_dir=/opt/two/ ; because\n")
    assert extension_directory(BINARY, texts) == "/opt/two"
    assert extension_directory(BINARY, ('extension_dir = "./"\n',)) == "/usr/lib/php/20240924"


def test_every_way_to_write_an_extension_is_read() -> None:
    text = """
; priority=20
extension=curl.so
extension = gd
  zend_extension="opcache.so" ; fast
extension='/opt/mine.so'
;extension=commented
# extension=commented
extension=
notextension=x
"""
    assert extensions(text, "/d") == ("/d/curl.so", "/d/gd.so", "/d/opcache.so", "/opt/mine.so")
