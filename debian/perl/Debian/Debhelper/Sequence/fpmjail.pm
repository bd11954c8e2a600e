# SPDX-License-Identifier: GPL-2.0-or-later
# The sequence of dh(1) for websites in jails: see dh_fpmjail(1).
use strict;
use warnings;

# Behind dh_installdeb, so that no other command takes the units for its own and adds to the scripts; the list of sums
# names conffiles as well.
insert_after('dh_installdeb', 'dh_fpmjail');
add_command_options('dh_md5sums', '--include-conffiles');

1;
