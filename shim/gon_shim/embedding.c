/* What stands before every driver that is written in Python: it is loaded into programs that know
   nothing of Python, which starts with the first call of an entry.

   The build defines GON_API, the name that messages begin with, and GON_VERBOSE, the variable that
   asks for more of them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether Python may be called, and why not. */
enum gon_state { GON_READY, GON_HOSTLESS, GON_FORKED, GON_ENDED, GON_FOREIGN, GON_FAILED };

static int gon_embeds, gon_called, gon_forked, gon_ended;
static pthread_once_t gon_first = PTHREAD_ONCE_INIT;

/* Whoever opens a driver opens it for itself alone; Python's extension modules need Python's library
   to be there for all. */
__attribute__((constructor)) static void gon_loaded(void) {
  Dl_info found;
  if (dladdr((void *)&Py_IsInitialized, &found) && found.dli_fname)
    dlopen(found.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL);
}

int gon_is_embedding(void) { return gon_embeds; }

static void gon_note_fork(void) { gon_forked = 1; }

/* What the program does at its end after this finds nothing here any more. */
static void gon_at_exit(void) {
  if (!gon_forked && gon_called && Py_IsInitialized())
    gon_shutdown();
  gon_ended = 1;
}

/* With the first call, not when the driver is loaded: it may be there before the program's Python. */
static void gon_begin(void) {
  gon_embeds = !Py_IsInitialized();
  pthread_atfork(NULL, NULL, gon_note_fork);
  if (gon_embeds)
    atexit(gon_at_exit);
}

/* Return whether this thread has Python's lock: PyGILState_Check says so always once there was a
   second interpreter. */
static int gon_has_lock(void) {
  PyThreadState *own = PyGILState_GetThisThreadState();
  return own && own == _PyThreadState_UncheckedGet();
}

#define GON_TEXT(words) #words
#define GON_VERSION(major, minor) GON_TEXT(major) "." GON_TEXT(minor) "."

/* Return why the program's Python cannot be shared, NULL if it can: one of another version has other
   objects, and in a second interpreter of a process what the driver has made would be another's. */
static const char *gon_foreign(void) {
  static const char built[] = GON_VERSION(PY_MAJOR_VERSION, PY_MINOR_VERSION);
  PyThreadState *own, *now;
  if (!gon_called && strncmp(Py_GetVersion(), built, sizeof built - 1))
    return "the driver is built for another version of Python than the program's: build it with that";
  own = PyGILState_GetThisThreadState();
  if (own && PyThreadState_GetInterpreter(own) != PyInterpreterState_Main())
    return "called in a thread of a sub-interpreter: Python's main interpreter can use the device";
  /* What is current may be another thread's, which may end: it is looked at only where there are
     more interpreters. The main one stays, and is the last of them; the first may end meanwhile. */
  if (PyInterpreterState_Head() == PyInterpreterState_Main() &&
      !PyInterpreterState_Next(PyInterpreterState_Main()))
    return NULL;
  now = _PyThreadState_UncheckedGet();
  if (now && now != own && now->thread_id == PyThread_get_thread_ident() &&
      PyThreadState_GetInterpreter(now) != PyInterpreterState_Main())
    return "called in a sub-interpreter: Python's main interpreter can use the device";
  return NULL;
}

/* Return whether a host is named: without one there is no unit, and no interpreter is started. */
static int gon_has_host(void) {
  const char *host = getenv("GON_HOST");
  if (host && *host)
    return 1;
  if (getenv(GON_VERBOSE))
    fputs(GON_API ": no device: GON_HOST names no host\n", stderr);
  return 0;
}

/* Return whether Python may be called, started if it is not yet: not in a child of fork, which has
   the driver's memory but none of its threads, and not when the program, or its Python, has ended. */
static enum gon_state gon_ready(void) {
  static int told;
  PyThreadState *own = NULL;
  const char *foreign;
  int failed;
  pthread_once(&gon_first, gon_begin);
  if (gon_forked) {
    if (!told++)
      fputs(GON_API ": this process was forked from one that uses the device, whose connection it "
            "cannot share: start it by exec, or fork before the first call\n", stderr);
    return GON_FORKED;
  }
  if (gon_ended || ((gon_called || !gon_embeds) && !Py_IsInitialized()))
    return GON_ENDED;
  foreign = gon_embeds ? NULL : gon_foreign();
  if (foreign) {
    if (!told++)
      fprintf(stderr, GON_API ": %s\n", foreign);
    return GON_FOREIGN;
  }
  if (gon_called)
    return GON_READY;
  if (!gon_has_host())
    return GON_HOSTLESS;
  /* One starts it and lets others run meanwhile; those wait here, without what it needs. */
  if (Py_IsInitialized() && gon_has_lock())
    own = PyEval_SaveThread();
  gon_start_python(gon_embeds);
  failed = !Py_IsInitialized() || cffi_start_python();
  if (own)
    PyEval_RestoreThread(own);
  if (failed) {
    if (!told++)
      fputs(GON_API ": no device: the driver's Python, " GON_EXECUTABLE ", does not start it; what is "
            "above says why, or the driver must be built again\n", stderr);
    return GON_FAILED;
  }
  gon_called = 1;
  return GON_READY;
}

/* A Python program may call in the middle of an exception, which is no matter of ours. */
struct gon_raised {
  PyObject *kind, *value, *trace;
};

static struct gon_raised gon_enter(void) {
  struct gon_raised raised = {NULL, NULL, NULL};
  if (!gon_embeds && gon_has_lock())
    PyErr_Fetch(&raised.kind, &raised.value, &raised.trace);
  return raised;
}

static void gon_leave(struct gon_raised raised) {
  if (raised.kind)
    PyErr_Restore(raised.kind, raised.value, raised.trace);
}

#define GON_EXPORT __attribute__((visibility("default")))
