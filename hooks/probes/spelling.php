<?php
// SPDX-License-Identifier: MIT
// enchant and pspell with the dictionaries that the server has.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const NO_WORD = 'fpmjailxqz';

function enchantKnows(string $language): true|string
{
    $broker = enchant_broker_init();
    if (!enchant_broker_dict_exists($broker, $language)) {
        return "enchant has no dictionary for $language";
    }
    $dictionary = enchant_broker_request_dict($broker, $language);
    if (str_starts_with($language, 'en') && !enchant_dict_check($dictionary, 'house')) {
        return 'enchant does not know the word house';
    }
    return !enchant_dict_check($dictionary, NO_WORD) ?: 'enchant takes ' . NO_WORD . ' for a word';
}

function pspellKnows(string $language): true|string
{
    $dictionary = pspell_new($language);
    if (str_starts_with($language, 'en') && !pspell_check($dictionary, 'house')) {
        return 'pspell does not know the word house';
    }
    return !pspell_check($dictionary, NO_WORD) ?: 'pspell takes ' . NO_WORD . ' for a word';
}

$probe = Fpmjail\Probe::begin();
$probe->check('languages', static fn () => true); // a server without dictionaries is not this probe's affair
if (extension_loaded('enchant')) {
    foreach ($probe->strings('hunspell') as $language) {
        $probe->check("enchant $language", static fn () => enchantKnows($language));
    }
}
if (extension_loaded('pspell')) {
    foreach ($probe->strings('aspell') as $language) {
        $probe->check("pspell $language", static fn () => pspellKnows($language));
    }
}
$probe->answer();
