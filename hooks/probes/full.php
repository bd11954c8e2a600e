<?php
// SPDX-License-Identifier: MIT
// Character sets and locales that no description names.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$charsets = extension_loaded('iconv') ? $probe->strings('charsets') : [];
$probe->check('character sets', static function () use ($charsets) {
    foreach ($charsets as $charset) {
        if (iconv($charset, 'UTF-8', (string) iconv('UTF-8', $charset, 'Fpmjail')) !== 'Fpmjail') {
            return "a round trip through $charset failed";
        }
    }
    return true;
});
foreach ($probe->strings('locales') as $locale) {
    $probe->check($locale, static fn () => setlocale(LC_ALL, $locale) !== false
        ?: "setlocale(LC_ALL, '$locale') returned false");
}
$probe->answer();
