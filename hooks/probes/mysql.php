<?php
// SPDX-License-Identifier: MIT
// MariaDB or MySQL through its socket, by the name that PHP itself uses for "localhost".

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';
require __DIR__ . '/server.inc.php';

const COMPILED_IN = '/var/run/mysqld/mysqld.sock';

$probe = Fpmjail\Probe::begin();
// The server speaks first: a header of four bytes, then its version or an error.
$understood = static fn (string $said): bool => strlen($said) > 4 && ($said[4] === "\x0a" || $said[4] === "\xff");
Fpmjail\reach($probe, '', $understood);
foreach (['mysqli', 'pdo_mysql'] as $extension) {
    if (extension_loaded($extension)) {
        $path = ini_get("$extension.default_socket") ?: COMPILED_IN;
        $probe->check("localhost of $extension", static fn () => Fpmjail\talk($path, '', $understood));
    }
}
$probe->answer();
