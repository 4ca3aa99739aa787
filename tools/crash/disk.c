/* What a disk would hold after a power loss, and a disk that is full: preloaded into every process of a family.
 *
 * CRASH_DISK_HOME    the folder that is watched, an absolute path
 * CRASH_DISK_SHADOW  where what was made durable is kept, a folder outside of it that exists
 * CRASH_DISK_ROOM    bytes that may be written under the home until the disk is full; empty: as many as one likes
 *
 * Of each file that is synced the shadow keeps the content under its number ("inode"). `log` has a line for each thing
 * that happened to a name: "sync number path", "folder path" (a folder was synced), "rename number path former-number
 * former-path" and "unlink number path". A file that loses its last name keeps its content as "gone-<line>". */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char home[PATH_MAX], shadow[PATH_MAX];
static size_t home_length;
static long long room = -1;
static long long *written; /* shared by all processes */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void begin(void) {
  const char *given = getenv("CRASH_DISK_HOME"), *kept = getenv("CRASH_DISK_SHADOW"), *bytes = getenv("CRASH_DISK_ROOM");
  if (!given || !kept) return;
  snprintf(shadow, sizeof shadow, "%s", kept);
  if (bytes && *bytes) {
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/written", shadow);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0 && !syscall(SYS_ftruncate, file, sizeof *written)) {
      written = mmap(NULL, sizeof *written, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
      if (written != MAP_FAILED) room = atoll(bytes);
    }
    if (file >= 0) close(file);
  }
  home_length = strlen(given);
  snprintf(home, sizeof home, "%s", given);
}

static int within(const char *path) {
  pthread_once(&once, begin);
  return home_length && !strncmp(path, home, home_length) && (path[home_length] == '/' || !path[home_length]);
}

static int path_of(int file, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return within(path);
}

/* The path as an absolute one, with its folder's links resolved: the last part may be a link or not be there. */
static int path_at(int folder, const char *name, char *path) {
  char whole[PATH_MAX * 2], parent[PATH_MAX * 2], real[PATH_MAX];
  if (!name) return 0;
  if (name[0] == '/') snprintf(whole, sizeof whole, "%s", name);
  else if (folder == AT_FDCWD) {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return 0;
    snprintf(whole, sizeof whole, "%s/%s", here, name);
  } else {
    char link[64], here[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, here, sizeof here - 1);
    if (length < 0) return 0;
    here[length] = 0;
    snprintf(whole, sizeof whole, "%s/%s", here, name);
  }
  snprintf(parent, sizeof parent, "%s", whole);
  char *last = strrchr(parent, '/');
  if (!last || last == parent) return 0;
  *last = 0;
  if (!realpath(parent, real)) return 0;
  if (snprintf(path, PATH_MAX, "%s/%s", real, last + 1) >= PATH_MAX) return 0;
  return within(path);
}

/* One at a time in all processes: the order of the lines is the order of what happened. */
static int note_begin(void) {
  char path[PATH_MAX + 16];
  snprintf(path, sizeof path, "%s/log", shadow);
  int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log >= 0) flock(log, LOCK_EX);
  return log;
}

static void note_end(int log, const char *format, ...) {
  char line[PATH_MAX * 3];
  va_list given;
  va_start(given, format);
  int length = vsnprintf(line, sizeof line, format, given);
  va_end(given);
  if (log < 0) return;
  if (length > 0) syscall(SYS_write, log, line, (size_t)length);
  close(log);
}

static void keep(unsigned long number, const char *path) {
  char half[PATH_MAX + 64], whole[PATH_MAX + 64], *block;
  snprintf(half, sizeof half, "%s/half-%d-%ld", shadow, (int)getpid(), syscall(SYS_gettid));
  snprintf(whole, sizeof whole, "%s/%lu", shadow, number);
  int from = open(path, O_RDONLY | O_CLOEXEC), to = open(half, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (from >= 0 && to >= 0 && (block = malloc(1 << 20))) {
    ssize_t got;
    while ((got = read(from, block, 1 << 20)) > 0)
      if (syscall(SYS_write, to, block, (size_t)got) != got) abort();
    free(block);
    if (syscall(SYS_rename, half, whole)) abort();
  }
  if (from >= 0) close(from);
  if (to >= 0) close(to);
}

static int synced(int file) {
  char path[PATH_MAX];
  struct stat about;
  int before = errno;
  if (path_of(file, path) && !fstat(file, &about)) {
    int log = note_begin();
    if (S_ISDIR(about.st_mode)) note_end(log, "folder\t%s\n", path);
    else if (about.st_nlink) {
      keep(about.st_ino, path);
      note_end(log, "sync\t%lu\t%s\n", (unsigned long)about.st_ino, path);
    } else note_end(log, "");
  }
  errno = before;
  return 0;
}

int fsync(int file) { return synced(file); }
int fdatasync(int file) { return synced(file); }

/* What loses its last name may be needed again: the content goes where a new file of that number cannot meet it. */
static void put_aside(struct stat *about, long long line) {
  char from[PATH_MAX + 64], to[PATH_MAX + 64];
  snprintf(from, sizeof from, "%s/%lu", shadow, (unsigned long)about->st_ino);
  snprintf(to, sizeof to, "%s/gone-%lld", shadow, (long long)line);
  syscall(SYS_rename, from, to);
}

static int renamed(int old_folder, const char *old, int new_folder, const char *new, unsigned flags) {
  char from[PATH_MAX], to[PATH_MAX];
  struct stat moved, replaced;
  int ours = path_at(new_folder, new, to) | path_at(old_folder, old, from);
  if (!ours || !path_at(old_folder, old, from) || !path_at(new_folder, new, to) || lstat(from, &moved))
    return syscall(SYS_renameat2, old_folder, old, new_folder, new, flags);
  int log = note_begin(), there = !lstat(to, &replaced) && replaced.st_ino != moved.st_ino;
  int result = syscall(SYS_renameat2, old_folder, old, new_folder, new, flags), before = errno;
  long long line = lseek(log, 0, SEEK_END);
  if (!result && there) put_aside(&replaced, line);
  note_end(log, result ? "" : "rename\t%lu\t%s\t%lu\t%s\t%lld\n", (unsigned long)moved.st_ino, to,
           there ? (unsigned long)replaced.st_ino : 0ul, from, line);
  errno = before;
  return result;
}

int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int a, const char *old, int b, const char *new) { return renamed(a, old, b, new, 0); }
int renameat2(int a, const char *old, int b, const char *new, unsigned flags) { return renamed(a, old, b, new, flags); }

int unlinkat(int folder, const char *name, int flags) {
  char path[PATH_MAX];
  struct stat about;
  if ((flags & AT_REMOVEDIR) || !path_at(folder, name, path) || lstat(path, &about))
    return syscall(SYS_unlinkat, folder, name, flags);
  int log = note_begin(), result = syscall(SYS_unlinkat, folder, name, flags), before = errno;
  long long line = lseek(log, 0, SEEK_END);
  int last = !result && about.st_nlink == 1; /* What has another name is not lost. */
  if (last) put_aside(&about, line);
  note_end(log, last ? "unlink\t%lu\t%s\t%lld\n" : "", (unsigned long)about.st_ino, path, line);
  errno = before;
  return result;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int remove(const char *name) {
  struct stat about;
  return lstat(name, &about) ? -1 : unlinkat(AT_FDCWD, name, S_ISDIR(about.st_mode) ? AT_REMOVEDIR : 0);
}

/* A disk that is full: what is written under the home is counted over all processes. */
static int full(int file, size_t bytes) {
  char path[PATH_MAX];
  pthread_once(&once, begin);
  if (room < 0) return 0;
  int before = errno, ours = path_of(file, path);
  errno = before;
  if (!ours) return 0;
  if (__sync_add_and_fetch(written, (long long)bytes) <= room) return 0;
  errno = ENOSPC;
  return 1;
}

static size_t bytes_of(const struct iovec *parts, int count) {
  size_t bytes = 0;
  for (int part = 0; part < count; part++) bytes += parts[part].iov_len;
  return bytes;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define GUARDED(type, name, declared, passed, file, bytes) \
  type name declared { return full(file, bytes) ? -1 : REAL(name) passed; }

GUARDED(ssize_t, write, (int f, const void *b, size_t n), (f, b, n), f, n)
GUARDED(ssize_t, pwrite, (int f, const void *b, size_t n, off_t o), (f, b, n, o), f, n)
GUARDED(ssize_t, pwrite64, (int f, const void *b, size_t n, off64_t o), (f, b, n, o), f, n)
GUARDED(ssize_t, writev, (int f, const struct iovec *v, int n), (f, v, n), f, bytes_of(v, n))
GUARDED(ssize_t, pwritev, (int f, const struct iovec *v, int n, off_t o), (f, v, n, o), f, bytes_of(v, n))
GUARDED(ssize_t, sendfile, (int f, int s, off_t *o, size_t n), (f, s, o, n), f, n)
GUARDED(ssize_t, sendfile64, (int f, int s, off64_t *o, size_t n), (f, s, o, n), f, n)
GUARDED(ssize_t, copy_file_range, (int s, off64_t *a, int f, off64_t *b, size_t n, unsigned g), (s, a, f, b, n, g), f, n)
