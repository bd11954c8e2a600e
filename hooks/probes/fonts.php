<?php
// SPDX-License-Identifier: MIT
// The jail's fonts: GD draws with each of those that are named.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$fonts = $probe->strings('fonts');
$probe->check('fonts', static fn () => $fonts !== [] ?: 'there is no font in the jail');
foreach ($fonts as $font) {
    $probe->check($font, static function () use ($font) {
        if (!function_exists('imagettfbbox')) {
            return is_readable($font) ?: "$font is missing in the jail";
        }
        $box = imagettfbbox(20, 0, $font, 'fpmjail');
        return is_array($box) && $box[2] > $box[0] ?: 'GD writes nothing with it';
    });
}
$probe->answer();
