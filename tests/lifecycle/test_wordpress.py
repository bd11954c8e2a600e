# SPDX-License-Identifier: GPL-2.0-or-later
"""WordPress from Debian's archive, put into a jail as docs/wordpress.md says, and used as its author would.

Everything is done anew behind each web server; the tests tell it in order.
"""

from __future__ import annotations

import email
import email.policy
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.lifecycle import extras, manual, outside, trees
from tests.lifecycle.bed import booted
from tests.lifecycle.browser import Answer, Browser, forms, words
from tests.lifecycle.repository import SigningKey
from tests.lifecycle.server import Server

EXAMPLE = trees.CHECKOUT / "examples/wordpress.yaml"
VERSIONS = itertools.count()
HOST = "blog.example.org"
BASE = {"dedicated": "/var/www/wordpress", "shared": "/var/www/wordpress/var/www/wordpress"}
LIMITS = "  limits:\n    memory: 2G\n"
PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "staple, battery, horse: correct"
MAIL = "/root/mail"
PACKAGES = ("php", "wordpress", "phpX-bcmath", "phpX-imagick", "fonts-dejavu-core")
THEME = {"trixie": "wordpress-theme-twentytwentyfive", "bookworm": "wordpress-theme-twentytwentythree"}
EDITORS = ("WP_Image_Editor_GD", "WP_Image_Editor_Imagick")
PLUGIN = """<?php
add_filter('wp_image_editors', fn ($all) => isset($_GET['editor']) ? [$_GET['editor']] : $all);
add_action('init', fn () => isset($_GET['schedule']) && wp_schedule_single_event(time(), 'note', [$_GET['schedule']]));
add_action('note', fn ($name) => file_put_contents(wp_upload_dir()['basedir'] . "/$name.txt", php_sapi_name()));
"""
PHOTO = """
$photo = imagecreatetruecolor(1600, 1200);
for ($y = 0; $y < 1200; $y += 8) for ($x = 0; $x < 1600; $x += 8) {
    $colour = imagecolorallocate($photo, $x % 256, $y % 256, ($x ^ $y) % 256);
    imagefilledrectangle($photo, $x, $y, $x + 7, $y + 7, $colour);
}
imagejpeg($photo, '/root/photo.jpg', 90);
imagepng($photo, '/root/photo.png');
"""


@dataclass(frozen=True, slots=True)
class Blog:
    """The site behind one of the web servers, and its author's browser."""

    server: Server
    isolation: str
    web: str
    browser: Browser
    notes: dict[str, Any]

    @property
    def root(self) -> str:
        """The document root as the web server knows it."""
        return f"{BASE[self.isolation]}/htdocs"

    def visitor(self) -> Browser:
        """Somebody who has never been here."""
        return Browser(self.server, HOST)

    def follow(self, *sections: str) -> None:
        """Do what the manual says, with the base directory of this isolation."""
        for section in sections:
            commands = manual.commands("wordpress.md", section)
            base = f"base={BASE[self.isolation]}\n"
            self.server.shell(commands.replace("base=/var/www/wordpress\n", base))

    def mail(self) -> EmailMessage:
        """The next message that came to ann@example.org."""
        assert eventually(lambda: self.server.run("test", "-s", MAIL, check=False).good)
        kept = json.loads(self.server.read(MAIL).splitlines()[0])
        self.server.run("sed", "-i", "1d", MAIL)
        assert (kept["sender"], kept["recipients"]) == ("wordpress@blog.example.org", ["ann@example.org"])
        return email.message_from_bytes(kept["message"].encode("latin-1"), policy=email.policy.default)

    def write(self, path: str, code: str) -> None:
        """Put a file into the document root as the site's user would."""
        self.server.write(f"{self.root}/{path}", code)
        self.server.run("chown", "_site-wordpress:", f"{self.root}/{path}")

    def rest(self, path: str, value: object) -> Answer:
        """POST to WordPress's REST interface, as its editor does."""
        return self.browser.send_json(f"/wp-json/wp/v2/{path}", value, "-H", f"X-WP-Nonce: {self.nonce()}")

    def nonce(self) -> str:
        """What WordPress wants beside the cookie."""
        return self.browser.get("/wp-admin/admin-ajax.php?action=rest-nonce").text

    def ajax(self, action: str, **fields: str) -> Any:
        """What a button of the page of plugins does."""
        page = self.browser.get("/wp-admin/plugins.php").text
        found = re.search(r"_wpUpdatesSettings = (\{.*?\});", page)
        assert found, words(page)
        nonce = json.loads(found[1])["ajax_nonce"]
        return self.browser.post("/wp-admin/admin-ajax.php", {"action": action, "_ajax_nonce": nonce, **fields}).json()


@pytest.fixture(scope="module", params=["dedicated", "shared"])
def isolation(request: pytest.FixtureRequest) -> str:
    """Both ways to run PHP."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(
    release: str, isolation: str, tmp_path_factory: pytest.TempPathFactory, signing_key: SigningKey
) -> Iterator[Server]:
    """A server with Debian's applications in its sources, and wordpress.org beyond it."""
    with booted(release, tmp_path_factory.mktemp("repository"), signing_key) as bed:
        bed.upgrades.publish(*extras.debs(release, (*PACKAGES, THEME[release])))
        bed.publish_own_packages()
        there = Server(bed, tmp_path_factory.mktemp("dist"))
        there.shell("systemctl unmask mariadb nginx; systemd-tmpfiles --create mariadb.conf; systemctl start mariadb")
        there.shell(f"echo 127.0.0.1 {HOST} >>/etc/hosts")
        there.run("php", "-r", PHOTO)
        outside.start(there)
        there.write("/opt/relay.py", (Path(__file__).parent / "relay.py").read_text())
        there.run("systemd-run", "--quiet", "--unit=relay", "python3", "/opt/relay.py", "25", MAIL)
        yield there


@pytest.fixture(scope="module", params=["apache", "nginx"])
def blog(server: Server, isolation: str, request: pytest.FixtureRequest) -> Blog:
    """WordPress freshly copied behind this web server; nobody has opened it yet."""
    web, other = str(request.param), {"apache": "nginx", "nginx": "apache2"}[str(request.param)]
    there = Blog(server, isolation, web, Browser(server, HOST), {})
    server.shell(f"systemctl stop {other}; systemctl start {web.replace('apache', 'apache2')}")
    # Long enough before the next wp-config.php: OPcache looks at a file again after two full seconds only.
    server.shell(f"if [ -d {there.root} ]; then find {there.root} -mindepth 1 -delete; fi")
    server.publish(description(isolation, web), "wordpress.yaml")
    server.install(THEME[server.release])
    there.follow("WordPress from Debian's archive")
    server.run("mariadb", "-e", "DROP DATABASE IF EXISTS wordpress; DROP USER IF EXISTS '_site-wordpress'@localhost")
    server.run("fpmjail", "configure", "wordpress")
    server.run("systemctl", "stop", "site-wordpress-jail-cron-wp-cron.timer")  # a test says when
    there.follow("The files", "The database")
    server.run("runuser", "-u", "_site-wordpress", "--", "mkdir", f"{there.root}/wp-content/mu-plugins")
    there.write("wp-content/mu-plugins/editor.php", PLUGIN)
    return there


def description(isolation: str, web: str) -> str:
    """The example that people copy, in this isolation behind this web server."""
    text = EXAMPLE.read_text()
    if isolation == "shared":  # Debian's master cannot keep a site within limits of its own
        text = text.replace(LIMITS, "")
    choice = "web:\n  server: nginx\n" if web == "nginx" else ""
    return f"isolation: {isolation}\nversion: 1.{next(VERSIONS)}.0\n{text}\n{choice}"


def eventually(true: Callable[[], bool], seconds: float = 90.0) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.3)
    return False


def test_no_php_came_that_runs_outside_of_the_jails(blog: Blog) -> None:
    installed = blog.server.run("dpkg-query", "-W", "-f", "${Package}\n").stdout.split()
    assert "wordpress" in installed and not [name for name in installed if name.startswith("libapache2-mod-php")]


def test_its_installer_writes_the_configuration_and_the_tables(blog: Blog) -> None:
    first = blog.browser.get("/")
    assert first.url.endswith("/wp-admin/setup-config.php") and first.status == 200, first
    database = {"dbname": "wordpress", "uname": "_site-wordpress", "pwd": "", "dbhost": "localhost", "prefix": "wp_"}
    connected = blog.browser.post("/wp-admin/setup-config.php?step=2", {**database, "language": "", "noapi": "1"})
    assert "WordPress can now communicate with your database" in words(connected.text), words(connected.text)
    welcome = blog.browser.get("/wp-admin/install.php?language=en_US")
    done = blog.browser.submit(
        welcome, weblog_title="Jailed", user_name="ann", admin_password=PASSWORD, admin_password2=PASSWORD,
        pw_weak="on", admin_email="ann@example.org", Submit="Install WordPress",
    )  # fmt: skip
    assert "WordPress has been installed" in words(done.text), words(done.text)
    mail = blog.mail()
    assert mail["Subject"] == "New WordPress Site" and f"http://{HOST}/wp-login.php" in mail.get_content()


def test_the_author_logs_in(blog: Blog) -> None:
    page = blog.browser.get("/wp-admin/")
    assert "/wp-login.php" in page.url
    wrong = blog.browser.submit(page, log="ann", pwd="wrong")
    assert "is incorrect" in words(wrong.text)
    inside = blog.browser.submit(wrong, log="ann", pwd=PASSWORD)
    assert inside.status == 200 and inside.url.endswith("/wp-admin/"), inside.url
    assert "Dashboard" in words(inside.text)


def test_permalinks_need_no_rewrite_rules(blog: Blog) -> None:
    page = blog.browser.get("/wp-admin/options-permalink.php")
    number = next(i for i, form in enumerate(forms(page.text)) if "permalink_structure" in form.fields)
    answer = blog.browser.submit(page, number, permalink_structure="/%year%/%postname%/", selection="custom")
    assert "Permalink structure updated" in words(answer.text), words(answer.text)
    if blog.web == "apache":  # WordPress writes its own for mod_rewrite, and they do no harm
        assert "RewriteEngine On" in blog.server.read(f"{blog.root}/.htaccess")
    year = blog.server.run("date", "+%Y").stdout.strip()
    hello = blog.browser.get(f"/{year}/hello-world/?a=b")
    assert hello.status == 200 and "Welcome to WordPress" in words(hello.text)
    assert blog.browser.get(f"/{year}/no-such-post/").status == 404


@pytest.mark.parametrize("kind", ["jpg", "png"])
@pytest.mark.parametrize("editor", EDITORS)
def test_an_uploaded_image_is_resized(blog: Blog, editor: str, kind: str) -> None:
    upload = blog.browser.get(
        f"/wp-json/wp/v2/media?editor={editor}", "-F", f"file=@/root/photo.{kind};filename=phöto {editor}.{kind}",
        "-H", f"X-WP-Nonce: {blog.nonce()}",
    )  # fmt: skip
    assert upload.status == 201, words(upload.text)
    media = upload.json()
    sizes = media["media_details"]["sizes"]
    assert {"thumbnail", "medium", "large"} <= set(sizes), sizes
    blog.notes["media"] = media
    for name, width in (("thumbnail", 150), ("medium", 300), ("large", 1024)):
        seen = blog.server.shell(
            f"curl -sSf --resolve {HOST}:80:127.0.0.1 '{sizes[name]['source_url']}' >/root/seen && "
            "php -r 'echo json_encode(getimagesize(\"/root/seen\"));'"
        )
        assert json.loads(seen.stdout)["0"] == width


def test_a_post_with_an_image_is_published_and_read(blog: Blog) -> None:
    media = blog.notes["media"]
    number, source = media["id"], media["source_url"]
    image = f'<figure class="wp-block-image"><img class="wp-image-{number}" src="{source}"/></figure>'
    text = f'<p>Ærøskøbing “quoted”</p><!-- wp:image {{"id":{number}}} -->{image}<!-- /wp:image -->'
    made = blog.rest("posts", {"title": "Über uns", "content": text, "status": "publish"})
    assert made.status == 201, made.text
    page = blog.visitor().get(made.json()["link"])
    assert page.status == 200 and "/uber-uns/" in page.url, page.url
    assert "Ærøskøbing “quoted”" in words(page.text) and "srcset=" in page.text


def test_what_visitors_upload_is_never_run(blog: Blog) -> None:
    blog.write("wp-content/uploads/x.php", "<?php echo 'run';")
    assert blog.browser.get("/wp-content/uploads/x.php").status == 403


def test_an_update_from_a_server_that_nobody_trusts_is_refused(blog: Blog) -> None:
    outside.distrust(blog.server)
    assert eventually(lambda: not blog.ajax("install-plugin", slug="greeting")["success"])
    assert not blog.server.exists(f"{blog.root}/wp-content/plugins/greeting")


def test_updates_come_over_https_once_their_authority_is_trusted(blog: Blog) -> None:
    outside.trust(blog.server)
    assert eventually(lambda: bool(blog.ajax("install-plugin", slug="greeting")["success"]))
    page = blog.browser.get("/wp-admin/update-core.php?force-check=1")
    assert "99.0" in words(page.text) and "Greeting" in words(page.text), words(page.text)
    answer = blog.ajax("update-plugin", slug="greeting", plugin="greeting/greeting.php")
    assert answer["success"] and answer["data"]["newVersion"] == "Version 1.1", answer
    plugins = blog.browser.get("/wp-admin/plugins.php").text
    activate = re.search(r"plugins\.php\?action=activate&amp;plugin=greeting[^\"']*", plugins)
    assert activate, words(plugins)
    blog.browser.get("/wp-admin/" + activate[0].replace("&amp;", "&"))
    assert "greeting 1.1" in blog.browser.get("/").text


def schedule(blog: Blog, name: str) -> str:
    """Have WordPress do something at its next chance; returns the file that says what did it."""
    blog.browser.get(f"/wp-admin/admin-ajax.php?action=heartbeat&schedule={name}")
    return f"{blog.root}/wp-content/uploads/{name}.txt"


def test_wp_cron_runs_when_somebody_visits(blog: Blog) -> None:
    note = schedule(blog, "visited")
    blog.browser.get("/")
    assert eventually(lambda: blog.server.exists(note))
    assert blog.server.read(note) == "fpm-fcgi"


def test_wp_cron_runs_by_the_clock(blog: Blog) -> None:
    blog.follow("Jobs")
    time.sleep(3.1)  # OPcache looks at wp-config.php again after two full seconds
    note = schedule(blog, "clock")
    blog.browser.get("/")
    time.sleep(1)
    assert not blog.server.exists(note)
    blog.server.run("systemctl", "start", "site-wordpress-jail-cron-wp-cron.service")
    assert blog.server.read(note) == "cli"


def test_a_command_sees_the_site_as_its_pages_do(blog: Blog) -> None:
    code = "require 'wp-load.php'; echo get_option('blogname'), ' in ', ABSPATH;"
    said = blog.server.run("fpmjail", "exec", "wordpress", "--", "php", "-r", code).stdout
    assert said == "Jailed in /var/www/wordpress/htdocs/"


def test_files_from_an_upgrade_of_the_package_leave_settings_and_uploads_alone(blog: Blog) -> None:
    blog.follow("Updates", "The files")
    assert "Über uns" in words(blog.visitor().get("/").text)
    assert blog.browser.get(blog.notes["media"]["source_url"]).status == 200


def test_a_lost_password_is_exchanged_by_mail(blog: Blog) -> None:
    visitor = blog.visitor()
    page = visitor.get("/wp-login.php?action=lostpassword")
    assert "Check your email" in words(visitor.submit(page, user_login="ann").text)
    link = re.search(rf"http://{HOST}/wp-login\.php\?\S*key=\S+", blog.mail().get_content())
    assert link
    changed = visitor.submit(visitor.get(link[0]), pass1=NEW_PASSWORD, pass2=NEW_PASSWORD)
    assert "Your password has been reset" in words(changed.text), words(changed.text)
    inside = blog.browser.submit(blog.browser.get("/wp-login.php"), log="ann", pwd=NEW_PASSWORD)
    assert inside.url.endswith("/wp-admin/"), inside.url


def test_wordpress_itself_and_the_check_find_nothing_wrong(blog: Blog) -> None:
    for name in ("loopback-requests", "dotorg-communication", "authorization-header"):
        options = ("-H", f"X-WP-Nonce: {blog.nonce()}", "-u", "user:pwd")[: 4 if name.startswith("author") else 2]
        health = blog.browser.get(f"/wp-json/wp-site-health/v1/tests/{name}", *options).json()
        assert health["status"] == "good", words(health["description"])
    faults = blog.server.faults("wordpress")
    assert not faults, faults
    if blog.isolation == "dedicated":
        rated = blog.server.shell("systemd-analyze security --no-pager site-wordpress-jail.service | tail -1").stdout
        exposure = re.search(r": (\d+\.\d) ", rated)
        assert exposure and float(exposure[1]) <= 1.0, rated
    log = blog.server.run("sh", "-c", "cat /var/log/fpmjail/wordpress/php.log", check=False).stdout
    assert [line for line in log.splitlines() if "Fatal" in line] == []
