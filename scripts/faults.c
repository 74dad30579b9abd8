// Preloaded into a program, makes one call of the system fail that is for a file under a folder: the
// FAULT_AT-th one, counted from 1, with the error FAULT_ERRNO; if that is 0, a write or a read is of half the
// bytes, and any other call is made as usual. Calls are counted in the file FAULT_COUNT, for who wants to know
// how many.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_int calls;
static const char *folder;
static int at, code;
static int initialised;

static void begin(void) {
  if (initialised) return;
  initialised = 1;
  folder = getenv("FAULT_FOLDER");
  at = getenv("FAULT_AT") ? atoi(getenv("FAULT_AT")) : 0;
  code = getenv("FAULT_ERRNO") ? atoi(getenv("FAULT_ERRNO")) : 0;
}

__attribute__((destructor)) static void finish(void) {
  const char *path = getenv("FAULT_COUNT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "%d\n", atomic_load(&calls));
  fclose(file);
}

static int is_under(const char *path) {
  begin();
  return folder && path && !strncmp(path, folder, strlen(folder));
}

// The path of an open file, or of a name in an open folder.
static int is_under_at(int file, const char *name) {
  char link[64], path[8192];
  if (name && name[0] == '/') return is_under(name);
  if (file == AT_FDCWD) return 0;  // The folder is named by its whole path.
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return is_under(path);
}

// Whether this is the call that is to fail.
static int fails(int counts) { return counts && atomic_fetch_add(&calls, 1) + 1 == at; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF(counts) \
  if (fails(counts) && code) { errno = code; return -1; }

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    FAIL_IF(is_under(path)) \
    return REAL(name)(path, flags, mode); \
  }
#define OPENAT(name) \
  int name(int at_folder, const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    FAIL_IF(is_under_at(at_folder, path)) \
    return REAL(name)(at_folder, path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t count) {
  if (fails(is_under_at(file, NULL))) {
    if (code) { errno = code; return -1; }
    count = count > 1 ? count / 2 : count;
  }
  return REAL(write)(file, bytes, count);
}
#define PREAD(name, offset_t) \
  ssize_t name(int file, void *bytes, size_t count, offset_t offset) { \
    if (fails(is_under_at(file, NULL))) { \
      if (code) { errno = code; return -1; } \
      count = count > 1 ? count / 2 : count; \
    } \
    return REAL(name)(file, bytes, count, offset); \
  }
PREAD(pread, off_t)
PREAD(pread64, off64_t)
int fsync(int file) { FAIL_IF(is_under_at(file, NULL)) return REAL(fsync)(file); }
int rename(const char *from, const char *to) { FAIL_IF(is_under(to)) return REAL(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) {
  FAIL_IF(is_under_at(b, to)) return REAL(renameat)(a, from, b, to);
}
int link(const char *from, const char *to) { FAIL_IF(is_under(to)) return REAL(link)(from, to); }
int unlink(const char *path) { FAIL_IF(is_under(path)) return REAL(unlink)(path); }
int mkdir(const char *path, mode_t mode) { FAIL_IF(is_under(path)) return REAL(mkdir)(path, mode); }
