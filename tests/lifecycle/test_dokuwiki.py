# SPDX-License-Identifier: GPL-2.0-or-later
"""DokuWiki from Debian's archive, put into a jail as docs/dokuwiki.md says: flat files, sessions, access control.

Everything is done anew behind each web server; the tests tell it in order.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import pytest

from tests.lifecycle import extras, manual, trees
from tests.lifecycle.bed import booted
from tests.lifecycle.browser import Answer, Browser, forms, words
from tests.lifecycle.repository import SigningKey
from tests.lifecycle.server import Server

EXAMPLE = trees.CHECKOUT / "examples/dokuwiki.yaml"
VERSIONS = itertools.count()
HOST = "wiki.example.org"
BASE = {"dedicated": "/var/www/dokuwiki", "shared": "/var/www/dokuwiki/var/www/dokuwiki"}
PASSWORD = "correct horse battery staple"
QUESTIONS = f"""\
dokuwiki dokuwiki/system/configure-webserver multiselect
dokuwiki dokuwiki/wiki/password password {PASSWORD}
dokuwiki dokuwiki/wiki/confirm password {PASSWORD}
dokuwiki dokuwiki/wiki/email string admin@example.org
"""
PAGE = """====== Über Wikis ======
//Ærøskøbing// „quoted“ {{photo.jpg?200}}
<code php>
<?php echo strtolower('GeSHi'); // colours
</code>
"""
PHOTO = """
$photo = imagecreatetruecolor(800, 600);
for ($x = 0; $x < 800; $x++) imageline($photo, $x, 0, $x, 599, imagecolorallocate($photo, $x % 256, $x / 4, 99));
imagejpeg($photo, '/root/photo.jpg', 90);
"""


@dataclass(frozen=True, slots=True)
class Wiki:
    """The wiki behind one of the web servers, its administrator's browser and a visitor's."""

    server: Server
    isolation: str
    admin: Browser
    visitor: Browser

    def follow(self, *sections: str) -> None:
        """Do what the manual says, with the base directory of this isolation."""
        for section in sections:
            commands = manual.commands("dokuwiki.md", section)
            base = f"base={BASE[self.isolation]}\n"
            self.server.shell(commands.replace("base=/var/www/dokuwiki\n", base))

    def edit(self, page: str, text: str) -> Answer:
        """Change a page as the administrator."""
        editor = self.admin.get(f"/doku.php/{page}?do=edit")
        number = next(i for i, form in enumerate(forms(editor.text)) if "wikitext" in form.fields)
        return self.admin.submit(editor, number, wikitext=text, **{"do[save]": "1"})


@pytest.fixture(scope="module", params=["dedicated", "shared"])
def isolation(request: pytest.FixtureRequest) -> str:
    """Both ways to run PHP."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(
    release: str, isolation: str, tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey
) -> Iterator[Server]:
    """A server with Debian's applications in its sources."""
    with booted(release, tmp_path_factory.mktemp("repository"), signing_key) as bed:
        bed.upgrades.publish(*extras.debs(release, ("php", "dokuwiki", "php-pear")))
        bed.publish_own_packages()
        there = Server(bed, tmp_path_factory.mktemp("dist"))
        there.container.run("debconf-set-selections", input=QUESTIONS)
        there.run("systemctl", "unmask", "nginx")
        there.run("php", "-r", PHOTO)
        yield there


@pytest.fixture(scope="module", params=["apache", "nginx"])
def wiki(server: Server, isolation: str, request: pytest.FixtureRequest) -> Wiki:
    """DokuWiki freshly copied behind this web server."""
    web, other = str(request.param), {"apache": "nginx", "nginx": "apache2"}[str(request.param)]
    text = f"isolation: {isolation}\nversion: 1.{next(VERSIONS)}.0\n{EXAMPLE.read_text()}"
    if web == "nginx":
        text = text.replace("web:\n", "web:\n  server: nginx\n")
    there = Wiki(server, isolation, Browser(server, HOST), Browser(server, HOST))
    base = BASE[isolation]
    server.shell(f"systemctl stop {other}; systemctl start {web.replace('apache', 'apache2')}")
    server.publish(text, "dokuwiki.yaml")
    there.follow("DokuWiki from Debian's archive")
    server.shell(f"rm -rf {base}/conf {base}/data; find {base}/htdocs -mindepth 1 -delete")
    there.follow("The files", "Accounts, settings, pages")
    return there


def test_a_visitor_reads_and_cannot_write(wiki: Wiki) -> None:
    page = wiki.visitor.get("/")
    assert page.status == 200 and "/doku.php" in page.url, page.url
    assert "This topic does not exist yet" in words(page.text), words(page.text)
    editor = wiki.visitor.get("/doku.php/start?do=edit")
    assert not [form for form in forms(editor.text) if "do[save]" in editor.text], words(editor.text)


def test_the_administrator_logs_in_with_the_password_that_debian_asked_for(wiki: Wiki) -> None:
    for password, seen in (("wrong", "Sorry, username or password was wrong"), (PASSWORD, "Logged in as")):
        page = wiki.admin.get("/doku.php/start?do=login")
        number = next(i for i, form in enumerate(forms(page.text)) if "p" in form.fields)
        answer = wiki.admin.submit(page, number, u="admin", p=password)
        assert seen in words(answer.text), words(answer.text)


def test_a_picture_is_uploaded_and_shown_in_another_size(wiki: Wiki) -> None:
    manager = wiki.admin.get("/lib/exe/mediamanager.php?ns=")
    fields = next(form.fields for form in forms(manager.text) if "mediaid" in form.fields)
    parts = [word for name, value in fields.items() if name != "upload" for word in ("-F", f"{name}={value}")]
    answer = wiki.admin.get("/lib/exe/mediamanager.php", *parts, "-F", "upload=@/root/photo.jpg")
    assert "Upload successful" in words(answer.text), words(answer.text)
    page = wiki.edit("start", PAGE)
    source = re.search(r'src="([^"]*fetch\.php[^"]*photo\.jpg[^"]*)"', page.text)
    assert source, page.text
    url = unescape(source[1])
    assert url.startswith("/lib/exe/fetch.php/photo.jpg?"), url
    shown = wiki.server.shell(
        f"curl -sSf -H 'Host: {HOST}' 'http://127.0.0.1{url}' >/root/seen && "
        "php -r 'echo json_encode(getimagesize(\"/root/seen\"));'"
    )
    assert json.loads(shown.stdout)["0"] == 200


def test_what_was_saved_is_shown_to_all(wiki: Wiki) -> None:
    page = wiki.visitor.get("/doku.php/start")
    assert page.status == 200
    assert "Ærøskøbing „quoted“" in words(page.text) and "Über Wikis" in words(page.text)
    assert re.search(r'<span class="kw2">&lt;\?php</span>', page.text), page.text


def test_names_of_pages_may_be_of_any_script(wiki: Wiki) -> None:
    wiki.edit("%C3%BCber:%E7%8C%AB", "====== 猫 ======\nmiaow")
    page = wiki.visitor.get("/doku.php/%C3%BCber:%E7%8C%AB")
    assert page.status == 200 and "miaow" in words(page.text)
    assert wiki.visitor.get("/no/such/page").status == 404


def test_access_control_hides_pages(wiki: Wiki) -> None:
    wiki.edit("secret:plan", "the plan")
    assert "the plan" in wiki.visitor.get("/doku.php/secret:plan").text
    panel = wiki.admin.get("/doku.php/start?do=admin&page=acl&ns=secret")
    token = next(form.fields["sectok"] for form in forms(panel.text) if "sectok" in form.fields)
    fields = {"sectok": token, "ns": "secret", "acl_t": "@ALL", "acl": "0", "cmd[save]": "1", "do": "admin"}
    wiki.admin.post("/doku.php/start?do=admin&page=acl&current_ns=secret", {**fields, "page": "acl"})
    hidden = wiki.visitor.get("/doku.php/secret:plan")
    assert "Permission Denied" in words(hidden.text) and "the plan" not in hidden.text
    assert "the plan" in wiki.admin.get("/doku.php/secret:plan").text


def test_neither_settings_nor_pages_lie_where_the_web_server_looks(wiki: Wiki) -> None:
    for path in ("/conf/users.auth.php", "/data/pages/start.txt", "/../conf/local.php"):
        assert wiki.visitor.get(path, "--path-as-is").status in (400, 403, 404), path


def test_files_from_an_upgrade_of_the_package_leave_accounts_and_pages_alone(wiki: Wiki) -> None:
    wiki.follow("The files")
    assert "the plan" in wiki.admin.get("/doku.php/secret:plan").text
    assert "Permission Denied" in words(wiki.visitor.get("/doku.php/secret:plan").text)


def test_the_check_finds_nothing_wrong(wiki: Wiki) -> None:
    faults = wiki.server.faults("dokuwiki")
    assert not faults, faults
    log = wiki.server.run("sh", "-c", "cat /var/log/fpmjail/dokuwiki/php.log", check=False).stdout
    assert [line for line in log.splitlines() if "Fatal" in line] == []
