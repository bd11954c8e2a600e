<?php
// SPDX-License-Identifier: MIT
// git by proc_open() without a shell: a commit, a bundle of it, a clone of that; what it makes is gone when it ends.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const SETTINGS = [
    '-c', 'user.name=fpmjail', '-c', 'user.email=fpmjail@localhost', '-c', 'init.defaultBranch=main',
    '-c', 'commit.gpgSign=false',
];

/** What git says; throws when it fails. */
function git(string $directory, string ...$arguments): string
{
    $environment = ['HOME' => $directory, 'PATH' => '/usr/bin:/bin', 'GIT_CONFIG_NOSYSTEM' => '1'];
    $streams = [['file', '/dev/null', 'r'], ['pipe', 'w'], ['redirect', 1]];
    $process = proc_open(['/usr/bin/git', ...SETTINGS, ...$arguments], $streams, $pipes, $directory, $environment);
    $said = (string) stream_get_contents($pipes[1]);
    $status = proc_close($process);
    return $status === 0 ? $said : throw new RuntimeException("git $arguments[0] ended with status $status: $said");
}

function erase(string $directory): void
{
    $found = new FilesystemIterator($directory);
    foreach ($found as $path => $entry) {
        $entry->isDir() && !$entry->isLink() ? erase($path) : unlink($path);
    }
    rmdir($directory);
}

$probe = Fpmjail\Probe::begin();
$place = sys_get_temp_dir() . '/fpmjail-probe-' . bin2hex(random_bytes(8));
mkdir($place, 0700);
$probe->check('git', static fn () => str_starts_with(git($place, '--version'), 'git version') ?: 'it is something else');
$probe->check('clone', static function () use ($place) {
    git($place, 'init', '--quiet', 'one');
    file_put_contents("$place/one/file", 'kept');
    git("$place/one", 'add', 'file');
    git("$place/one", 'commit', '--quiet', '--message=one');
    git("$place/one", 'bundle', 'create', '--quiet', '../bundle', 'main');
    git($place, 'clone', '--quiet', '--branch=main', 'bundle', 'two');
    return file_get_contents("$place/two/file") === 'kept' ?: 'a clone did not keep its file';
});
$probe->check('https', static fn () => is_executable('/usr/lib/git-core/git-remote-https')
    ?: '/usr/lib/git-core/git-remote-https is missing in the jail');
erase($place);
$probe->answer();
