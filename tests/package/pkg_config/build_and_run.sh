#!/bin/sh
# build_and_run.sh COMPILER static|shared SOURCE: compiles and runs SOURCE with what pkg-config says.
# A prefix that has both libraries gives the shared one; the static one is then asked for by name.
set -eu
compiler=$1 kind=$2 source=$3
flags=$(pkg-config --cflags twinchat)
case $kind in
  static) libraries=$(pkg-config --static --libs twinchat | sed 's/-ltwinchat/-l:libtwinchat.a/') ;;
  shared) libraries="$(pkg-config --libs twinchat) -Wl,-rpath,$(pkg-config --variable=libdir twinchat)" ;;
esac
for standard in 20 2b; do
  # shellcheck disable=SC2086  # flags are words
  $compiler -std=c++$standard -O0 -Wall -Wextra -Wpedantic -Werror $flags \
    -o consumer_$standard "$source" $libraries
  ./consumer_$standard
done
# The shared library brings its own dependencies, the static one is in the program.
if ldd ./consumer_20 | grep -q libtwinchat; then found=shared; else found=static; fi
[ $found = "$kind" ]
