<?php
// SPDX-License-Identifier: MIT
// A private, writable directory for temporary files; everything that this probe makes is gone when it ends.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$directory = sys_get_temp_dir();

$probe->check('directory', static fn () => is_dir($directory) && is_writable($directory)
    ?: "$directory is not a writable directory");
$probe->check('tempnam', static function () use ($directory) {
    $path = tempnam($directory, 'fpmjail-probe-');
    try {
        $kept = file_put_contents($path, 'kept') === 4 && file_get_contents($path) === 'kept';
    } finally {
        unlink($path);
    }
    return dirname($path) === $directory ? ($kept ?: "$path did not keep what was written") : "tempnam() went to $path";
});
$probe->check('tmpfile', static fn () => is_resource(tmpfile()) ?: 'tmpfile() returned false');
$probe->check('php://temp', static function () {
    $stream = fopen('php://temp/maxmemory:0', 'w+');
    return fwrite($stream, 'kept') === 4 && rewind($stream) && fread($stream, 8) === 'kept' ?: 'php://temp lost its text';
});
$probe->answer();
