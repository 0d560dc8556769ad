#!/bin/sh
# Make a Debian forky chroot that holds `melt` with its OpenFX module: tests/host/melt-chroot.sh FOLDER [MIRROR].
# Needs mmdebstrap. The mirror is the one of this machine's own apt where none is given.
set -eu
folder=${1:?"say which folder the chroot goes to"}
mirror=${2:-$(apt-get indextargets --format '$(SITE)' 2>/dev/null | head -n 1)}
mmdebstrap --variant=apt --include=melt --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' forky "$folder" "$mirror"
mkdir -p "$folder/dev/shm" "$folder/run"
echo "melt is in $folder; make test-melt MELT=$folder runs the tests in it"
