# shellcheck shell=bash
# Trees to work on, the same every time; sourced by lib.sh and by tests/bench/compare, not a test itself.

# make_tree DIR FILES: a source tree that is the same every time: nested directories, empty, small and larger files,
# modes, names with blanks, UTF-8 and 255 bytes, symbolic and hard links.
make_tree() {
  mkdir -p "$1"
  (
    cd "$1"
    awk -v files="$2" 'BEGIN {
      for (i = 0; i < files; ++i) if (i % 25 == 0) print sprintf("part%d/dir%d", i % 7, i / 25)
    }' | xargs mkdir -p
    awk -v files="$2" 'BEGIN {
      srand(7)
      for (i = 0; i < files; ++i) {
        name = sprintf("part%d/dir%d/file%d.c", (i - i % 25) % 7, int(i / 25), i)
        printf "" >name
        lines = i % 50 == 0 ? 0 : (i % 97 == 0 ? 4000 : int(rand() * 300))
        for (line = 0; line < lines; ++line) printf "int value_%d_%d = %d;  /* line %d */\n", i, line, rand() * 1e9, line >name
        close(name)
      }
    }'
    cd part0/dir0
    ln file0.c hardlink.c
    ln -s file1.c symlink.c
    ln -s "no such file" dangling
    ln -s .. up
    echo x >' leading and trailing '
    echo x >$'new\nline'
    echo x >"grüße-日本.txt"
    echo x >"$(printf 'n%.0s' $(seq 255))"
    mkdir empty
    touch -h -d '2002-03-04 05:06:07.5' symlink.c dangling up    # rsync compares whole seconds
    chmod 640 file2.c
    chmod 755 file3.c
    chmod 400 file4.c
    touch -d '2001-02-03 04:05:06.123456789' file5.c
  )
}

# make_project DIR: a C program of several dozens of files with a makefile; its test is part of `make check`.
make_project() {
  local i
  mkdir -p "$1"
  for i in $(seq 60); do
    echo "int part_$i(int x);" >"$1/part_$i.h"
    printf '#include <stdio.h>\n#include <stdlib.h>\n#include "part_%d.h"\nint part_%d(int x) { return x + %d; }\n' "$i" "$i" "$i" >"$1/part_$i.c"
  done
  {
    echo '#include <stdio.h>'
    for i in $(seq 60); do echo "#include \"part_$i.h\""; done
    echo 'int main(void) { int x = 0;'
    for i in $(seq 60); do echo "x = part_$i(x);"; done
    echo 'printf("%d\n", x); return 0; }'
  } >"$1/main.c"
  cat >"$1/Makefile" <<'M'
OBJECTS := $(patsubst %.c,%.o,$(sort $(wildcard *.c)))
program: libparts.a main.o
	$(CC) -o $@ main.o -L. -lparts
libparts.a: $(filter-out main.o,$(OBJECTS))
	$(AR) rcs $@ $^
%.o: %.c
	$(CC) -O1 -MMD -c -o $@ $<
check: program
	test "$$(./program)" = 1830
clean:
	rm -f *.o *.d *.a program
-include *.d
.PHONY: check clean
M
}
