#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <png.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#include <zip.h>
#include <zlib.h>

static _Thread_local char failing[64];
static _Thread_local int left, code;

void faults_begin(const char *function, int at, int error) {
  snprintf(failing, sizeof failing, "%s", function);
  left = at;
  code = error;
}

int faults_end(void) {
  int has_failed = failing[0] && left <= 0;
  failing[0] = 0;
  return has_failed;
}

static int fails(const char *function) { return !strcmp(failing, function) && --left == 0; }

// A function that calls the library's, unless it is to fail: then it does `failure`.
#define FAULT(result, name, parameters, arguments, failure) \
  result name parameters { \
    if (fails(#name)) failure \
    return ((__typeof__(&name))dlsym(RTLD_NEXT, #name))arguments; \
  }
#define SAYS_WHY { errno = code; return -1; }

FAULT(int, fstat, (int file, struct stat *status), (file, status), SAYS_WHY)
FAULT(int, fsync, (int file), (file), SAYS_WHY)
FAULT(int, rename, (const char *from, const char *to), (from, to), SAYS_WHY)
FAULT(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), SAYS_WHY)
FAULT(int, unlink, (const char *path), (path), SAYS_WHY)
FAULT(ssize_t, write, (int file, const void *bytes, size_t count), (file, bytes, count), SAYS_WHY)
FAULT(
  ssize_t, pread, (int file, void *bytes, size_t count, off_t place), (file, bytes, count, place),
  { errno = code; return code ? -1 : 0; })

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (fails("open")) SAYS_WHY
  return ((__typeof__(&open))dlsym(RTLD_NEXT, "open"))(path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  if (fails("openat")) SAYS_WHY
  return ((__typeof__(&openat))dlsym(RTLD_NEXT, "openat"))(folder, path, flags, mode);
}

FAULT(
  int, inflateInit2_, (z_streamp stream, int bits, const char *version, int size),
  (stream, bits, version, size), { return Z_MEM_ERROR; })

FAULT(
  int, inflateInit_, (z_streamp stream, const char *version, int size), (stream, version, size),
  { return Z_MEM_ERROR; })

FAULT(
  int, png_image_write_to_memory,
  (png_imagep image, void *memory, png_alloc_size_t *size, int to_8_bit, const void *buffer,
   png_int_32 stride, const void *map),
  (image, memory, size, to_8_bit, buffer, stride, map),
  { snprintf(image->message, sizeof image->message, "out of memory"); return 0; })

#define NO_MEMORY { zip_error_set(error, ZIP_ER_MEMORY, 0); return NULL; }

FAULT(
  zip_source_t *, zip_source_buffer_create,
  (const void *bytes, zip_uint64_t count, int frees, zip_error_t *error),
  (bytes, count, frees, error), NO_MEMORY)
FAULT(
  zip_t *, zip_open_from_source, (zip_source_t *source, int flags, zip_error_t *error),
  (source, flags, error), NO_MEMORY)
FAULT(
  zip_source_t *, zip_source_buffer, (zip_t *archive, const void *bytes, zip_uint64_t count, int frees),
  (archive, bytes, count, frees),
  { zip_error_set(zip_get_error(archive), ZIP_ER_MEMORY, 0); return NULL; })
FAULT(
  int, zip_source_stat, (zip_source_t *source, zip_stat_t *status), (source, status),
  { zip_error_set(zip_source_error(source), ZIP_ER_MEMORY, 0); return -1; })
FAULT(
  zip_int64_t, zip_source_read, (zip_source_t *source, void *bytes, zip_uint64_t count),
  (source, bytes, count), { zip_error_set(zip_source_error(source), ZIP_ER_READ, code); return -1; })
FAULT(
  int, zip_stat_index, (zip_t *archive, zip_uint64_t index, zip_flags_t flags, zip_stat_t *status),
  (archive, index, flags, status),
  { zip_error_set(zip_get_error(archive), ZIP_ER_MEMORY, 0); return -1; })
FAULT(
  zip_file_t *, zip_fopen_index, (zip_t *archive, zip_uint64_t index, zip_flags_t flags),
  (archive, index, flags), { zip_error_set(zip_get_error(archive), ZIP_ER_MEMORY, 0); return NULL; })
