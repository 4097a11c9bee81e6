#!/bin/bash
# Editors save by writing a new file and renaming it over the old one, with or without a backup; readers see old or new.
. "$(dirname "$0")/lib.sh"
start_cluster --chunkservers 3
second_mount
cd "$MNT"
echo 'version 0' >text
chmod 640 text
rounds=$(long && echo 1000 || echo 100)
(
  while [ ! -e "$WORK/stop" ]; do
    content=$(cat "$MNT2/text") || exit 1
    case $content in 'version '[0-9]*) ;; *) echo "read '$content'"; exit 1 ;; esac
  done
) & reader=$!
for i in $(seq "$rounds"); do
  echo "version $i" >.text.swp
  sync .text.swp
  ln -f text text~                  # backup
  chmod --reference=text .text.swp
  mv .text.swp text
  [ "$(cat text)" = "version $i" ]
  [ "$(cat "$MNT2/text")" = "version $i" ]
  [ "$(cat text~)" = "version $((i - 1))" ]
done
touch "$WORK/stop"
wait $reader || fail "a reader saw something else than the old or the new version"
[ "$(stat -c %a text)" = 640 ]
[ "$(ls -A)" = $'text\ntext~' ] || fail "left over: $(ls -A)"
pass
