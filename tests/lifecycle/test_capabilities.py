# SPDX-License-Identifier: GPL-2.0-or-later
"""What a site can ask its jail to hold: fonts, git, ImageMagick, LDAP's settings, PEAR, dictionaries, everything, or
the server's own /usr. The tests tell it in order.

`bare` asks for nothing, `example` for each thing by its name or by an extension, `whole` for everything, `bound` for
the server's /usr. On all of them the same page shows what PHP says, and the probes of `example` are asked.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lifecycle import extras, manual
from tests.lifecycle.bed import Bed
from tests.lifecycle.server import Server

EXTRA = (
    "phpX-imagick", "phpX-ldap", "phpX-enchant", "phpX-pspell", "php-pear", "git", "fonts-dejavu-core",
    "libldap-common", "hunspell-en-us", "aspell-en", "slapd",
)  # fmt: skip
CHOICE = ("fonts", "git", "imagick", "ldap", "pear", "spelling")

HEAD = "maintainer: Ann Other <ann@example.org>\n"
BARE = f"site: bare\ndomains: [bare.example.org]\n{HEAD}php: {{extensions: [gd, mbstring]}}\n"
EXAMPLE = f"""site: example
domains: [example.org]
{HEAD}php:
  extensions: [curl, enchant, gd, imagick, ldap, mbstring, pspell]
jail:
  capabilities: [git, pear, plain-shell]
"""
POOLED = f"site: pooled\ndomains: [pooled.example.org]\nisolation: shared\n{HEAD}jail: {{capabilities: [full]}}\n"
LEAN = f"site: lean\ndomains: [lean.example.org]\nisolation: shared\n{HEAD}php: {{extensions: [gd, mbstring]}}\n"
WHOLE = f"site: whole\ndomains: [whole.example.org]\n{HEAD}jail: {{capabilities: [full]}}\n"
BOUND = f"""site: bound
domains: [bound.example.org]
{HEAD}php:
  extensions: [curl, enchant, gd, imagick, ldap, mbstring, pspell]
jail:
  capabilities: [git, pear]
  libraries: bind
"""
HOSTS = {name: f"{name}.example.org" for name in ("bare", "whole", "bound", "pooled", "lean")} | {
    "example": "example.org"
}

SHELL = {
    "format": 1,
    "name": "plain-shell",
    "summary": "an administrator's own: /bin/sh",
    "rules": [{"programs": ["/usr/bin/dash"]}, {"links": {"/usr/bin/sh": "dash"}}],
}
COLOURS = {"format": 1, "name": "colours", "rules": [{"files": ["/etc/hostname"]}]}

ASK = """
import json, sys
from pathlib import Path
sys.path.insert(0, "/usr/share/fpmjail")
from fpmjail import probe, site
from fpmjail.layout import Layout
expected, asked, *names = sys.argv[1:]
sites = {one.name: one for one in site.installed(Layout())[0]}
told = probe.of_site(Layout(), sites[expected])
answers = {n: probe.ask(sites[asked].paths.socket, n, probe.arguments(n, told)).findings for n in names}
print(json.dumps(answers))
"""

PAGE = r"""<?php
ini_set('html_errors', '0');
error_reporting(E_ALL & ~E_DEPRECATED);
set_error_handler(fn ($level, $words) => error_reporting() & $level ? throw new RuntimeException($words) : false);
$try = function (callable $what) {
    try {
        return $what();
    } catch (Throwable $fault) {
        return $fault->getMessage();
    }
};
const FONT = '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf';
$resized = function (string $format) {
    $picture = new Imagick();
    $picture->newImage(200, 100, new ImagickPixel('#884422'));
    $picture->setImageFormat($format);
    $again = new Imagick();
    $again->readImageBlob($picture->getImageBlob());
    $again->thumbnailImage(50, 0);
    $again->readImageBlob($again->getImageBlob());
    return $again->getImageFormat() . ' ' . $again->getImageWidth() . 'x' . $again->getImageHeight();
};
$written = function (string $font) {
    $pen = new ImagickDraw();
    $pen->setFontSize(24);
    $pen->setFont($font);
    $picture = new Imagick();
    $picture->newImage(200, 50, new ImagickPixel('white'));
    $picture->annotateImage($pen, 5, 35, 0, 'Fpmjail');
    return $picture->getImageColors() > 1;
};
$command = function (array|string $command) {
    $process = proc_open($command, [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]], $pipes, '/tmp');
    return trim(stream_get_contents($pipes[1])) . ' (' . proc_close($process) . ')';
};
$directory = function (string $address) {
    $link = ldap_connect($address);
    ldap_set_option($link, LDAP_OPT_PROTOCOL_VERSION, 3);
    ldap_set_option($link, LDAP_OPT_NETWORK_TIMEOUT, 5);
    ldap_bind($link, 'cn=admin,dc=example,dc=org', 'secret');
    $found = ldap_get_entries($link, ldap_search($link, 'dc=example,dc=org', '(cn=ann)', ['sn']));
    return $found[0]['sn'][0];
};
$asked = [
    'formats' => fn () => count(Imagick::queryFormats()),
    'png' => fn () => $resized('PNG'),
    'jpeg' => fn () => $resized('JPEG'),
    'webp' => fn () => $resized('WEBP'),
    'text' => fn () => $written(FONT),
    'name' => fn () => $written('DejaVu-Sans'),
    'gif' => fn () => $resized('GIF'),
    'gd' => function () {
        $picture = imagecreatetruecolor(200, 50);
        return imagettftext($picture, 20, 0, 5, 35, 0xffffff, FONT, 'Fpmjail')[2] > 50;
    },
    'pear' => fn () => (include 'PEAR.php') ? (new PEAR_Error('as expected'))->getMessage() : '',
    'enchant' => function () {
        $words = enchant_broker_request_dict(enchant_broker_init(), 'en_US');
        return $words ? [enchant_dict_check($words, 'colour'), enchant_dict_check($words, 'color')] : false;
    },
    'pspell' => fn () => [pspell_check($words = pspell_new('en_US'), 'colour'), pspell_check($words, 'color')],
    'ldap' => fn () => $directory('ldap://127.0.0.1:3890'),
    'ldaps' => fn () => $directory('ldaps://127.0.0.1:6360'),
    'git' => fn () => $command(['/usr/bin/git', '--version']),
    'clone' => fn () => $command(['/usr/bin/git', 'clone', '-q', "/var/www/$_GET[site]/bare.git", "/tmp/$_GET[name]"])
        . file_get_contents("/tmp/$_GET[name]/file"),
    'greek' => fn () => bin2hex(iconv('UTF-8', 'ISO-8859-7', "\u{3b1}")),
    'italian' => fn () => setlocale(LC_ALL, 'it_IT.UTF-8'),
    'id' => fn () => $command('/usr/bin/id -u'),
    'su' => fn () => $command(['/usr/bin/su', '-c', 'id']),
];
echo json_encode(array_map($try, array_intersect_key($asked, array_flip(explode(',', $_GET['ask'])))));
"""

SLAPD = """include /opt/slapd/etc/ldap/schema/core.schema
pidfile /run/slapd-test.pid
TLSCertificateFile /etc/ssl/directory.crt
TLSCertificateKeyFile /etc/ssl/directory.key
database ldif
directory /opt/directory
suffix dc=example,dc=org
rootdn cn=admin,dc=example,dc=org
rootpw secret
"""
ENTRIES = """dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: example
dc: example

dn: cn=ann,dc=example,dc=org
objectClass: person
cn: ann
sn: Other
"""


@pytest.fixture(scope="module")
def server(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The sites without capabilities and with some by name, installed while no dictionary was."""
    bed.publish_own_packages()
    bed.sites.publish(*extras.debs(bed.release, EXTRA))
    there = Server(bed, tmp_path_factory.mktemp("dist"))
    there.publish(BARE, "bare.yaml")
    there.publish(EXAMPLE, "example.yaml")
    there.write("/etc/fpmjail/capabilities.d/plain-shell.json", json.dumps(SHELL))
    there.install("site-bare-jail", "site-example-jail")
    for site in ("bare", "example"):
        there.write_page("ask.php", PAGE, site)
    yield there


def ask(server: Server, *what: str, site: str = "example") -> dict[str, Any]:
    """What PHP in the site's jail says to these questions."""
    name = f"{time.monotonic_ns()}"
    page = server.get(f"/ask.php?site={site}&name={name}&ask={','.join(what)}", HOSTS[site])
    assert page.status == 200, page
    return dict(json.loads(page.body))


def probed(server: Server, site: str, *names: str) -> dict[str, list[str]]:
    """What the probes find in a site's jail that are told what `example` has."""
    return dict(json.loads(server.run("python3", "-c", ASK, "example", site, *names).stdout))


def levels(server: Server, site: str = "example") -> dict[str, str]:
    """How `fpmjail check` judges each capability."""
    return {one["name"]: one["level"] for one in server.check(site) if one["topic"] == "capability"}


def generation(server: Server) -> str:
    """The generation of `example`'s image that is in use."""
    return server.run("readlink", "/var/lib/fpmjail/jails/example/.image/current").stdout.strip()


def main_pid(server: Server, site: str) -> str:
    return server.run("systemctl", "show", "-P", "MainPID", f"site-{site}-jail").stdout.strip()


def start_directory(server: Server) -> None:
    """slapd with an entry and a certificate of an authority of its own, on two ports of loopback."""
    server.shell("cd /tmp && apt-get download slapd && dpkg -x slapd_*.deb /opt/slapd && mkdir /opt/directory")
    server.install("libodbc2", "libltdl7")
    server.shell(
        "cd /etc/ssl && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout directory.key -out directory.crt && "
        "chmod 644 directory.crt"
    )
    server.write("/opt/slapd.conf", SLAPD)
    server.write("/opt/entries.ldif", ENTRIES)
    libraries = f"LD_LIBRARY_PATH={server.shell('dirname $(find /opt/slapd -name libslapi*.so.*.*)').stdout.strip()}"
    server.run("env", libraries, "/opt/slapd/usr/sbin/slapadd", "-f", "/opt/slapd.conf", "-l", "/opt/entries.ldif")
    options = ["-d", "none", "-f", "/opt/slapd.conf", "-h", "ldap://127.0.0.1:3890 ldaps://127.0.0.1:6360"]
    server.run("systemd-run", "-q", f"--setenv={libraries}", "/opt/slapd/usr/sbin/slapd", *options)
    server.shell("for _ in $(seq 100); do ss -ltn | grep -q :6360 && exit; sleep 0.1; done; exit 1")


def test_a_server_without_dictionaries_is_told_which_package_has_them(server: Server) -> None:
    found = next(one for one in server.check() if one["name"] == "dictionaries")
    assert found["level"] == "warning" and found["fix"] == "apt install aspell-LANGUAGE", found  # enchant brings one
    assert found["origin"].startswith("example.yaml:"), found
    assert server.faults() == []


def test_a_dictionary_that_is_installed_later_reaches_the_jail(server: Server) -> None:
    before = generation(server)
    server.install("aspell-en")
    server.settle()
    assert generation(server) != before
    assert ask(server, "enchant", "pspell") == {"enchant": [False, True], "pspell": [False, True]}


def test_every_probe_passes_where_it_was_declared_and_fails_where_not(server: Server) -> None:
    declared = levels(server)
    assert {name: declared[name] for name in CHOICE} == dict.fromkeys(CHOICE, "good")
    assert probed(server, "example", *CHOICE) == {name: [] for name in CHOICE}
    seen = probed(server, "bare", *CHOICE)
    assert all(seen.values()), seen
    assert "Could not find/open font" in seen["fonts"][0]
    assert "queryFormats() is empty" in seen["imagick"][0]
    assert "include(PEAR.php): Failed to open stream: No such file or directory" in seen["pear"][0]
    assert "enchant has no dictionary for en_US" in seen["spelling"][0]
    assert "ldap.conf is missing" in seen["ldap"][0]
    assert "posix_spawn() failed: No such file or directory" in seen["git"][0] or "status 127" in seen["git"][0]


def test_the_manual_says_what_each_costs(server: Server) -> None:
    rows = {"git": "git", "dictionaries": "spelling", "ImageMagick": "imagick", "fonts": "fonts", "PEAR": "pear"}
    costs = server.costs()
    wrong = {row: costs[name] for row, name in rows.items() if not manual.near(server.release, row, *costs[name])}
    assert not wrong, wrong


def test_imagick_resizes_and_writes(server: Server) -> None:
    seen = ask(server, "png", "jpeg", "webp", "text", "name")
    sizes = {name: f"{name.upper()} 50x25" for name in ("png", "jpeg", "webp")}
    assert seen == {**sizes, "text": True, "name": True}
    assert ask(server, "formats")["formats"] > 100
    bare = ask(server, "formats", "png", site="bare")
    assert bare["formats"] == 0 and re.search("Unable to set image format|coder.xml", bare["png"]), bare


def test_gd_pear_and_spelling_work_as_outside(server: Server) -> None:
    seen = ask(server, "gd", "pear", "enchant", "pspell")
    assert seen == {"gd": True, "pear": "as expected", "enchant": [False, True], "pspell": [False, True]}
    bare = ask(server, "gd", "pear", "enchant", "pspell", site="bare")
    assert "Could not find/open font" in bare["gd"]
    assert "Failed to open stream: No such file or directory" in bare["pear"]
    assert bare["enchant"] is False
    assert "No word lists can be found for the language" in bare["pspell"]


def test_ldap_finds_the_authority_that_ldap_conf_names(server: Server) -> None:
    start_directory(server)
    seen = ask(server, "ldap", "ldaps")
    assert seen["ldap"] == "Other" and "Can't contact LDAP server" in seen["ldaps"], seen
    server.shell(
        "sed -i '/^TLS_CACERT/d' /etc/ldap/ldap.conf && echo 'TLS_CACERT /etc/ssl/directory.crt' >>/etc/ldap/ldap.conf"
    )
    server.settle()
    assert ask(server, "ldap", "ldaps") == {"ldap": "Other", "ldaps": "Other"}
    assert levels(server)["ldap"] == "good"
    assert "Can't contact LDAP server" in ask(server, "ldaps", site="bare")["ldaps"]


def test_git_clones_a_bare_repository_by_an_administrators_own_shell(server: Server) -> None:
    server.shell(
        "git init -q -b main /tmp/work && cd /tmp/work && echo kept >file && git add file && "
        "git -c user.name=a -c user.email=a@b commit -q -m one && "
        "for site in example bare; do git clone -q --bare . /var/www/$site/bare.git; "
        "chown -R _site-$site: /var/www/$site/bare.git; done"
    )
    seen = ask(server, "git", "clone", "id")
    assert seen["git"].startswith("git version") and seen["clone"] == " (0)kept\n", seen
    bare = ask(server, "git", site="bare")["git"]
    assert "No such file or directory" in bare or bare.endswith("(127)"), bare


def test_a_changed_policy_of_imagemagick_reaches_the_running_master(server: Server) -> None:
    assert ask(server, "gif")["gif"] == "GIF 50x25"
    server.settle()
    before = generation(server)
    time.sleep(2)  # systemd watches the paths again only some time after their service has ended
    server.shell(
        "file=$(ls /etc/ImageMagick-*/policy.xml) && "
        'sed \'s,</policymap>,<policy domain="coder" rights="none" pattern="GIF"/></policymap>,\' $file '
        ">$file.new && mv $file.new $file"
    )
    current = "/var/lib/fpmjail/jails/example/.image/current"
    server.shell(f"for _ in $(seq 900); do test $(readlink {current}) = {before} || exit 0; sleep 0.1; done; exit 1")
    server.settle()
    seen = ask(server, "gif", "png")
    forbidden = "security policy|Failed to get the image contents|null given|Zero size image"
    assert re.search(forbidden, seen["gif"]) and seen["png"] == "PNG 50x25"
    assert levels(server)["imagick"] == "good"


def test_a_capability_that_nobody_defines_is_named_and_so_is_a_broken_file(server: Server) -> None:
    server.write("/etc/fpmjail/capabilities.d/colours.json", "{ not json")
    server.publish(EXAMPLE.replace("plain-shell", "colours, plain-shell") + "version: 1.0.1\n", "example.yaml")
    answer = server.apt("upgrade", check=False)
    assert not answer.good
    assert "capability colours is not defined in /etc/fpmjail/capabilities.d" in answer.output
    assert any("colours.json: is not JSON" in words for words in server.status()["warnings"])
    assert ask(server, "png")["png"] == "PNG 50x25" and server.faults("bare") == []
    server.write("/etc/fpmjail/capabilities.d/colours.json", json.dumps(COLOURS))
    server.run("dpkg", "--configure", "-a")
    assert server.faults() == [] and server.status()["warnings"] == []


def test_full_has_everything(server: Server) -> None:
    server.shell("echo 'it_IT.UTF-8 UTF-8' >/etc/locale.gen && locale-gen")
    server.publish(WHOLE, "whole.yaml")
    server.install("site-whole-jail")
    server.write_page("ask.php", PAGE, "whole")
    seen = levels(server, "whole")
    assert {name: seen[name] for name in (*CHOICE, "full")} == dict.fromkeys((*CHOICE, "full"), "good")
    assert server.faults("whole") == []
    files, size = map(sum, zip(*server.costs("whole").values(), strict=True))
    assert manual.near(server.release, "all of these", files, size), (files, size)
    assert probed(server, "whole", *CHOICE) == {name: [] for name in CHOICE}
    assert ask(server, "greek", "italian", site="whole") == {"greek": "e1", "italian": "it_IT.UTF-8"}
    bare = ask(server, "greek", "italian", site="bare")
    assert 'conversion from "UTF-8" to "ISO-8859-7" is not allowed' in bare["greek"] and bare["italian"] is False
    server.apt("remove", "site-whole-jail")  # one image less to renew in what follows


def test_shared_sites_have_what_they_declare_and_nothing_else(server: Server) -> None:
    server.publish(POOLED, "pooled.yaml")
    server.publish(LEAN, "lean.yaml")
    server.install("site-pooled-jail", "site-lean-jail")
    for site in ("pooled", "lean"):
        server.write(f"/var/www/{site}/var/www/{site}/htdocs/ask.php", PAGE)
    seen = levels(server, "pooled")
    assert {name: seen[name] for name in (*CHOICE, "full")} == dict.fromkeys((*CHOICE, "full"), "good")
    assert server.faults("pooled") == [] and server.faults("lean") == []
    works = {"png": "PNG 50x25", "text": True, "gd": True, "pear": "as expected", "pspell": [False, True],
             "greek": "e1", "italian": "it_IT.UTF-8"}  # fmt: skip
    assert ask(server, *works, site="pooled") == works
    assert ask(server, "git", site="pooled")["git"].startswith("git version")
    lean = ask(server, *works, "git", site="lean")
    assert re.search("Unable to set image format|coder.xml", lean["png"]), lean
    assert "Could not find/open font" in lean["gd"] and "No such file or directory" in lean["pear"]
    assert "No word lists can be found" in lean["pspell"] and "ISO-8859-7" in lean["greek"]
    assert "No such file or directory" in lean["git"] or lean["git"].endswith("(127)"), lean
    server.apt("purge", "site-pooled-jail", "site-lean-jail")


def test_a_site_with_the_servers_usr_has_all_of_it_and_copies_none(server: Server) -> None:
    server.publish(BOUND, "bound.yaml")
    server.install("site-bound-jail")
    server.write_page("ask.php", PAGE, "bound")
    seen = levels(server, "bound")
    assert {name: seen[name] for name in (*CHOICE, "bind")} == dict.fromkeys((*CHOICE, "bind"), "good")
    assert server.faults("bound") == []
    assert probed(server, "bound", *CHOICE) == {name: [] for name in CHOICE}
    copies = json.loads(server.run("fpmjail", "files", "bound", "--json").stdout)
    assert not [one for one in copies if one["type"] == "file" and one["path"].startswith("usr/")]
    assert sum(one["size"] for one in copies if one["type"] == "file") < 20_000_000
    assert ask(server, "italian", "greek", site="bound") == {"italian": "it_IT.UTF-8", "greek": "e1"}
    assert server.run("fpmjail", "exec", "bound", "--", "php", "-r", "echo PHP_SAPI;").stdout == "cli"


def test_set_uid_programs_of_the_servers_usr_count_for_nothing(server: Server) -> None:
    seen = ask(server, "id", "su", site="bound")
    uid = server.run("id", "-u", "_site-bound").stdout.strip()
    assert seen["id"] == f"{uid} (0)" and not seen["su"].endswith("(0)"), seen
    found = next(one for one in server.check("bound") if one["topic"] == "files" and one["name"] == "/usr")
    assert "set-uid" in found["seen"] and found["level"] == "good", found
    table = server.run("findmnt", "-rno", "TARGET,OPTIONS,PROPAGATION", "/var/lib/fpmjail/jails/bound/usr").stdout
    assert {"ro", "nosuid", "nodev"} <= set(table.split()[1].split(",")) and table.split()[2] == "private", table


def test_an_upgrade_of_libc_renews_the_master_that_uses_the_servers_own(server: Server) -> None:
    before = main_pid(server, "bound")
    server.bed.publish_upgrade("libc6", round=1)
    server.apt("upgrade")
    server.settle()
    pid = main_pid(server, "bound")
    assert pid not in ("0", before)
    maps = server.read(f"/proc/{pid}/maps")
    assert "/libc.so.6" in maps and not [
        line for line in maps.splitlines() if "(deleted)" in line and "/dev/zero" not in line
    ]
    assert server.faults("bound") == [] and server.faults() == []


def test_a_site_goes_from_the_servers_usr_to_copies_and_leaves_nothing(server: Server) -> None:
    server.publish(BOUND.replace("  libraries: bind\n", "") + "version: 1.1.0\n", "bound.yaml")
    server.apt("upgrade")
    assert server.faults("bound") == []
    assert ask(server, "png", "pspell", site="bound") == {"png": "PNG 50x25", "pspell": [False, True]}
    assert "/jails/bound/usr" not in server.read("/proc/self/mountinfo")
    server.publish(BOUND + "version: 1.2.0\n", "bound.yaml")
    server.apt("upgrade")
    assert server.faults("bound") == []
    assert ask(server, "png", "pspell", site="bound") == {"png": "PNG 50x25", "pspell": [False, True]}
    answer = server.apt("purge", "site-bound-jail")
    assert not server.exists("/var/lib/fpmjail/jails/bound"), answer.output
    assert server.exists("/usr/bin/git") and "/jails/bound" not in server.read("/proc/self/mountinfo")
