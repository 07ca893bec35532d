/* The driver's part in C: what the loader finds, and what stands before every call of Python.

   Between two marks of its own the build puts Khronos' types and prototypes (khronos/opencl.h), the
   entries made from them and the dispatch table. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a handle points to: the loader finds the table in its first word. */
struct gon_object {
  const void *const *dispatch;
};

enum { GON_NO_PLATFORM = -1001, GON_INVALID_OPERATION = -59, GON_OUT_OF_HOST_MEMORY = -6 };

static int gon_started, gon_forked, gon_embeds;

/* A loader opens drivers for itself alone; Python's extension modules need its library to be there
   for all. */
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
    fputs("GoN OpenCL: this process was forked from one that uses OpenCL, whose connection it "
          "cannot share: start it by exec, or fork before the first call of OpenCL\n", stderr);
  }
  return gon_forked;
}

/* A Python program may call in the middle of an exception, which is no matter of ours. */
struct gon_raised {
  PyObject *kind, *value, *trace;
};

static struct gon_raised gon_enter(void) {
  struct gon_raised raised = {NULL, NULL, NULL};
  if (!gon_embeds && PyGILState_Check())
    PyErr_Fetch(&raised.kind, &raised.value, &raised.trace);
  return raised;
}

static void gon_leave(struct gon_raised raised) {
  if (raised.kind)
    PyErr_Restore(raised.kind, raised.value, raised.trace);
}

static int gon_unsupported(void) { return GON_INVALID_OPERATION; }

/*** entries ***/

const void *const *gon_dispatch(void) { return gon_table; }

int gon_is_embedding(void) { return gon_embeds; }

#define GON_EXPORT __attribute__((visibility("default")))

GON_EXPORT cl_int clGetPlatformInfo(
    cl_platform_id platform, cl_platform_info what, size_t size, void *value, size_t *size_ret) {
  return icd_clGetPlatformInfo(platform, what, size, value, size_ret);
}

/* Without a host there is no platform, and no interpreter is started. */
GON_EXPORT cl_int clIcdGetPlatformIDsKHR(
    cl_uint room, cl_platform_id *platforms, cl_uint *count) {
  const char *chosen = getenv("GON_ICD"), *host = getenv("GON_HOST");
  if (!host || !*host || (chosen && !strcmp(chosen, "off"))) {
    if (count)
      *count = 0;
    if (getenv("GON_ICD_VERBOSE"))
      fputs("GoN OpenCL: no platform: GON_HOST names no host, or GON_ICD is off\n", stderr);
    return GON_NO_PLATFORM;
  }
  return icd_clGetPlatformIDs(room, platforms, count);
}

GON_EXPORT void *clGetExtensionFunctionAddress(const char *name) {
  if (!strcmp(name, "clIcdGetPlatformIDsKHR"))
    return (void *)clIcdGetPlatformIDsKHR;
  if (!strcmp(name, "clGetPlatformInfo"))
    return (void *)clGetPlatformInfo;
  return NULL;
}

void *icd_clGetExtensionFunctionAddress(const char *name) {
  return clGetExtensionFunctionAddress(name);
}

void *icd_clGetExtensionFunctionAddressForPlatform(cl_platform_id platform, const char *name) {
  return platform ? clGetExtensionFunctionAddress(name) : NULL;
}
