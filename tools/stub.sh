#!/bin/sh
# Postern @VERSION@ (@TARGET@). This file is a shell script with an archive behind it: the Deno runtime and the program.
# The archive is unpacked once per version into a private folder: $POSTERN_CACHE, else $CACHE_DIRECTORY (systemd),
# else /var/cache/postern (root), $XDG_CACHE_HOME/postern, ~/.cache/postern, or a folder below /tmp.
set -eu
old_umask=$(umask)
umask 077
id=@ID@

die() {
  echo "postern: $1" >&2
  exit 1
}

# A folder that somebody else could write to could hold somebody else's program.
usable() {
  [ -n "$1" ] && mkdir -p "$1" 2>/dev/null && [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ] && [ -w "$1" ] &&
    [ -z "$(find "$1" -maxdepth 0 -perm /022)" ]
}

if [ -n "${POSTERN_CACHE-}" ]; then
  usable "$POSTERN_CACHE" || die "Cannot unpack into $POSTERN_CACHE: it must be a folder of this user that nobody else may write to."
  base=$POSTERN_CACHE
else
  user=$(id -u)
  system=
  [ "$user" != 0 ] || system=/var/cache/postern
  base=
  for candidate in "${CACHE_DIRECTORY-}" "$system" "${XDG_CACHE_HOME:+$XDG_CACHE_HOME/postern}" \
    "${HOME:+$HOME/.cache/postern}" "${TMPDIR:-/tmp}/postern-$user"; do
    if usable "$candidate"; then
      base=$candidate
      break
    fi
  done
  [ -n "$base" ] || die "Cannot unpack: found no folder to write to. Name one in POSTERN_CACHE."
fi

if [ ! -x "$base/$id/deno" ]; then
  temporary=$(mktemp -d "$base/.unpack.XXXXXX")
  trap 'rm -rf "$temporary"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  sum=$(tail -n +@LINE@ "$0" | sha256sum)
  [ "${sum%% *}" = "$id" ] || die "Cannot unpack $0: it is damaged. Download it again."
  tail -n +@LINE@ "$0" | tar -xzf - -C "$temporary" || die "Cannot unpack $0 into $base: is the disk full?"
  # Another start may have been faster; its folder is the same.
  mv -T "$temporary" "$base/$id" 2>/dev/null || [ -x "$base/$id/deno" ] || die "Cannot unpack into $base/$id."
  rm -rf "$temporary"
  trap - EXIT INT TERM
fi

umask "$old_umask"
# One arena per thread of the runtime would hold memory that nobody uses.
export DENO_DIR="$base/deno" DENO_NO_UPDATE_CHECK=1 MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}"
exec "$base/$id/deno" run --quiet --no-config --no-lock --no-remote --no-npm --no-prompt @PERMISSIONS@ "$base/$id/postern.js" "$@"
