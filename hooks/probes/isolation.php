<?php
// SPDX-License-Identifier: MIT
// Two sites, one wall. With `hold` this site puts secrets where a neighbour might find them, and waits; with `try` this
// site looks for its neighbour's. Whatever is made here has the nonce in its name and goes at the end. A check is true
// when the neighbour stayed out of reach, "untried: ..." when there was nothing to reach, else what was reached, and how.

declare(strict_types=1);

if (PHP_SAPI === 'cli' && isset($argv[2])) { // `fpmjail exec`: a command has no request
    $_SERVER['FPMJAIL_NONCE'] = $argv[1];
    $_SERVER['FPMJAIL_ARGUMENTS'] = (string) base64_decode($argv[2], true);
}

require __DIR__ . '/probe.inc.php';

const HOLD_SECONDS = 60;
const SECOND = 1.0;
const PTRACE_SEIZE = 0x4206;
const PTRACE_DETACH = 17;

final class Held
{
    /** @var list<callable> */
    private array $undo = [];
    /** @var array<string, resource> */
    private array $listeners = [];
    /** @var list<mixed> */
    private array $kept = [];
    /** @var array<string, bool|int|string> */
    private array $made = [];

    public function __construct(private string $name, private string $secret, private int $key)
    {
    }

    /** @return array<string, bool|int|string> what could be put where */
    public function all(): array
    {
        $session = rtrim((string) preg_replace('/^.*;/', '', (string) session_save_path()), '/') ?: '/tmp';
        foreach (['file' => "/tmp/$this->name", 'session' => "$session/sess_$this->name"] as $what => $path) {
            $this->file($what, $path, $this->secret);
        }
        $this->file('posix', "/dev/shm/$this->name", $this->secret);
        $this->code("/tmp/$this->name.php");
        $this->sysv();
        if (function_exists('apcu_store') && apcu_enabled()) {
            $this->made['apcu'] = apcu_store($this->name, $this->secret, HOLD_SECONDS);
            $this->undo[] = fn () => apcu_delete($this->name);
        }
        $this->listen('abstract', "unix://\0$this->name");
        $this->listen('path', "unix:///tmp/$this->name.sock");
        $this->undo[] = fn () => @unlink("/tmp/$this->name.sock");
        $this->listen('loopback', 'tcp://127.0.0.1:0');
        return ['pid' => getmypid()] + $this->made;
    }

    private function file(string $what, string $path, string $content): void
    {
        $handle = @fopen($path, 'x');
        $this->made[$what] = $handle === false ? '' : $path;
        if ($handle !== false) {
            $this->undo[] = static fn () => @unlink($path);
            fwrite($handle, $content);
            fclose($handle);
            chmod($path, 0666); // only the walls count, not the mode
        }
    }

    private function code(string $path): void
    {
        $this->file('code', $path, "<?php return '$this->secret';\n");
        if ($this->made['code'] !== '') {
            touch($path, time() - 60); // OPcache keeps nothing that is younger than two seconds
            include $path;
        }
    }

    private function sysv(): void
    {
        if (function_exists('shmop_open') && ($memory = @shmop_open($this->key, 'n', 0666, 64)) !== false) {
            shmop_write($memory, $this->secret, 0);
            $this->undo[] = static fn () => shmop_delete($memory);
            $this->made['memory'] = true;
        }
        if (function_exists('sem_get') && ($semaphore = @sem_get($this->key, 1, 0666)) !== false) {
            $this->made['semaphore'] = @sem_acquire($semaphore, true);
            $this->undo[] = static fn () => @sem_remove($semaphore);
            $this->kept[] = $semaphore;
        }
        if (function_exists('msg_get_queue') && !msg_queue_exists($this->key)) {
            $queue = msg_get_queue($this->key, 0666);
            $this->made['queue'] = $queue !== false;
            $this->undo[] = static fn () => $queue !== false && msg_remove_queue($queue);
        }
    }

    private function listen(string $what, string $address): void
    {
        $listener = @stream_socket_server($address);
        $this->made[$what] = $listener !== false;
        if ($listener !== false) {
            $this->listeners[$what] = $listener;
            $this->made[$what] = $what === 'loopback' ? stream_socket_get_name($listener, false) : true;
        }
    }

    /** Hands the secret to whoever comes, until the one who asked for all this hangs up. */
    public function serve(): void
    {
        $end = microtime(true) + HOLD_SECONDS;
        while (!connection_aborted() && microtime(true) < $end) {
            [$read, $write, $except] = [$this->listeners, null, null];
            if ($read === []) {
                usleep(100000);
            } elseif (@stream_select($read, $write, $except, 0, 100000) > 0) {
                foreach ($read as $listener) {
                    if (($visitor = @stream_socket_accept($listener, 0)) !== false) {
                        @fwrite($visitor, $this->secret);
                        fclose($visitor);
                    }
                }
            }
            echo ' ';
            flush();
        }
    }

    public function end(): void
    {
        foreach (array_reverse($this->undo) as $undo) {
            try {
                $undo();
            } catch (\Throwable) { // the others go as well
            }
        }
        $this->undo = [];
    }
}

function hold(Fpmjail\Probe $probe): never
{
    $held = new Held(name($probe), secret($probe), (int) $probe->arguments['key']);
    register_shutdown_function($held->end(...));
    ignore_user_abort(true);
    set_time_limit(0);
    while (ob_get_level() > 0) {
        ob_end_clean();
    }
    $made = $held->all();
    header('Content-Type: application/json');
    echo json_encode(['nonce' => $_SERVER['FPMJAIL_NONCE'], 'made' => $made], JSON_THROW_ON_ERROR), "\n";
    flush();
    $held->serve();
    exit;
}

function name(Fpmjail\Probe $probe): string
{
    return 'fpmjail-' . preg_replace('/[^0-9a-f]/', '', (string) $probe->arguments['mark']);
}

function secret(Fpmjail\Probe $probe): string
{
    return (string) preg_replace('/[^0-9a-z-]/', '', (string) $probe->arguments['secret']);
}

/** The attempts of one site on another. */
final class Attempt
{
    private string $name;
    private string $secret;
    private int $pid;
    private int $key;
    /** @var array<string, mixed> */
    private array $made;

    public function __construct(private Fpmjail\Probe $probe)
    {
        $this->name = name($probe);
        $this->secret = secret($probe);
        $this->made = (array) ($probe->arguments['made'] ?? []);
        $this->pid = (int) ($this->made['pid'] ?? 0);
        $this->key = (int) $probe->arguments['key'];
    }

    public function all(): void
    {
        $files = $this->probe->strings('files');
        foreach (['files' => $files, 'sessions' => $this->probe->strings('sessions')] as $what => $paths) {
            $this->probe->check($what, fn () => $this->planted($what === 'files' ? 'file' : 'session')
                ?? $this->first($paths, $this->read(...)));
        }
        $this->probe->check('directories', fn () => $this->first($this->probe->strings('directories'), $this->enter(...)));
        $this->probe->check('links', fn () => $this->planted('file') ?? $this->first($files, $this->link(...)));
        $this->probe->check('hard links', fn () => $this->planted('file') ?? $this->first($files, $this->hardLink(...)));
        $this->probe->check('/proc/PID/root', fn () => $this->planted('file') ?? $this->first(
            array_map(fn ($path) => "/proc/$this->pid/root$path", ["/tmp/$this->name", ...$files]),
            $this->read(...)
        ));
        $this->probe->check('descriptors', $this->descriptors(...));
        $this->memory();
        $this->sockets();
        $this->processes();
        $this->server();
    }

    private function planted(string $what): ?string
    {
        return empty($this->made[$what]) ? 'untried: the neighbour could not make one' : null;
    }

    /** @param list<string> $paths @return true|string what was reached first, by one of the ways */
    private function first(array $paths, callable $reach): true|string
    {
        foreach ($paths as $path) {
            foreach ([$path, "/../../../../../..$path", "/proc/self/root$path", "/proc/1/root$path"] as $way) {
                if (($seen = $reach($way)) !== null) {
                    return $seen;
                }
            }
        }
        return true;
    }

    private function holds(string|false $content): bool
    {
        return is_string($content) && $this->secret !== '' && str_contains($content, $this->secret);
    }

    private function read(string $path): ?string
    {
        return $this->holds(@file_get_contents($path, false, null, 0, 4096)) ? "read $path" : null;
    }

    private function enter(string $path): ?string
    {
        return @scandir($path) !== false ? "listed $path" : null;
    }

    private function link(string $path): ?string
    {
        $link = "/tmp/$this->name-link";
        try {
            return @symlink($path, $link) && $this->holds(@file_get_contents($link, false, null, 0, 4096))
                ? "read $path by a link" : null;
        } finally {
            @unlink($link);
        }
    }

    private function hardLink(string $path): ?string
    {
        $link = "/tmp/$this->name-hard";
        try {
            return @link($path, $link) ? "linked $path into its own /tmp" : null;
        } finally {
            @unlink($link);
        }
    }

    /** What this process has open already; a directory among it leads everywhere. */
    private function descriptors(): true|string
    {
        for ($number = 3; $number < 256; $number++) {
            $target = (string) @readlink("/proc/self/fd/$number");
            if (is_dir("/proc/self/fd/$number/.") && !str_starts_with($target, '/proc')) {
                return "descriptor $number is the directory $target";
            }
            if ($target !== '' && !is_file("/proc/self/fd/$number") && !str_starts_with($target, '/')) {
                continue; // a pipe or a socket: reading might take what belongs to somebody else
            }
            $stream = @fopen("php://fd/$number", 'r');
            $kind = $stream !== false ? @fstat($stream) : false;
            if ($kind !== false && ($kind['mode'] & 0170000) === 0100000) {
                if ($this->holds(@stream_get_contents($stream, 4096, 0))) {
                    return "descriptor $number is the neighbour's file";
                }
            }
        }
        return true;
    }

    private function memory(): void
    {
        $this->probe->check('OPcache code', $this->code(...));
        $this->probe->check('OPcache status', $this->opcache(...));
        $this->probe->check('opcache_reset', $this->reset(...));
        $this->probe->check('APCu', fn () => function_exists('apcu_fetch') && apcu_enabled()
            ? $this->planted('apcu') ?? (!$this->holds((string) apcu_fetch($this->name)) ?: 'read what the neighbour keeps')
            : 'untried: APCu is not there');
        $this->probe->check('SysV memory', function () {
            $memory = $this->planted('memory') ?? @shmop_open($this->key, 'a', 0, 0);
            return is_string($memory) ? $memory
                : ($memory === false || !$this->holds(shmop_read($memory, 0, 64)) ?: 'read a segment of the neighbour');
        });
        $this->probe->check('SysV semaphores', $this->semaphore(...));
        $this->probe->check('SysV queues', fn () => $this->planted('queue')
            ?? (!msg_queue_exists($this->key) ?: 'found a queue of the neighbour'));
        $this->probe->check('POSIX memory', fn () => $this->planted('posix')
            ?? $this->first(["/dev/shm/$this->name"], $this->read(...)));
    }

    /** The same path as in the neighbour, with other code in it. */
    private function code(): true|string
    {
        $path = "/tmp/$this->name.php";
        $handle = $this->planted('code') === null ? @fopen($path, 'x') : false;
        if ($handle === false) {
            return $this->planted('code') ?? ($this->read($path) ?? 'untried: this site cannot write to /tmp');
        }
        fwrite($handle, "<?php return 'own';\n");
        fclose($handle);
        touch($path, time() - 60);
        try {
            return (include $path) === 'own' ?: "ran the neighbour's $path in place of its own";
        } finally {
            @unlink($path);
        }
    }

    private function opcache(): true|string
    {
        if (empty($this->probe->arguments['common'])) {
            return true; // it would be this site's own
        }
        $status = function_exists('opcache_get_status') ? @opcache_get_status(true) : false;
        return $status === false ?: 'lists the ' . count($status['scripts'] ?? []) . ' scripts of all sites';
    }

    /** Asks whether OPcache would obey, without emptying what others have in it. */
    private function reset(): true|string
    {
        if (!function_exists('opcache_invalidate')) {
            return 'untried: OPcache is off';
        }
        if (empty($this->probe->arguments['common']) || PHP_SAPI === 'cli') {
            return true; // it would empty this site's own
        }
        error_clear_last();
        @opcache_invalidate('/nonexistent');
        return str_contains((string) (error_get_last()['message'] ?? ''), 'restrict')
            ?: 'OPcache would be emptied for all sites';
    }

    private function semaphore(): true|string
    {
        if (($words = $this->planted('semaphore')) !== null) {
            return $words;
        }
        $semaphore = @sem_get($this->key, 1, 0600);
        if ($semaphore === false) {
            return true;
        }
        if (@sem_acquire($semaphore, true)) {
            sem_remove($semaphore); // this site's own: the neighbour's is taken
            return true;
        }
        return "waits for the neighbour's semaphore";
    }

    private function sockets(): void
    {
        $this->probe->check('abstract sockets', fn () => $this->planted('abstract')
            ?? $this->connects(["unix://\0$this->name"], true));
        $places = [...$this->probe->strings('sockets')];
        $this->probe->check('path sockets', fn () => $this->planted('path') ?? $this->unix($places, true));
        $this->probe->check("the neighbour's FastCGI", fn () => $this->unix($this->probe->strings('fastcgi'), false));
        $this->probe->check("PHP outside", fn () => $this->unix($this->probe->strings('pools'), false));
        $this->probe->check("the neighbour's loopback", fn () => $this->planted('loopback')
            ?? $this->connects(["tcp://{$this->made['loopback']}"], true));
        $this->probe->check('loopback services', fn () => ($found = $this->probe->strings('services')) === []
            ? 'untried: nothing listens there' : $this->each($found));
    }

    /** @param list<string> $paths */
    private function unix(array $paths, bool $secret): true|string
    {
        return $this->first($paths, function (string $way) use ($secret): ?string {
            $seen = $this->connects(["unix://$way", "udg://$way"], $secret);
            return $seen === true ? null : $seen;
        });
    }

    /** @param list<string> $addresses */
    private function connects(array $addresses, bool $secret): true|string
    {
        foreach ($addresses as $address) {
            if (strlen($address) > 110 || ($stream = @stream_socket_client($address, $code, $words, SECOND)) === false) {
                continue;
            }
            stream_set_timeout($stream, 1);
            $shown = str_replace(["\0", 'unix://', 'udg://', 'tcp://'], ['@', '', '', ''], $address);
            if (!$secret || $this->holds(@fread($stream, 128))) {
                return "connected to $shown";
            }
        }
        return true;
    }

    /** @param list<string> $addresses */
    private function each(array $addresses): true|string
    {
        $open = array_filter($addresses, fn (string $address) => $this->connects(["tcp://$address"], false) !== true);
        return $open === [] ?: 'connected to ' . implode(', ', $open);
    }

    private function processes(): void
    {
        $this->probe->check('signals', fn () => !function_exists('posix_kill') || $this->pid < 2
            ? 'untried: no neighbour, or no posix_kill' : (!@posix_kill($this->pid, 0) ?: "may signal process $this->pid"));
        $this->probe->check('ptrace', $this->trace(...));
        $this->probe->check('processes of others', $this->others(...));
        $this->probe->check('environment of others', fn () => $this->first(
            ["/proc/$this->pid/environ", "/proc/$this->pid/mem", "/proc/$this->pid/maps"],
            static fn (string $path) => ($handle = @fopen($path, 'r')) !== false && @fread($handle, 1) !== false
                ? "opened $path" : null
        ));
    }

    /** Attaches without stopping the neighbour, and lets go at once (ptrace(2), PTRACE_SEIZE). */
    private function trace(): true|string
    {
        try {
            $calls = FFI::cdef('long ptrace(int, int, void *, void *);');
        } catch (\Throwable) {
            return 'untried: PHP cannot make system calls here';
        }
        if ($calls->ptrace(PTRACE_SEIZE, $this->pid, null, null) !== 0) {
            return true;
        }
        $calls->ptrace(PTRACE_DETACH, $this->pid, null, null);
        return "traced process $this->pid";
    }

    private function others(): true|string
    {
        $others = array_filter(
            @glob('/proc/[0-9]*') ?: [],
            static fn (string $path) => @fileowner($path) !== posix_geteuid() && @file_get_contents("$path/stat") !== false
        );
        return $others === [] ?: 'sees ' . count($others) . ' processes of others';
    }

    private function server(): void
    {
        foreach ((array) ($this->probe->arguments['server'] ?? []) as $what => $paths) {
            $paths = array_filter((array) $paths, 'is_string');
            $this->probe->check($what, fn () => $this->first(array_values($paths), $this->there(...)));
        }
        $this->probe->check('notify socket', fn () => $this->unix(['/run/systemd/notify'], false));
        $this->probe->check("the neighbour's database", $this->database(...));
    }

    /** A file that can be read, a directory that can be listed, a socket that answers. */
    private function there(string $path): ?string
    {
        if (($handle = @fopen($path, 'r')) !== false && !is_dir($path)) {
            return "opened $path";
        }
        return $this->enter($path) ?? (($seen = $this->connects(["unix://$path", "udg://$path"], false)) === true ? null : $seen);
    }

    /** Asks MariaDB for the neighbour's account, which it gives to the neighbour's processes alone. */
    private function database(): true|string
    {
        $user = (string) ($this->probe->arguments['user'] ?? '');
        if ($user === '' || !function_exists('mysqli_init')) {
            return 'untried: no database server, or no mysqli';
        }
        mysqli_report(MYSQLI_REPORT_OFF);
        return !@mysqli_init()->real_connect('localhost', $user) ?: "logged in as $user";
    }
}

$probe = Fpmjail\Probe::begin();
if (($probe->arguments['mode'] ?? '') === 'hold') {
    hold($probe);
}
(new Attempt($probe))->all();
$probe->answer();
