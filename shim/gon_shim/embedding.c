/* What stands before every driver that is written in Python: it is loaded into programs that know
   nothing of Python, which starts with the first call of an entry (cffi sees to that).

   The build defines GON_API, the name that messages begin with. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int gon_started, gon_forked, gon_embeds;

/* Whoever opens a driver opens it for itself alone; Python's extension modules need Python's library
   to be there for all. */
__attribute__((constructor)) static void gon_loaded(void) {
  Dl_info found;
  gon_embeds = !Py_IsInitialized();
  if (dladdr((void *)&Py_IsInitialized, &found) && found.dli_fname)
    dlopen(found.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL);
}

static void gon_note_fork(void) { gon_forked = gon_started; }

static void gon_at_exit(void) {
  if (!gon_forked)
    gon_shutdown();
}

/* Return whether Python may not be called: a child of fork has the driver's memory, but none of its
   threads. */
static int gon_refuses(void) {
  static int told;
  gon_start_python(gon_embeds);
  if (!gon_started) {
    gon_started = 1;
    pthread_atfork(NULL, NULL, gon_note_fork);
    if (gon_embeds)
      atexit(gon_at_exit);
  }
  if (gon_forked && !told) {
    told = 1;
    fputs(GON_API ": this process was forked from one that uses the device, whose connection it "
          "cannot share: start it by exec, or fork before the first call\n", stderr);
  }
  return gon_forked;
}

#define GON_EXPORT __attribute__((visibility("default")))
