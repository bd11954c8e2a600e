<?php
// SPDX-License-Identifier: MIT
// PHP itself: the expected version with every extension, the site's user, no shell, one generation.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$version = (string) ($probe->arguments['version'] ?? '');
$generation = (string) ($probe->arguments['generation'] ?? '');

if ($version !== '') {
    $probe->check('version', static fn () => str_starts_with(PHP_VERSION, "$version.")
        ?: 'PHP is ' . PHP_VERSION . ", expected $version");
}
$probe->check('server interface', static fn () => PHP_SAPI === 'fpm-fcgi' ?: 'PHP runs as ' . PHP_SAPI);
$probe->check('extensions', static function () use ($probe) {
    $missing = array_filter($probe->strings('extensions'), static fn (string $name): bool => !extension_loaded($name));
    return $missing === [] ?: 'not loaded: ' . implode(', ', $missing);
});
$probe->check('user', static function () {
    $user = function_exists('posix_geteuid') ? posix_geteuid() : fileowner('/proc/self');
    return $user !== 0 ?: 'PHP runs as root';
});
if (($probe->arguments['shell'] ?? false) !== true) {
    $probe->check('no shell', static function () {
        try {
            $said = shell_exec('echo escaped');
        } catch (RuntimeException) {
            return true;
        }
        return $said === null || $said === false ?: 'a shell ran a command: ' . trim($said);
    });
}
$probe->check('generation', static fn () => $generation === '' || str_starts_with(__FILE__, "/.image/$generation/")
    ?: 'this worker runs ' . __FILE__ . ", expected generation $generation");
foreach ($probe->strings('directories') as $directory) {
    $probe->check($directory, static fn () => is_dir($directory) ?: "$directory is not a directory inside the jail");
}
$probe->answer();
