<?php
// SPDX-License-Identifier: MIT
// iconv() to and from every declared charset; the gconv modules are opened by name at the first use.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const EURO_SIGN = [
    'CP1252' => "\x80", 'WINDOWS-1252' => "\x80", 'ISO-8859-15' => "\xA4", 'ISO8859-15' => "\xA4",
    'UTF-16LE' => "\xAC\x20", 'UTF-16BE' => "\x20\xAC",
];

$probe = Fpmjail\Probe::begin();
$charsets = $probe->strings('charsets');
$probe->check('iconv', static fn () => $charsets === [] || extension_loaded('iconv')
    ?: 'the iconv extension is not loaded');
foreach ($charsets as $charset) {
    $probe->check($charset, static function () use ($charset) {
        $back = iconv($charset, 'UTF-8', (string) iconv('UTF-8', $charset, 'Fpmjail 2026'));
        if ($back !== 'Fpmjail 2026') {
            return "a round trip through $charset gave '$back'";
        }
        $expected = EURO_SIGN[strtoupper($charset)] ?? null;
        return $expected === null || iconv('UTF-8', $charset, '€') === $expected ?: "the euro sign is wrong in $charset";
    });
}
$probe->answer();
