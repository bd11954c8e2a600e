# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about Debian's releases, as data: what a site may ask of them, and what they call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Release:
    """One Debian release.

    `suffix` ends the version of every package made for it, so that the package of a newer release is the newer one.
    `php` is the release's own PHP, `php_versions` all that it ships; `extensions` are the EXT of its
    phpX.Y-EXT packages. `systemd` is the major version of its systemd, `apparmor` the newest policy ABI that its
    AppArmor knows.
    """

    codename: str
    number: str
    suffix: str
    php: str
    php_versions: tuple[str, ...]
    extensions: frozenset[str]
    systemd: int
    apparmor: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EXTENSIONS = _words(
    """
    amqp apcu ast bcmath bz2 curl dba ds enchant gd gearman gmagick gmp gnupg http igbinary imagick interbase intl
    ldap libvirt-php mailparse maxminddb mbstring mcrypt memcache memcached mongodb msgpack mysql oauth odbc opcache
    pcov pgsql ps pspell psr raphf readline redis rrd snmp soap solr sqlite3 ssh2 stomp sybase tidy uopz
    uploadprogress uuid xdebug xml xmlrpc yac yaml zip zmq
    """
)

RELEASES: Mapping[str, Release] = MappingProxyType(
    {
        "bookworm": Release(
            codename="bookworm",
            number="12",
            suffix="+deb12",
            php="8.2",
            php_versions=("8.2",),
            extensions=_EXTENSIONS | {"imap", "pinba", "tideways"},
            systemd=252,
            apparmor="3.0",
        ),
        "trixie": Release(
            codename="trixie",
            number="13",
            suffix="+deb13",
            php="8.4",
            php_versions=("8.4",),
            extensions=_EXTENSIONS | {"excimer", "inotify", "pq", "smbclient", "zstd"},
            systemd=257,
            apparmor="4.0",
        ),
    }
)

PART_OF: Mapping[str, str] = MappingProxyType(
    {
        "dom": "xml",
        "mysqli": "mysql",
        "mysqlnd": "mysql",
        "pdo_mysql": "mysql",
        "pdo_pgsql": "pgsql",
        "pdo_sqlite": "sqlite3",
        "simplexml": "xml",
        "sqlite": "sqlite3",
        "xmlreader": "xml",
        "xmlwriter": "xml",
        "xsl": "xml",
    }
)
"""Extensions that people know by another name than that of the Debian package they are in."""

BUILT_IN = _words(
    """
    calendar ctype date exif ffi fileinfo filter ftp gettext hash iconv json libxml openssl pcre pdo phar posix random
    session shmop sockets sodium spl standard sysvmsg sysvsem sysvshm tokenizer zlib
    """
)
"""Extensions that phpX.Y-fpm and its phpX.Y-common always bring."""

CHARSETS = _words(
    """
    ANSI_X3.110 ARMSCII-8 ASMO_449 BIG5 BIG5HKSCS BRF BS_4730 CP10007 CP1125 CP1250 CP1251 CP1252 CP1253 CP1254
    CP1255 CP1256 CP1257 CP1258 CP737 CP770 CP771 CP772 CP773 CP774 CP775 CP932 CSA_Z243.4-1985-1 CSA_Z243.4-1985-2
    CSN_369103 CWI DEC-MCS DIN_66003 DS_2089 EBCDIC-AT-DE EBCDIC-AT-DE-A EBCDIC-CA-FR EBCDIC-DK-NO EBCDIC-DK-NO-A
    EBCDIC-ES EBCDIC-ES-A EBCDIC-ES-S EBCDIC-FI-SE EBCDIC-FI-SE-A EBCDIC-FR EBCDIC-IS-FRISS EBCDIC-IT EBCDIC-PT
    EBCDIC-UK EBCDIC-US ECMA-CYRILLIC ES ES2 EUC-CN EUC-JISX0213 EUC-JP EUC-JP-MS EUC-KR EUC-TW GB18030 GBK
    GB_1988-80 GEORGIAN-ACADEMY GEORGIAN-PS GOST_19768-74 GREEK-CCITT GREEK7 GREEK7-OLD HP-GREEK8 HP-ROMAN8
    HP-ROMAN9 HP-THAI8 HP-TURKISH8 IBM037 IBM038 IBM1004 IBM1008 IBM1025 IBM1026 IBM1046 IBM1047 IBM1097 IBM1112
    IBM1122 IBM1123 IBM1124 IBM1129 IBM1130 IBM1132 IBM1133 IBM1137 IBM1140 IBM1141 IBM1142 IBM1143 IBM1144 IBM1145
    IBM1146 IBM1147 IBM1148 IBM1149 IBM1153 IBM1154 IBM1155 IBM1156 IBM1157 IBM1158 IBM1160 IBM1161 IBM1162 IBM1163
    IBM1164 IBM1166 IBM1167 IBM12712 IBM1364 IBM1371 IBM1388 IBM1390 IBM1399 IBM16804 IBM256 IBM273 IBM274 IBM275
    IBM277 IBM278 IBM280 IBM281 IBM284 IBM285 IBM290 IBM297 IBM420 IBM423 IBM424 IBM437 IBM4517 IBM4899 IBM4909
    IBM4971 IBM500 IBM5347 IBM803 IBM850 IBM851 IBM852 IBM855 IBM856 IBM857 IBM858 IBM860 IBM861 IBM862 IBM863
    IBM864 IBM865 IBM866 IBM866NAV IBM868 IBM869 IBM870 IBM871 IBM874 IBM875 IBM880 IBM891 IBM901 IBM902 IBM903
    IBM9030 IBM904 IBM905 IBM9066 IBM918 IBM921 IBM922 IBM930 IBM932 IBM933 IBM935 IBM937 IBM939 IBM943 IBM9448
    IEC_P27-1 INIS INIS-8 INIS-CYRILLIC ISIRI-3342 ISO-2022-CN ISO-2022-CN-EXT ISO-2022-JP ISO-2022-JP-2
    ISO-2022-JP-3 ISO-2022-KR ISO-8859-1 ISO-8859-10 ISO-8859-11 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16
    ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-9E ISO-IR-197
    ISO-IR-209 ISO_10367-BOX ISO_11548-1 ISO_2033 ISO_5427 ISO_5427-EXT ISO_5428 ISO_6937 ISO_6937-2 IT
    JIS_C6220-1969-RO JIS_C6229-1984-B JOHAB JUS_I.B1.002 KOI-8 KOI8-R KOI8-RU KOI8-T KOI8-U KSC5636 LATIN-GREEK
    LATIN-GREEK-1 MAC-CENTRALEUROPE MAC-IS MAC-SAMI MAC-UK MACINTOSH MIK MSZ_7795.3 NATS-DANO NATS-SEFI NC_NC00-10
    NF_Z_62-010 NF_Z_62-010_1973 NS_4551-1 NS_4551-2 PT PT154 PT2 RK1048 SEN_850200_B SEN_850200_C SJIS
    Shift_JISX0213 T.61-8BIT TCVN5712-1 TIS-620 TSCII UHC UNICODE UTF-16 UTF-16BE UTF-16LE UTF-32 UTF-32BE UTF-32LE
    UTF-7 UTF-7-IMAP VISCII WIN-SAMI-2
    """
)
"""The character sets that are gconv modules of glibc 2.36 and 2.41, by the names in their gconv-modules files."""
