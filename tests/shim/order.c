/* What happens when: memory that a read fills and a write takes, memory that is released before what
   uses it ran, statuses after a wait, callbacks, calls at the end. Prints the line that is not so. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checks.h"

static cl_context context;
static cl_device_id device;
static cl_command_queue queue;
static cl_program program;
static cl_int code;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static cl_int seen[8];
static int calls;
static cl_mem kept;

static const char *source =
    "kernel void one(global int *x) { *x += 1; }"
    "kernel void is_null(global int *x, global int *y) { *x = y == 0; }"
    "kernel void count(global int *x) { x[get_global_id(0)] = get_global_id(0); }"
    "kernel void last(global volatile int *x) { for (long i = 0; !x[0] && i < 1l << 36; i++); x[1] = x[0]; }"
    "kernel void slow(global int *x) { for (int i = 0; i < 1 << 24; i++) *x = *x * 3 + i; }";

static void CL_CALLBACK note(cl_event event, cl_int status, void *data) {
  pthread_mutex_lock(&lock);
  seen[calls++] = status;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

/* What a callback may do: let another command go. */
static void CL_CALLBACK let_go(cl_event event, cl_int status, void *gate) {
  clSetUserEventStatus((cl_event)gate, CL_COMPLETE);
}

static void wait_for_calls(int count) {
  pthread_mutex_lock(&lock);
  while (calls < count)
    pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

/* Called after the driver's own end, for it was told of first. */
static void at_exit(void) {
  int code = clReleaseMemObject(kept);
  printf("released: %d, finished: %d\n", code, clFinish(queue));
}

static cl_int status_of(cl_event event) {
  cl_int status = -1000;
  clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
  return status;
}

static cl_kernel kernel(const char *name, cl_mem x) {
  cl_kernel made = clCreateKernel(program, name, &code);
  clSetKernelArg(made, 0, sizeof x, &x);
  return made;
}

/* A write takes what a read before it puts there, whatever their sizes. */
static int host_memory(size_t count) {
  size_t bytes = count * sizeof(int);
  int *room = calloc(count, sizeof(int)), *back = calloc(count, sizeof(int));
  cl_mem x = clCreateBuffer(context, 0, bytes, NULL, &code);
  cl_mem y = clCreateBuffer(context, 0, bytes, NULL, &code);
  cl_kernel counting = kernel("count", x);
  GOOD(clEnqueueNDRangeKernel(queue, counting, 1, NULL, &count, NULL, 0, NULL, NULL));
  GOOD(clEnqueueReadBuffer(queue, x, CL_FALSE, 0, bytes, room, 0, NULL, NULL));
  GOOD(clEnqueueWriteBuffer(queue, y, CL_FALSE, 0, bytes, room, 0, NULL, NULL));
  GOOD(clEnqueueReadBuffer(queue, y, CL_TRUE, 0, bytes, back, 0, NULL, NULL));
  TRUE(back[1] == 1 && back[count - 1] == (int)count - 1);
  /* Of two reads into one place the second stays. */
  memset(room, 0, bytes);
  GOOD(clEnqueueReadBuffer(queue, x, CL_FALSE, 0, bytes, room, 0, NULL, NULL));
  GOOD(clEnqueueReadBuffer(queue, x, CL_FALSE, 8, 4, room + 1, 0, NULL, NULL));
  GOOD(clFinish(queue));
  TRUE(room[1] == 2 && room[count - 1] == (int)count - 1);
  /* Unmapping writes what mapping was still to read. */
  int *mapped = clEnqueueMapBuffer(queue, x, CL_FALSE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0, NULL,
                                   NULL, &code);
  GOOD(code);
  GOOD(clEnqueueUnmapMemObject(queue, x, mapped, 0, NULL, NULL));
  GOOD(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, bytes, back, 0, NULL, NULL));
  TRUE(back[1] == 1 && back[count - 1] == (int)count - 1);
  GOOD(clReleaseKernel(counting));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseMemObject(y));
  free(room);
  free(back);
  return 0;
}

/* What a held command uses lives until it ran. */
static int released(void) {
  int zero = 0, five = 5, back = -1;
  size_t n = 1;
  cl_event gate = clCreateUserEvent(context, &code);
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_mem y = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_mem z = clCreateBuffer(context, 0, 4, NULL, &code);
  cl_kernel one = kernel("one", x);
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  GOOD(clEnqueueWriteBuffer(own, x, CL_FALSE, 0, 4, &five, 1, &gate, NULL));
  GOOD(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, NULL));
  GOOD(clEnqueueCopyBuffer(own, x, y, 0, 0, 4, 0, NULL, NULL));
  GOOD(clEnqueueCopyBuffer(own, y, z, 0, 0, 4, 0, NULL, NULL));
  GOOD(clReleaseKernel(one));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseMemObject(y));
  IS(clReleaseMemObject(y), CL_INVALID_MEM_OBJECT);
  GOOD(clSetUserEventStatus(gate, CL_COMPLETE));
  GOOD(clEnqueueReadBuffer(own, z, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 6);
  GOOD(clReleaseMemObject(z));
  GOOD(clReleaseEvent(gate));
  GOOD(clReleaseCommandQueue(own));
  return 0;
}

/* Launches that were done before: what has changed since then counts. */
static int again(void) {
  int zero = 0, five = 5, back = -1;
  size_t n = 1;
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_mem y = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_kernel one = kernel("one", x), is_null = kernel("is_null", x);
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  for (int i = 0; i < 6; i++) {
    cl_mem given = i < 4 ? x : y;
    GOOD(clSetKernelArg(one, 0, sizeof given, &given));
    GOOD(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, NULL));
  }
  GOOD(clEnqueueReadBuffer(own, x, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 4);
  GOOD(clEnqueueReadBuffer(own, y, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 2);
  for (int i = 0; i < 6; i++) {
    GOOD(clSetKernelArg(is_null, 1, sizeof y, i % 3 ? &y : NULL));
    GOOD(clEnqueueNDRangeKernel(own, is_null, 1, NULL, &n, &n, 0, NULL, NULL));
    GOOD(clEnqueueReadBuffer(own, x, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
    TRUE(back == !(i % 3));
  }
  cl_event gate = clCreateUserEvent(context, &code);
  GOOD(clEnqueueWriteBuffer(own, y, CL_FALSE, 0, 4, &five, 1, &gate, NULL));
  GOOD(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, NULL));
  GOOD(clSetUserEventStatus(gate, CL_COMPLETE));
  GOOD(clEnqueueReadBuffer(own, y, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 6);
  GOOD(clReleaseKernel(one));
  IS(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, NULL), CL_INVALID_KERNEL);
  GOOD(clReleaseKernel(is_null));
  GOOD(clReleaseEvent(gate));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseMemObject(y));
  GOOD(clReleaseCommandQueue(own));
  return 0;
}

static int statuses(void) {
  int zero = 0, back;
  size_t n = 1;
  cl_event events[64];
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_kernel one = kernel("one", x);
  for (int i = 0; i < 62; i++)
    GOOD(clEnqueueNDRangeKernel(queue, one, 1, NULL, &n, NULL, 0, NULL, &events[i]));
  GOOD(clEnqueueReadBuffer(queue, x, CL_FALSE, 0, 4, &back, 0, NULL, &events[62]));
  GOOD(clEnqueueMarkerWithWaitList(queue, 0, NULL, &events[63]));
  GOOD(clFinish(queue));
  for (int i = 0; i < 64; i++) {
    IS(status_of(events[i]), CL_COMPLETE);
    GOOD(clReleaseEvent(events[i]));
  }
  TRUE(back == 62);
  /* The last of a queue's commands tells of those before it. */
  for (int i = 0; i < 2; i++)
    GOOD(clEnqueueNDRangeKernel(queue, one, 1, NULL, &n, NULL, 0, NULL, &events[i]));
  GOOD(clWaitForEvents(1, &events[1]));
  IS(status_of(events[0]), CL_COMPLETE);
  for (int i = 0; i < 2; i++)
    GOOD(clReleaseEvent(events[i]));
  GOOD(clReleaseKernel(one));
  GOOD(clReleaseMemObject(x));
  return 0;
}

static int callbacks(void) {
  int zero = 0;
  size_t n = 1;
  cl_event gate = clCreateUserEvent(context, &code), second = clCreateUserEvent(context, &code);
  cl_event ran, after;
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_kernel slow = kernel("slow", x);
  GOOD(clEnqueueNDRangeKernel(queue, slow, 1, NULL, &n, NULL, 1, &gate, &ran));
  GOOD(clEnqueueNDRangeKernel(queue, slow, 1, NULL, &n, NULL, 1, &second, &after));
  GOOD(clSetEventCallback(ran, CL_COMPLETE, note, NULL)); /* in any order */
  GOOD(clSetEventCallback(ran, CL_RUNNING, note, NULL));
  GOOD(clSetEventCallback(ran, CL_SUBMITTED, note, NULL));
  GOOD(clSetEventCallback(ran, CL_SUBMITTED, let_go, second));
  GOOD(clSetEventCallback(gate, CL_COMPLETE, note, NULL));
  /* Callbacks want the lock that whoever lets the command go has. */
  pthread_mutex_lock(&lock);
  GOOD(clSetUserEventStatus(gate, CL_COMPLETE));
  TRUE(calls == 0);
  pthread_mutex_unlock(&lock);
  GOOD(clFinish(queue));
  wait_for_calls(4);
  TRUE(seen[0] == CL_COMPLETE); /* the gate's own */
  TRUE(seen[1] == CL_SUBMITTED && seen[2] == CL_RUNNING && seen[3] == CL_COMPLETE);
  IS(status_of(after), CL_COMPLETE);
  /* Of what is over one is told, too; and of what failed, with the failure. */
  calls = 0;
  GOOD(clSetEventCallback(after, CL_RUNNING, note, NULL));
  wait_for_calls(1);
  TRUE(seen[0] == CL_RUNNING);
  cl_event failing = clCreateUserEvent(context, &code);
  GOOD(clSetEventCallback(failing, CL_COMPLETE, note, NULL));
  GOOD(clSetUserEventStatus(failing, -5));
  wait_for_calls(2);
  TRUE(seen[1] == -5);
  cl_event all[] = {gate, second, ran, after, failing};
  for (int i = 0; i < 5; i++)
    GOOD(clReleaseEvent(all[i]));
  GOOD(clReleaseKernel(slow));
  GOOD(clReleaseMemObject(x));
  return 0;
}

/* A launch of no threads is over when what it waits for is, and counts as a launch. */
static int nothing(void) {
  cl_queue_properties measuring[] = {CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0};
  size_t sizes[][3] = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
  size_t one[] = {1, 1, 1};
  int zero = 0, back = 1;
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, measuring, &code);
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_kernel adding = kernel("one", x);
  for (int i = 0; i < 8; i++) {
    size_t *size = i < 7 ? sizes[i] : NULL;
    cl_event ran, gate = clCreateUserEvent(context, &code);
    cl_uint kind = 0;
    cl_ulong began, ended;
    GOOD(clEnqueueNDRangeKernel(own, adding, 3, NULL, size, NULL, 0, NULL, NULL));
    GOOD(clEnqueueNDRangeKernel(own, adding, 3, NULL, size, one, 1, &gate, &ran));
    GOOD(clGetEventInfo(ran, CL_EVENT_COMMAND_TYPE, sizeof kind, &kind, NULL));
    TRUE(kind == CL_COMMAND_NDRANGE_KERNEL);
    IS(status_of(ran), CL_QUEUED);
    GOOD(clSetUserEventStatus(gate, CL_COMPLETE));
    GOOD(clFinish(own));
    IS(status_of(ran), CL_COMPLETE);
    GOOD(clGetEventProfilingInfo(ran, CL_PROFILING_COMMAND_START, 8, &began, NULL));
    GOOD(clGetEventProfilingInfo(ran, CL_PROFILING_COMMAND_END, 8, &ended, NULL));
    TRUE(began <= ended);
    GOOD(clReleaseEvent(ran));
    GOOD(clReleaseEvent(gate));
  }
  GOOD(clEnqueueReadBuffer(own, x, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 0);
  GOOD(clReleaseKernel(adding));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseCommandQueue(own));
  return 0;
}

/* Asking how far a command is waits for nothing, nor does another queue's work for it: the command
   lasts until that is done. */
static int polls(void) {
  cl_queue_properties measuring[] = {CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0};
  for (int i = 0; i < 2; i++) {
    int flags[2] = {0, 0}, one = 1;
    size_t n = 1;
    cl_event ran;
    cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 8, flags, &code);
    cl_kernel last = kernel("last", x);
    cl_command_queue own =
        clCreateCommandQueueWithProperties(context, device, i ? measuring : NULL, &code);
    calls = 0;
    GOOD(clEnqueueNDRangeKernel(own, last, 1, NULL, &n, NULL, 0, NULL, &ran));
    for (int j = 0; j < 3; j++)
      IS(status_of(ran), CL_RUNNING);
    GOOD(clSetEventCallback(ran, CL_RUNNING, note, NULL));
    wait_for_calls(1);
    TRUE(seen[0] == CL_RUNNING);
    IS(status_of(ran), CL_RUNNING);
    GOOD(clEnqueueWriteBuffer(queue, x, CL_TRUE, 0, 4, &one, 0, NULL, NULL));
    while (status_of(ran) == CL_RUNNING)
      ;
    IS(status_of(ran), CL_COMPLETE);
    GOOD(clEnqueueReadBuffer(own, x, CL_TRUE, 0, 8, flags, 0, NULL, NULL));
    TRUE(flags[1] == 1);
    GOOD(clReleaseEvent(ran));
    GOOD(clReleaseKernel(last));
    GOOD(clReleaseCommandQueue(own));
    GOOD(clReleaseMemObject(x));
  }
  return 0;
}

static void *asks(void *event) {
  cl_ulong at;
  clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, 8, &at, NULL);
  return NULL;
}

/* Times that come when their event is released already are not those of what has its handle next. */
static int late_times(void) {
  enum { MANY = 4096 };
  cl_queue_properties measuring[] = {CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0};
  static cl_event next[MANY];
  int zero = 0, count = 0;
  size_t n = 16;
  cl_event ran;
  cl_ulong at;
  pthread_t thread;
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, measuring, &code);
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_kernel slow = kernel("slow", x);
  GOOD(clEnqueueNDRangeKernel(own, slow, 1, NULL, &n, NULL, 0, NULL, &ran));
  pthread_create(&thread, NULL, asks, ran);
  for (int i = 0; i < 3; i++) /* meanwhile it asks */
    status_of(ran);
  GOOD(clReleaseEvent(ran));
  pthread_join(thread, NULL);
  do
    next[count] = clCreateUserEvent(context, &code);
  while (next[count++] != ran && count < MANY);
  TRUE(next[count - 1] == ran);
  IS(clGetEventProfilingInfo(ran, CL_PROFILING_COMMAND_END, 8, &at, NULL),
     CL_PROFILING_INFO_NOT_AVAILABLE);
  while (count--)
    GOOD(clReleaseEvent(next[count]));
  GOOD(clReleaseKernel(slow));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseCommandQueue(own));
  return 0;
}

/* By the clock that clGetHostTimer tells. */
static cl_ulong now(void) {
  cl_ulong at = 0;
  return clGetHostTimer(device, &at) ? 0 : at;
}

/* Whether a command's times never fall, and lie between two moments of this program's own clock. */
static int is_between(cl_ulong before, cl_event event, cl_ulong after) {
  cl_ulong at[4];
  for (int i = 0; i < 4; i++)
    GOOD(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_QUEUED + i, 8, &at[i], NULL));
  TRUE(before <= at[0] && at[0] <= at[1] && at[1] <= at[2] && at[2] <= at[3] && at[3] <= after);
  return 0;
}

static int times(void) {
  enum { MANY = 200 };
  int zero = 0, back;
  size_t n = 1;
  cl_queue_properties measuring[] = {CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE, 0};
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, measuring, &code);
  GOOD(code);
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_kernel one = kernel("one", x);
  cl_event ran[MANY], filled;
  /* Each waited for by itself, one way or the other. */
  for (int i = 0; i < 40; i++) {
    cl_ulong before = now();
    GOOD(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, &ran[0]));
    GOOD(i % 3 ? clFinish(own) : clWaitForEvents(1, &ran[0]));
    cl_ulong after = now();
    IS(status_of(ran[0]), CL_COMPLETE);
    if (is_between(before, ran[0], after))
      return 1;
    GOOD(clReleaseEvent(ran[0]));
  }
  GOOD(clEnqueueReadBuffer(own, x, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 40);
  /* Many before one wait, every third of which nobody asks about; and one that is no launch. */
  cl_ulong before = now();
  for (int i = 0; i < MANY; i++)
    GOOD(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, &ran[i]));
  for (int i = 0; i < MANY; i += 3)
    GOOD(clReleaseEvent(ran[i]));
  GOOD(clEnqueueFillBuffer(own, x, &zero, 4, 0, 4, 0, NULL, &filled));
  GOOD(clFinish(own));
  cl_ulong after = now();
  /* What fails, here for its memory is gone, has no times, and is told of once. */
  cl_mem gone = clCreateBuffer(context, 0, 4, NULL, &code);
  GOOD(clSetKernelArg(one, 0, sizeof gone, &gone));
  GOOD(clReleaseMemObject(gone));
  for (int i = 0; i < 2; i++) {
    cl_event failed;
    cl_ulong at;
    GOOD(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, &failed));
    if (i)
      TRUE(clFinish(own) < 0);
    else
      IS(clWaitForEvents(1, &failed), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    IS(clGetEventProfilingInfo(failed, CL_PROFILING_COMMAND_END, 8, &at, NULL),
       CL_PROFILING_INFO_NOT_AVAILABLE);
    GOOD(clFinish(own));
    GOOD(clReleaseEvent(failed));
  }
  /* The queue lives as long as events of its. */
  GOOD(clReleaseCommandQueue(own));
  if (is_between(before, filled, after))
    return 1;
  for (int i = 0; i < MANY; i++)
    if (i % 3 && (is_between(before, ran[i], after) || clReleaseEvent(ran[i])))
      return 1;
  GOOD(clReleaseEvent(filled));
  GOOD(clReleaseKernel(one));
  GOOD(clReleaseMemObject(x));
  return 0;
}

int main(void) {
  cl_platform_id platform;
  atexit(at_exit);
  GOOD(clGetPlatformIDs(1, &platform, NULL));
  GOOD(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
  context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  GOOD(code);
  queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  GOOD(code);
  program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
  GOOD(code);
  GOOD(clBuildProgram(program, 1, &device, NULL, NULL, NULL));
  kept = clCreateBuffer(context, 0, 4, NULL, &code);
  GOOD(code);
  if (host_memory(1000) || host_memory(1 << 22) || released() || again() ||
      statuses() || callbacks() || nothing() || polls() || late_times() || times())
    return 1;
  printf("good\n");
  return 0;
}
