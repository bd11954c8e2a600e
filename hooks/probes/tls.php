<?php
// SPDX-License-Identifier: MIT
// TLS without a network: OpenSSL's configuration, and whether curl and streams find the certificate authorities.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const BAD_CA_FILE = 77;
const CLIENT_HELLO = "\x16";

/** A certificate of the bundle that is valid today. */
function authority(): OpenSSLCertificate
{
    preg_match_all('/-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/s', (string) file_get_contents(BUNDLE), $all);
    foreach ($all[0] as $text) {
        $certificate = openssl_x509_read($text);
        $valid = $certificate === false ? 0 : (openssl_x509_parse($certificate)['validTo_time_t'] ?? 0);
        if ($valid > time()) {
            return $certificate;
        }
    }
    throw new RuntimeException(BUNDLE . ' holds no valid certificate');
}

/**
 * curl reads its bundle while it begins to speak TLS, so somebody has to listen: this script, on an abstract socket
 * that no other process knows. It hangs up after the ClientHello; what matters is whether curl complained before.
 */
function curlFindsAuthorities(): true|string
{
    $name = 'fpmjail-probe-' . bin2hex(random_bytes(16));
    $listener = stream_socket_server("unix://\0$name");
    $handle = curl_init('https://localhost/');
    curl_setopt_array($handle, [
        CURLOPT_ABSTRACT_UNIX_SOCKET => $name,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 2,
        CURLOPT_PROXY => '',
    ]);
    $transfers = curl_multi_init();
    curl_multi_add_handle($transfers, $handle);
    $greeted = false;
    do {
        curl_multi_exec($transfers, $running);
        $connection = @stream_socket_accept($listener, 0);
        if ($connection !== false) {
            stream_set_timeout($connection, 1);
            $greeted = fread($connection, 1) === CLIENT_HELLO;
            fclose($connection);
        }
        usleep(500);
    } while ($running);
    $code = curl_multi_info_read($transfers)['result'] ?? CURLE_OK;
    if ($greeted && $code !== BAD_CA_FILE) {
        return true;
    }
    return "curl error $code: " . (curl_error($handle) ?: curl_strerror($code));
}

$probe = Fpmjail\Probe::begin();
putenv('RANDFILE=/dev/null'); // else openssl_pkey_new() may leave a .rnd in the home directory
$probe->check('bundle', static fn () => is_readable(BUNDLE) ?: BUNDLE . ' is missing in the jail');
$probe->check('streams', static fn () => openssl_x509_checkpurpose(authority(), X509_PURPOSE_ANY) === true
    ?: 'OpenSSL does not find the certificate authorities at ' . openssl_get_cert_locations()['default_cert_file']);
if (extension_loaded('curl')) {
    $probe->check('curl', 'curlFindsAuthorities');
}
$probe->check('openssl.cnf', static function () {
    while (openssl_error_string() !== false) {
        continue; // what came before would be taken for the cause
    }
    // @: that no seed could be written to RANDFILE is a warning of some releases.
    $key = @openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
    return $key !== false && openssl_pkey_export($key, $text) ?: 'openssl_pkey_new(): ' . openssl_error_string();
});
$probe->answer();
