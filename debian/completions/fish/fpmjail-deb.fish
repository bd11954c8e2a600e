# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of fpmjail-deb for fish.

set -l commands new import check plan build source diff schema
complete -c fpmjail-deb -f
complete -c fpmjail-deb -l help -d 'show help'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -l version -d 'show the version'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a new -d 'write a description to start from'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a import -d 'write the description of a site that a server has'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a check -d 'find all mistakes in descriptions'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a plan -d 'show what the packages will hold'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a build -d 'make the packages that changed'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a source -d 'write a Debian source package for dh(1)'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a diff -d 'tell what a package changes against another'
complete -c fpmjail-deb -n "not __fish_seen_subcommand_from $commands" -a schema -d 'print the JSON Schema of descriptions'

complete -c fpmjail-deb -n '__fish_seen_subcommand_from check plan build source' -k -a '(__fish_complete_suffix .yml; __fish_complete_suffix .yaml)'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from diff' -k -a '(__fish_complete_suffix .yaml; __fish_complete_suffix .deb)'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from plan build source diff' -l release -x -a 'bookworm trixie' -d 'for this release only'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from plan diff' -l json -d 'for programs'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from new import' -s o -l output -r -F -d 'the file to write'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from new' -l wordpress -d 'begin with values that suit WordPress'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from import' -F
complete -c fpmjail-deb -n '__fish_seen_subcommand_from import' -l name -x -d 'the name of the site'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from import' -l pool -x -d 'which pool'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from import' -l domain -x -d 'which site'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from import' -l drop-in -r -F -d 'the file of the drop-in to write'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from build source' -s o -l output -x -a '(__fish_complete_directories)' -d 'where the packages go'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from build' -s j -l jobs -x -a '1 2 4 8' -d 'how many are made at the same time'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from build diff' -l against -x -a '(__fish_complete_directories)' -d 'where the published packages are'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from schema' -l markdown -d 'for people'
complete -c fpmjail-deb -n '__fish_seen_subcommand_from schema' -l defaults -d 'the schema of defaults.yaml'
