<?php
// SPDX-License-Identifier: MIT
// Imagick with the coders that the server has: formats are known, pictures are read, resized, written, and written on.
// What the administrator's policy forbids, in many words or by giving nothing, is no fault of the jail.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

/** What ImageMagick says when files are missing; whatever else it says, a policy.xml made it say. */
const MISSING = '/load module|UnableToLoadModule|code ?delegate|set image format|configure file|ConfigureFile|read font/i';

/** Runs something that a policy.xml may forbid. */
function allowed(callable $body): bool|string
{
    try {
        return $body();
    } catch (ImagickException $fault) {
        return preg_match(MISSING, $fault->getMessage()) === 0 ?: $fault->getMessage();
    }
}

function resized(string $format): bool|string
{
    $picture = new Imagick();
    $picture->newImage(64, 48, new ImagickPixel('#336699'));
    $picture->setImageFormat($format);
    $blob = (string) $picture->getImageBlob();
    if ($blob === '') {
        return true; // forbidden, without a word
    }
    $again = new Imagick();
    $again->readImageBlob($blob);
    $again->resizeImage(16, 12, Imagick::FILTER_LANCZOS, 1);
    $again->readImageBlob((string) $again->getImageBlob());
    $size = [$again->getImageWidth(), $again->getImageHeight(), $again->getImageFormat()];
    return $size === [16, 12, $format] ?: 'came out as ' . implode(' ', $size);
}

function written(string $font): bool|string
{
    $pen = new ImagickDraw();
    $pen->setFontSize(20);
    $pen->setFont($font);
    $picture = new Imagick();
    $picture->newImage(120, 40, new ImagickPixel('white'));
    $picture->annotateImage($pen, 5, 30, 0, 'fpmjail');
    return $picture->getImageColors() > 1 ?: 'nothing was written';
}

$probe = Fpmjail\Probe::begin();
if (extension_loaded('imagick')) {
    $coders = $probe->strings('coders');
    $probe->check('formats', static fn () => count(Imagick::queryFormats()) > 0 ?: 'queryFormats() is empty');
    foreach (['PNG', 'JPEG', 'GIF', 'WEBP'] as $format) {
        if (in_array(strtolower($format), $coders, true)) {
            $probe->check($format, static fn () => allowed(static fn () => resized($format)));
        }
    }
    foreach ($probe->strings('fonts') as $font) {
        $probe->check($font, static fn () => allowed(static fn () => written($font)));
    }
} else {
    $probe->check('formats', static fn () => true); // php.php says what is not loaded
}
$probe->answer();
