<?php
// SPDX-License-Identifier: MIT
// PEAR's base class, found where Debian's php.ini looks for it.

declare(strict_types=1);

require __DIR__ . '/probe.inc.php';

$probe = Fpmjail\Probe::begin();
$probe->check("include 'PEAR.php'", static function () {
    set_include_path('/usr/share/php');
    include 'PEAR.php';
    return class_exists('PEAR_Error', false) && PEAR::isError(new PEAR_Error('as expected'))
        ?: 'PEAR.php does not define PEAR_Error';
});
$probe->answer();
