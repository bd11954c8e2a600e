<?php
// SPDX-License-Identifier: MIT
// Every declared locale: setlocale(), its character set, sorting, month names, and a message by gettext.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const JULY = ['de' => 'Juli', 'en' => 'July', 'es' => 'julio', 'fr' => 'juillet', 'it' => 'luglio', 'nl' => 'juli'];

/** A catalogue of one message in the format of GNU gettext (its manual, "The Format of GNU MO Files"). */
function catalogue(string $from, string $to, string $charset): string
{
    $texts = [['', "Content-Type: text/plain; charset=$charset\n"], [$from, $to]];
    $tables = ['', ''];
    $strings = '';
    foreach ([0, 1] as $side) {
        foreach ($texts as $pair) {
            $tables[$side] .= pack('VV', strlen($pair[$side]), 28 + 32 + strlen($strings));
            $strings .= "$pair[$side]\0";
        }
    }
    return pack('V7', 0x950412de, 0, 2, 28, 44, 0, 60) . $tables[0] . $tables[1] . $strings;
}

/** Translates one message with a catalogue that is made for it. */
function translated(string $locale): string
{
    $root = sys_get_temp_dir() . '/fpmjail-probe-' . bin2hex(random_bytes(8));
    $domain = basename($root);
    $directory = "$root/" . strtok($locale, '.@') . '/LC_MESSAGES';
    mkdir($directory, 0700, true);
    file_put_contents("$directory/$domain.mo", catalogue('message', "r\u{e9}ponse", 'UTF-8'));
    try {
        bindtextdomain($domain, $root);
        bind_textdomain_codeset($domain, 'UTF-8');
        return dgettext($domain, 'message');
    } finally {
        unlink("$directory/$domain.mo");
        rmdir($directory);
        rmdir(dirname($directory));
        rmdir($root);
    }
}

$probe = Fpmjail\Probe::begin();
putenv('LANGUAGE');
foreach ($probe->strings('locales') as $locale) {
    $probe->check($locale, static function () use ($locale) {
        if (setlocale(LC_ALL, $locale) === false) {
            return "setlocale(LC_ALL, '$locale') returned false";
        }
        $charset = explode('@', explode('.', $locale)[1])[0];
        if (strcasecmp((string) nl_langinfo(CODESET), $charset) !== 0) {
            return 'its character set is ' . nl_langinfo(CODESET) . ", expected $charset";
        }
        return strcoll('a', 'B') < 0 ?: 'it sorts by numbers of characters';
    });
    $month = JULY[substr($locale, 0, 2)] ?? null;
    if ($month !== null) {
        $probe->check("$locale, month", static function () use ($locale, $month) {
            setlocale(LC_ALL, $locale);
            $july = @strftime('%B', 1783080000); // @: deprecated, but what old code calls
            return $july === $month ?: "strftime() calls July '$july', expected '$month'";
        });
    }
    if (extension_loaded('gettext')) {
        $probe->check("$locale, gettext", static function () use ($locale) {
            setlocale(LC_ALL, $locale);
            $text = translated($locale);
            return $text === "r\u{e9}ponse" ?: "gettext() returned '$text'";
        });
    }
}
$probe->answer();
