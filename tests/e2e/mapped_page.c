// mapped_page FILE: one thread writes 8 bytes at 1024 of each page with pwrite, another stores 8 bytes at
// 3072 of each page through a shared mapping. Prints how many pages have lost either; exit status 0: none.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 256, PAGE = 4096, WRITTEN = 1024, STORED = 3072 };
static int fd;
static char* map;

static void* write_all(void* unused) {
  for (int i = 0; i < PAGES; i++) {
    if (pwrite(fd, "WWWWWWWW", 8, (off_t)i * PAGE + WRITTEN) != 8) perror("pwrite");
  }
  return unused;
}

static void* store_all(void* unused) {
  for (int i = 0; i < PAGES; i++) memcpy(map + i * PAGE + STORED, "MMMMMMMM", 8);
  return unused;
}

int main(int argc, char** argv) {
  if (argc != 2 || (fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644)) < 0 ||
      ftruncate(fd, PAGES * PAGE) != 0)
    return 2;
  map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) return 2;
  pthread_t writer, storer;
  pthread_create(&writer, NULL, write_all, NULL);
  pthread_create(&storer, NULL, store_all, NULL);
  pthread_join(writer, NULL);
  pthread_join(storer, NULL);
  munmap(map, PAGES * PAGE);
  fsync(fd);
  int writes = 0, stores = 0;
  for (int i = 0; i < PAGES; i++) {
    char page[PAGE];
    if (pread(fd, page, PAGE, (off_t)i * PAGE) != PAGE) return 2;
    writes += memcmp(page + WRITTEN, "WWWWWWWW", 8) != 0;
    stores += memcmp(page + STORED, "MMMMMMMM", 8) != 0;
  }
  printf("%d writes and %d stores lost\n", writes, stores);
  return writes + stores != 0;
}
