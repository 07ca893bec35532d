/* The driver's part in C: what the loader finds, and the platform, which needs nothing of Python. A
   loader asks for it with locks of its own held, that another thread of Python may be waiting for.

   At the mark the build puts the entries, made from Khronos' prototypes (khronos/opencl.h), and the
   dispatch table. */

enum { GON_NO_PLATFORM = -1001 };

static int gon_unsupported(void) { return CL_INVALID_OPERATION; }

/* What is mapped when a program ends is unmapped by that; who still says so may want an event, which
   is none of Python's either. */
static int gon_unmapped(cl_event *event) {
  if (event)
    *event = gon_word();
  return CL_SUCCESS;
}

/*** entries ***/

static struct gon_object gon_the_platform = {gon_table};

void *gon_platform(void) { return &gon_the_platform; }

/* The loader looks into handles, also when Python has ended: their words are none of Python's. */
void *gon_word(void) {
  struct gon_object *word = calloc(1, sizeof *word);
  if (word)
    word->dispatch = gon_table;
  return word;
}

void gon_keep_times(void *word, const cl_ulong *times) {
  struct gon_object *event = word;
  memcpy(event->times, times, sizeof event->times);
  __atomic_store_n(&event->has_times, 1, __ATOMIC_RELEASE);
}

void gon_forget_times(void *word) { ((struct gon_object *)word)->has_times = 0; }

#define GON_EXTENSIONS "cl_khr_icd"

static const struct {
  cl_uint version;
  char name[64];
} gon_extensions[] = {{1 << 22, GON_EXTENSIONS}};

static cl_int gon_give(const void *value, size_t size, size_t room, void *at, size_t *size_at) {
  if (at && room < size)
    return CL_INVALID_VALUE;
  if (at)
    memcpy(at, value, size);
  if (size_at)
    *size_at = size;
  return CL_SUCCESS;
}

cl_int icd_clGetPlatformInfo(
    cl_platform_id platform, cl_platform_info what, size_t room, void *at, size_t *size_at) {
  const cl_uint version = 3 << 22;
  const cl_ulong resolution = 1;
  const char *text;
  if (platform && (void *)platform != &gon_the_platform)
    return CL_INVALID_PLATFORM;
  switch (what) {
  case CL_PLATFORM_NUMERIC_VERSION:
    return gon_give(&version, sizeof version, room, at, size_at);
  case CL_PLATFORM_HOST_TIMER_RESOLUTION:
    return gon_give(&resolution, sizeof resolution, room, at, size_at);
  case CL_PLATFORM_EXTENSIONS_WITH_VERSION:
    return gon_give(gon_extensions, sizeof gon_extensions, room, at, size_at);
  case CL_PLATFORM_PROFILE: text = "FULL_PROFILE"; break;
  case CL_PLATFORM_VERSION: text = "OpenCL 3.0 GoN"; break;
  case CL_PLATFORM_NAME: case CL_PLATFORM_VENDOR: text = "GoN"; break;
  case CL_PLATFORM_EXTENSIONS: text = GON_EXTENSIONS; break;
  case CL_PLATFORM_ICD_SUFFIX_KHR: text = "GON"; break;
  default: return CL_INVALID_VALUE;
  }
  return gon_give(text, strlen(text) + 1, room, at, size_at);
}

cl_int icd_clGetPlatformIDs(cl_uint room, cl_platform_id *platforms, cl_uint *count) {
  if ((!platforms && !count) || (platforms && !room))
    return CL_INVALID_VALUE;
  if (platforms)
    *platforms = (cl_platform_id)&gon_the_platform;
  if (count)
    *count = 1;
  return CL_SUCCESS;
}

#include <time.h>

/* Launches that this thread did before, which may be told to Python by a number alone. */
struct gon_launch {
  cl_command_queue queue;
  cl_kernel kernel;
  size_t dimensions, sizes[9];
};

enum { GON_LAUNCHES = 16 };

static __thread struct {
  struct gon_launch launch;
  cl_ulong number;
} gon_known[GON_LAUNCHES];
static __thread cl_ulong gon_noted;

void gon_note_launch(cl_ulong number) { gon_noted = number; }

/* A program's loop launches the same over and over, which its sizes tell: compared here, none of them
   becomes an object of Python. */
cl_int icd_clEnqueueNDRangeKernel(
    cl_command_queue queue, cl_kernel kernel, cl_uint dimensions, const size_t *offset,
    const size_t *total, const size_t *block, cl_uint count, const cl_event *waits,
    cl_event *event) {
  struct gon_launch now = {queue, kernel, dimensions, {0}};
  size_t place = (size_t)kernel >> 4 ^ (size_t)queue >> 8;
  cl_int code;
  struct timespec called = {0};
  if (event)
    clock_gettime(CLOCK_MONOTONIC, &called);
  if (count || waits || !total || dimensions - 1 > 2)
    return plain_clEnqueueNDRangeKernel(
        queue, kernel, dimensions, offset, total, block, count, waits, event);
  for (cl_uint i = 0; block && i < dimensions; i++)
    if (!block[i]) /* no block is 0: that is none of what is known */
      return plain_clEnqueueNDRangeKernel(
          queue, kernel, dimensions, offset, total, block, count, waits, event);
  for (cl_uint i = 0; i < dimensions; i++) {
    now.sizes[i] = total[i];
    now.sizes[3 + i] = block ? block[i] : 0;
    now.sizes[6 + i] = offset ? offset[i] : 0;
    place ^= total[i];
  }
  place %= GON_LAUNCHES;
  if (gon_known[place].number && !memcmp(&now, &gon_known[place].launch, sizeof now)) {
    code = guarded_launch_again(gon_known[place].number, event,
                                called.tv_sec * 1000000000ull + called.tv_nsec);
    if (code <= CL_SUCCESS)
      return code;
  }
  gon_noted = 0;
  code = plain_clEnqueueNDRangeKernel(
      queue, kernel, dimensions, offset, total, block, count, waits, event);
  gon_known[place].launch = now;
  gon_known[place].number = gon_noted;
  return code;
}

/* A program asks for two to five of an event's times: Python is asked for the first. */
cl_int icd_clGetEventProfilingInfo(
    cl_event event, cl_profiling_info what, size_t room, void *at, size_t *size_at) {
  const struct gon_object *word = (const void *)event;
  const cl_uint place = what - CL_PROFILING_COMMAND_QUEUED;
  if (word && place < 5 && __atomic_load_n(&word->has_times, __ATOMIC_ACQUIRE) && !gon_ready())
    return gon_give(&word->times[place], sizeof word->times[place], room, at, size_at);
  return plain_clGetEventProfilingInfo(event, what, room, at, size_at);
}

GON_EXPORT cl_int clGetPlatformInfo(
    cl_platform_id platform, cl_platform_info what, size_t room, void *at, size_t *size_at) {
  return icd_clGetPlatformInfo(platform, what, room, at, size_at);
}

GON_EXPORT cl_int clIcdGetPlatformIDsKHR(
    cl_uint room, cl_platform_id *platforms, cl_uint *count) {
  const char *chosen = getenv("GON_ICD");
  int is_off = chosen && !strcmp(chosen, "off");
  if (is_off && getenv(GON_VERBOSE))
    fputs(GON_API ": no platform: GON_ICD is off\n", stderr);
  if (is_off || !gon_has_host()) {
    if (count)
      *count = 0;
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
