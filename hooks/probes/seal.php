<?php
// SPDX-License-Identifier: MIT
// Looks at the jail from inside, as the site's own user: who this is, what can be written, what lends rights. Only looks.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const SET_ID = 06000;
const DEVICES = [
    'null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'console', 'log', 'initctl', 'kmsg', 'core', 'fd',
    'stdin', 'stdout', 'stderr',
];

/** What a process may do, as the kernel shows it (proc(5)); without /proc who it is. @return array<string, string> */
function status(): array
{
    $text = @file_get_contents('/proc/self/status');
    if ($text === false) {
        return [
            'Uid' => posix_getuid() . ' ' . posix_geteuid(),
            'Gid' => posix_getgid() . ' ' . posix_getegid(),
            'Groups' => implode(' ', posix_getgroups()),
        ];
    }
    preg_match_all('/^(\w+):\s*(.*)$/m', $text, $found);
    return array_combine($found[1], array_map('trim', $found[2]));
}

/**
 * Goes through the jail, widest first, no link followed, no declared directory entered, at most $most names.
 * @param list<string> $closed
 * @return array{writable: list<string>, lending: list<string>, devices: list<string>}
 */
function look(array $closed, int $most): array
{
    $seen = ['writable' => [], 'lending' => [], 'devices' => []];
    $queue = ['/'];
    for ($number = 0; $number < count($queue) && $number < $most; $number++) {
        $path = $queue[$number];
        $status = @lstat($path);
        if ($status === false || in_array($path, $closed, true)) {
            continue;
        }
        $kind = $status['mode'] & 0170000;
        if ($kind === 0060000 || ($kind === 0020000 && !in_array(basename($path), DEVICES, true))) {
            $seen['devices'][] = $path;
        } elseif ($kind === 0100000 && ($status['mode'] & SET_ID) !== 0) {
            $seen['lending'][] = $path;
        }
        if (in_array($kind, [0040000, 0100000], true) && @is_writable($path)) {
            $seen['writable'][] = $path;
        }
        foreach ($kind === 0040000 ? (@scandir($path) ?: []) : [] as $name) {
            if ($name !== '.' && $name !== '..') {
                $queue[] = rtrim($path, '/') . "/$name";
            }
        }
    }
    return $seen;
}

/** @param list<string> $paths */
function none(array $paths, string $what): true|string
{
    $more = count($paths) > 5 ? ' and ' . (count($paths) - 5) . ' more' : '';
    return $paths === [] ?: "$what: " . implode(', ', array_slice($paths, 0, 5)) . $more;
}

$probe = Fpmjail\Probe::begin();
$status = status();
$user = (string) ($probe->arguments['uid'] ?? '');
$group = (string) ($probe->arguments['gid'] ?? '');

$probe->check('user', static fn () => array_unique(preg_split('/\s+/', $status['Uid'])) === [$user]
    ?: "runs with the uids {$status['Uid']}, expected $user alone");
$probe->check('group', static fn () => array_diff(
    preg_split('/\s+/', "{$status['Gid']} {$status['Groups']}", -1, PREG_SPLIT_NO_EMPTY),
    [$group]
) === [] ?: "is in the groups {$status['Gid']} {$status['Groups']}, expected $group alone");
if (isset($status['CapEff'])) {
    $probe->check('capabilities', static fn () => hexdec($status['CapEff']) + hexdec($status['CapPrm']) === 0
        ?: "has the capabilities {$status['CapEff']}");
}
// A pool of Debian's master has neither of these walls.
if ($probe->arguments['isolation'] === 'dedicated') {
    $probe->check('no new privileges', static fn () => $status['NoNewPrivs'] === '1' ?: 'may gain privileges');
    $probe->check('system calls', static fn () => $status['Seccomp'] === '2' ?: 'system calls are not filtered');
}
// With open_basedir PHP itself sees no more than that.
if ((string) ini_get('open_basedir') === '') {
    $declared = [...$probe->strings('writable'), ...$probe->strings('closed')];
    $closed = [...$declared, '/proc', '/sys', '/dev/shm', '/dev/mqueue', '/dev/pts', '/dev/hugepages'];
    $seen = look($closed, (int) ($probe->arguments['most'] ?? 0));
    $probe->check('nothing writable', static fn () => none($seen['writable'], 'writable, and not declared'));
    $probe->check('no set-id file', static fn () => none($seen['lending'], "lends its owner's rights"));
    $probe->check('no device', static fn () => none($seen['devices'], 'a device'));
}
$probe->answer();
