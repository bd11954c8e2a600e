# SPDX-License-Identifier: GPL-2.0-or-later
"""All names of a site follow from its NAME, and fit into what the kernel and systemd allow."""

import pytest

from fpmjail_deb import names

LONGEST = "a" + "-" * 24
LONGEST_SOCKET_PATH = 107  # sun_path has 108 bytes with its final NUL, unix(7)
LONGEST_UNIT = 255  # systemd.unit(5)


@pytest.mark.parametrize(
    ("path", "escaped"),
    [
        ("/", "-"),
        ("//", "-"),
        ("/a/b-c", r"a-b\x2dc"),
        ("/.hidden", r"\x2ehidden"),
        ("/a/.b", "a-.b"),
        ("/a//b/./c/", "a-b-c"),
        ("/a b", r"a\x20b"),
        ("/ü", r"\xc3\xbc"),
        (r"/a\b", r"a\x5cb"),
        ("/a:b_c@d%", r"a:b_c\x40d\x25"),
        ("/var/lib/fpmjail/jails/my-shop/.image", r"var-lib-fpmjail-jails-my\x2dshop-.image"),
    ],
)
def test_a_path_is_escaped_as_systemd_escape_does(path: str, escaped: str) -> None:
    assert names.unit_path_escape(path) == escaped


def test_a_path_that_climbs_has_no_unit_name() -> None:
    with pytest.raises(ValueError, match=r'it has a "\.\." in it'):
        names.unit_path_escape("/a/../b")


def test_all_names_of_a_site() -> None:
    found = {
        names.package("shop"): "site-shop-jail",
        names.user("shop"): "_site-shop",
        names.base_directory("shop"): "/var/www/shop",
        names.log_directory("shop"): "/var/log/fpmjail/shop",
        names.jail_directory("shop"): "/var/lib/fpmjail/jails/shop",
        names.chroot_directory("shop"): "/var/www/shop",
        names.php_service("8.4"): "php8.4-fpm.service",
        names.socket_path("shop"): "/run/fpmjail/shop.sock",
        names.service_unit("shop"): "site-shop-jail.service",
        names.socket_unit("shop"): "site-shop-jail.socket",
        names.certificate_unit("shop"): "site-shop-jail-certificate.path",
        names.mount_unit("/var/www/shop/.image"): "var-www-shop-.image.mount",
        names.slice_unit("shop"): "fpmjail-shop.slice",
    }
    assert list(found) == list(found.values())


def test_a_dash_in_the_name_does_not_nest_the_slice() -> None:
    assert names.slice_unit("my-shop") == r"fpmjail-my\x2dshop.slice"


def test_the_longest_name_fits_everywhere() -> None:
    assert names.SITE_NAME.fullmatch(LONGEST)
    assert not names.SITE_NAME.fullmatch(LONGEST + "a")
    assert len(names.socket_path(LONGEST)) <= LONGEST_SOCKET_PATH
    assert len(names.mount_unit(f"{names.jail_directory(LONGEST)}/.image")) <= LONGEST_UNIT
    assert len(names.user(LONGEST)) == names.LONGEST_USER
    assert names.USER_NAME.fullmatch(names.user(LONGEST))


def test_the_longest_account_has_31_characters() -> None:
    assert names.USER_NAME.fullmatch("_" + "a" * 30)
    assert not names.USER_NAME.fullmatch("_" + "a" * 31)
