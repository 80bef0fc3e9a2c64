// OPERATION a thousand times, of small files, which are made where they are not there.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES = 16, SIZE = 1024, TIMES = 1000 };

static char content[SIZE];

static void check(int ok) {
  if (!ok) abort();
}

static int opened(const char *name, int flags) {
  int file = open(name, flags, 0666);
  check(file >= 0);
  return file;
}

void make(const char *name) {
  int file = opened(name, O_WRONLY | O_CREAT);
  check(write(file, content, SIZE) == SIZE && close(file) == 0);
}

void opens(const char *name) {
  check(close(opened(name, O_RDONLY)) == 0);
}

void reads(const char *name) {
  int file = opened(name, O_RDONLY);
  check(read(file, content, SIZE) == SIZE && read(file, content, SIZE) == 0);
  check(close(file) == 0);
}

void writes(const char *name) {
  int file = opened(name, O_WRONLY | O_TRUNC);
  check(write(file, content, SIZE) == SIZE && close(file) == 0);
}

void stats(const char *name) {
  struct stat found;
  check(stat(name, &found) == 0 && found.st_size == SIZE);
}

int main(void) {
  static char names[FILES][16];
  struct stat found;
  if (stat("dir", &found) != 0) check(mkdir("dir", 0777) == 0);
  for (int i = 0; i < FILES; i++) {
    snprintf(names[i], sizeof names[i], "dir/file%02d", i);
    if (stat(names[i], &found) != 0) make(names[i]);
  }
  for (int i = 0; i < TIMES; i++) OPERATION(names[i % FILES]);
  return 0;
}
