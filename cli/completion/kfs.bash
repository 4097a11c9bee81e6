# shellcheck shell=bash
# Completes the command line of kfs. The program itself knows what may come next: it is asked with the line so far.
_kfs() {
  local line=${COMP_LINE:0:COMP_POINT} word candidate behind
  word=${line##*[[:space:]]}
  # bash replaces only what stands behind the last of its word breaks.
  behind=$word
  [[ $COMP_WORDBREAKS == *:* ]] && behind=${behind##*:}
  [[ $COMP_WORDBREAKS == *=* ]] && behind=${behind##*=}
  COMPREPLY=()
  while IFS= read -r candidate; do
    COMPREPLY+=("${candidate#"${word%"$behind"}"}")
  done < <("${COMP_WORDS[0]}" --complete "$line" 2>/dev/null)
}
# Where the program knows nothing, a file name may be meant.
complete -o default -F _kfs kfs
