# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of fpmjail for fish.

set -l commands status check files exec refresh rollback configure enable disable reload remove
complete -c fpmjail -f
complete -c fpmjail -l help -d 'show help'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -l version -d 'show the version'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a status -d 'every site and every image at a glance'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a check -d 'prove that sites work and that they are sealed'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a files -d 'the copies in a jail and where they came from'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a exec -d 'run a command in a jail'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a refresh -d 'bring the copies in the jails up to date'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a rollback -d 'go back a generation and stay there'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a configure -d 'make a site true on this server'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a enable -d 'switch a site on again'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a disable -d 'switch a site off; upgrades honour that'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a reload -d 'test and reload the web server'
complete -c fpmjail -n "not __fish_seen_subcommand_from $commands" -a remove -d 'take a site out of the web server and of systemd'

complete -c fpmjail -n '__fish_seen_subcommand_from check files exec refresh rollback configure enable disable remove' -a '(path basename /usr/share/fpmjail/sites/* 2>/dev/null)' -d site
complete -c fpmjail -n '__fish_seen_subcommand_from status check files refresh rollback configure enable disable reload remove' -l json -d 'for programs'
complete -c fpmjail -n '__fish_seen_subcommand_from check' -l all -d 'every site'
complete -c fpmjail -n '__fish_seen_subcommand_from check' -l isolation -d 'let sites try to reach each other'
complete -c fpmjail -n '__fish_seen_subcommand_from check' -l jail-only -d 'do not ask the server\'s own PHP'
complete -c fpmjail -n '__fish_seen_subcommand_from check' -l nagios -d 'one line for monitoring'
complete -c fpmjail -n '__fish_seen_subcommand_from check' -l prometheus -r -F -d 'write metrics for node_exporter'
complete -c fpmjail -n '__fish_seen_subcommand_from files' -l by-capability -d 'what each capability costs'
complete -c fpmjail -n '__fish_seen_subcommand_from exec' -l cwd -x -d 'where it starts, seen from the document root'
complete -c fpmjail -n '__fish_seen_subcommand_from refresh rollback' -l dry-run -d 'only say what would be done'
complete -c fpmjail -n '__fish_seen_subcommand_from refresh' -l verify -d 'look at every copy too'
complete -c fpmjail -n '__fish_seen_subcommand_from refresh' -l wait -d 'wait until dpkg and every refresh have ended'
complete -c fpmjail -n '__fish_seen_subcommand_from rollback' -l release-hold -d 'follow the server again'
