/* What the specification says of wrong arguments, references, events, mapped memory, rectangles and
   parts, step by step; prints the line that is not so. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checks.h"

static cl_device_id device;
static cl_context context;
static cl_command_queue queue;
static cl_program program;
static cl_int code;
static int called;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static const char *source =
    "kernel void add(global int *x, const int y, local int *room) {"
    "  x[get_global_id(0)] += y; }"
    "kernel void is_null(global int *x, global int *y) { x[0] = y == 0; }"
    "kernel void one(global int *x) { *x += 1; }"
    "kernel __attribute__((vec_type_hint(float4))) void hinted(global int *x) { *x += 1; }";

static void CL_CALLBACK on_event(cl_event event, cl_int status, void *data) {
  pthread_mutex_lock(&lock);
  called = status == *(cl_int *)data ? called + 1 : -100;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static void wait_called(int count) {
  pthread_mutex_lock(&lock);
  while (called >= 0 && called < count)
    pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
}

static cl_uint references(cl_mem memory) {
  cl_uint count = 0;
  clGetMemObjectInfo(memory, CL_MEM_REFERENCE_COUNT, sizeof count, &count, NULL);
  return count;
}

/* What is asked of properties, pipes and attributes. */
static int rest(void) {
  cl_context_properties sync[] = {CL_CONTEXT_INTEROP_USER_SYNC, 7, 0};
  clCreateContext(sync, 1, &device, NULL, NULL, &code);
  IS(code, CL_INVALID_PROPERTY);
  sync[1] = CL_TRUE;
  GOOD(clReleaseContext(clCreateContext(sync, 1, &device, NULL, NULL, &code)));
  clCreateContextFromType(NULL, 1 << 30, NULL, NULL, &code);
  IS(code, CL_INVALID_DEVICE_TYPE);
  cl_mem_properties none[] = {0}, wrong[] = {5, 5, 0};
  size_t size = 5;
  clCreateBufferWithProperties(context, wrong, 0, 16, NULL, &code);
  IS(code, CL_INVALID_PROPERTY);
  cl_mem buffer = clCreateBufferWithProperties(context, none, 0, 16, NULL, &code);
  GOOD(clGetMemObjectInfo(buffer, CL_MEM_PROPERTIES, 0, NULL, &size));
  TRUE(size == sizeof none);
  IS(clGetPipeInfo(buffer, CL_PIPE_PACKET_SIZE, 0, NULL, &size), CL_INVALID_MEM_OBJECT);
  GOOD(clReleaseMemObject(buffer));
  buffer = clCreateBufferWithProperties(context, NULL, 0, 16, NULL, &code);
  GOOD(clGetMemObjectInfo(buffer, CL_MEM_PROPERTIES, 0, NULL, &size));
  TRUE(!size);
  GOOD(clReleaseMemObject(buffer));
  char said[100] = "";
  cl_kernel kernel = clCreateKernel(program, "hinted", &code);
  GOOD(clGetKernelInfo(kernel, CL_KERNEL_ATTRIBUTES, sizeof said, said, NULL));
  TRUE(strstr(said, "vec_type_hint(float4)"));
  GOOD(clReleaseKernel(kernel));
  cl_uint samplers = 0; /* as many as a kernel can take beside a buffer */
  GOOD(clGetDeviceInfo(device, CL_DEVICE_MAX_SAMPLERS, sizeof samplers, &samplers, NULL));
  TRUE(samplers >= 16 && samplers < 256);
  return 0;
}

static int memory(void) {
  int data[64], back[64];
  for (int i = 0; i < 64; i++)
    data[i] = i;
  clCreateBuffer(context, 0, 0, NULL, &code);
  IS(code, CL_INVALID_BUFFER_SIZE);
  clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 16, NULL, &code);
  IS(code, CL_INVALID_HOST_PTR);
  clCreateBuffer(context, 0, 16, data, &code);
  IS(code, CL_INVALID_HOST_PTR);
  clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 16, NULL, &code);
  IS(code, CL_INVALID_VALUE);
  clCreateBuffer(NULL, 0, 16, NULL, &code);
  IS(code, CL_INVALID_CONTEXT);
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof data, data, &code);
  GOOD(code);
  GOOD(clRetainMemObject(x));
  TRUE(references(x) == 2);
  GOOD(clReleaseMemObject(x));
  IS(clEnqueueReadBuffer(queue, x, CL_TRUE, 4, sizeof data, back, 0, NULL, NULL), CL_INVALID_VALUE);
  IS(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, 4, back, 1, NULL, NULL),
     CL_INVALID_EVENT_WAIT_LIST);
  IS(clEnqueueCopyBuffer(queue, x, x, 0, 4, 8, 0, NULL, NULL), CL_MEM_COPY_OVERLAP);
  IS(clEnqueueFillBuffer(queue, x, data, 3, 0, 12, 0, NULL, NULL), CL_INVALID_VALUE);
  /* A rectangle of 3 × 2 out of rows of 8, into rows of 4. */
  size_t from[3] = {4, 1, 0}, to[3] = {0, 0, 0}, region[3] = {12, 2, 1};
  memset(back, 0, sizeof back);
  GOOD(clEnqueueReadBufferRect(queue, x, CL_TRUE, from, to, region, 32, 0, 16, 0, back, 0, NULL,
                               NULL));
  TRUE(back[0] == 9 && back[2] == 11 && back[3] == 0 && back[4] == 17 && back[6] == 19);
  region[1] = 9;
  IS(clEnqueueReadBufferRect(queue, x, CL_TRUE, from, to, region, 32, 0, 16, 0, back, 0, NULL,
                             NULL), CL_INVALID_VALUE);
  cl_buffer_region part = {128, 64}, crooked = {4, 8}, beyond = {128, 256};
  clCreateSubBuffer(x, 0, CL_BUFFER_CREATE_TYPE_REGION, &crooked, &code);
  IS(code, CL_MISALIGNED_SUB_BUFFER_OFFSET);
  clCreateSubBuffer(x, 0, CL_BUFFER_CREATE_TYPE_REGION, &beyond, &code);
  IS(code, CL_INVALID_VALUE);
  cl_mem half = clCreateSubBuffer(x, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &code);
  GOOD(code);
  GOOD(clReleaseMemObject(x)); /* the part keeps it */
  int *seen = clEnqueueMapBuffer(queue, half, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 4, 8, 0, NULL,
                                 NULL, &code);
  GOOD(code);
  TRUE(seen[0] == 33 && seen[1] == 34);
  seen[0] = -1;
  GOOD(clEnqueueUnmapMemObject(queue, half, seen, 0, NULL, NULL));
  IS(clEnqueueUnmapMemObject(queue, half, seen, 0, NULL, NULL), CL_INVALID_VALUE);
  GOOD(clEnqueueReadBuffer(queue, half, CL_TRUE, 0, 8, back, 0, NULL, NULL));
  TRUE(back[0] == 32 && back[1] == -1);
  GOOD(clReleaseMemObject(half));
  IS(clReleaseMemObject(half), CL_INVALID_MEM_OBJECT);
  return 0;
}

static cl_program made_of(const char *text) {
  cl_program made = clCreateProgramWithSource(context, 1, &text, NULL, &code);
  return code ? NULL : made;
}

static cl_int compiles(cl_program one, const char *options) {
  return clCompileProgram(one, 0, NULL, options, 0, NULL, NULL, NULL, NULL);
}

/* Nothing is read, written, copied or filled, and that is done; nothing cannot be mapped. */
static int nothing(cl_command_queue_properties how) {
  cl_queue_properties properties[] = {CL_QUEUE_PROPERTIES, how, 0};
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, properties, &code);
  int data[2] = {7, 8};
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 8, data, &code);
  cl_event done[4];
  GOOD(clEnqueueWriteBuffer(own, x, CL_TRUE, 0, 0, data, 0, NULL, &done[0]));
  GOOD(clEnqueueReadBuffer(own, x, CL_TRUE, 8, 0, data, 0, NULL, &done[1]));
  GOOD(clEnqueueCopyBuffer(own, x, x, 0, 0, 0, 0, NULL, &done[2]));
  GOOD(clEnqueueFillBuffer(own, x, data, 4, 4, 0, 0, NULL, &done[3]));
  GOOD(clWaitForEvents(4, done));
  IS(clEnqueueReadBuffer(own, x, CL_TRUE, 9, 0, data, 0, NULL, NULL), CL_INVALID_VALUE);
  IS(clEnqueueReadBuffer(own, x, CL_TRUE, 0, 0, NULL, 0, NULL, NULL), CL_INVALID_VALUE);
  clEnqueueMapBuffer(own, x, CL_TRUE, CL_MAP_READ, 0, 0, 0, NULL, NULL, &code);
  IS(code, CL_INVALID_VALUE);
  data[0] = data[1] = 0;
  GOOD(clEnqueueReadBuffer(own, x, CL_TRUE, 0, 8, data, 0, NULL, NULL));
  TRUE(data[0] == 7 && data[1] == 8);
  for (int i = 0; i < 4; i++)
    GOOD(clReleaseEvent(done[i]));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseCommandQueue(own));
  return 0;
}

static int links(void) {
  cl_program uses = made_of("int f(int); kernel void g(global int *x) { *x = f(*x); }");
  cl_program has = made_of("int f(int x) { return x + 1; }");
  cl_program bad = made_of("kernel void f( {"), refused = made_of("#import <a.h>\n");
  IS(compiles(uses, "-D 1"), CL_INVALID_COMPILER_OPTIONS);
  IS(compiles(uses, "-of-none"), CL_INVALID_COMPILER_OPTIONS);
  IS(compiles(bad, NULL), CL_COMPILE_PROGRAM_FAILURE);
  IS(compiles(refused, NULL), CL_COMPILE_PROGRAM_FAILURE);
  char log[4096] = "";
  GOOD(clGetProgramBuildInfo(refused, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
  TRUE(strstr(log, "import is refused"));
  /* What is not there is for the link to tell. */
  GOOD(compiles(uses, NULL));
  GOOD(compiles(has, NULL));
  cl_program both[] = {has, uses};
  cl_program failed = clLinkProgram(context, 0, NULL, NULL, 1, &uses, NULL, NULL, &code);
  IS(code, CL_LINK_PROGRAM_FAILURE);
  GOOD(clGetProgramBuildInfo(failed, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
  TRUE(strlen(log));
  GOOD(clReleaseProgram(failed));
  cl_program linked = clLinkProgram(context, 0, NULL, NULL, 2, both, NULL, NULL, &code);
  GOOD(code);
  GOOD(clReleaseKernel(clCreateKernel(linked, "g", &code)));
  GOOD(clReleaseProgram(linked));
  const char *none[] = {"-g", "-cl-mad-enable", "-enable-link-options", "-create-library -D X"};
  for (int i = 0; i < 4; i++) {
    TRUE(!clLinkProgram(context, 0, NULL, none[i], 2, both, NULL, NULL, &code));
    IS(code, CL_INVALID_LINKER_OPTIONS);
  }
  cl_program library = clLinkProgram(context, 0, NULL, "-create-library -enable-link-options", 1,
                                     &has, NULL, NULL, &code);
  GOOD(code);
  cl_program with_library[] = {library, uses};
  linked = clLinkProgram(context, 0, NULL, "-cl-no-signed-zeroes -cl-fast-relaxed-math", 2,
                         with_library, NULL, NULL, &code);
  GOOD(code);
  GOOD(clReleaseKernel(clCreateKernel(linked, "g", &code)));
  GOOD(clReleaseProgram(linked));
  /* Which a library that was made to allow none keeps from its text, in whatever library it is. */
  cl_program told = made_of("#ifdef __FAST_RELAXED_MATH__\nkernel void fast(void) {}\n#endif");
  GOOD(compiles(told, NULL));
  cl_program kept[] = {told, NULL, NULL};
  kept[1] = clLinkProgram(context, 0, NULL, "-create-library", 1, kept, NULL, NULL, &code);
  GOOD(code);
  kept[2] = clLinkProgram(context, 0, NULL, "-create-library -enable-link-options", 1, kept + 1,
                          NULL, NULL, &code);
  GOOD(code);
  for (int i = 0; i < 3; i++) {
    linked = clLinkProgram(context, 0, NULL, "-cl-fast-relaxed-math", 1, kept + i, NULL, NULL,
                           &code);
    GOOD(code);
    cl_kernel fast = clCreateKernel(linked, "fast", &code);
    IS(code, i ? CL_INVALID_KERNEL_NAME : CL_SUCCESS);
    if (fast)
      GOOD(clReleaseKernel(fast));
    GOOD(clReleaseProgram(linked));
    GOOD(clReleaseProgram(kept[i]));
  }
  GOOD(clReleaseProgram(library));
  GOOD(clReleaseProgram(uses));
  GOOD(clReleaseProgram(has));
  GOOD(clReleaseProgram(bad));
  GOOD(clReleaseProgram(refused));
  return 0;
}

static int kernels(void) {
  int value = 0, five = 5;
  size_t n = 1, seven = 7, none = 0, offset = 3, big = 1 << 30;
  IS(clBuildProgram(program, 0, NULL, "-I", NULL, &value), CL_INVALID_VALUE);
  const char *wrong = "kernel void f( {";
  cl_program bad = clCreateProgramWithSource(context, 1, &wrong, NULL, &code);
  GOOD(code);
  clCreateKernel(bad, "f", &code);
  IS(code, CL_INVALID_PROGRAM_EXECUTABLE);
  IS(clBuildProgram(bad, 0, NULL, NULL, NULL, NULL), CL_BUILD_PROGRAM_FAILURE);
  char log[4096] = "";
  GOOD(clGetProgramBuildInfo(bad, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL));
  TRUE(strstr(log, "error"));
  clCreateKernel(program, "nothing", &code);
  IS(code, CL_INVALID_KERNEL_NAME);
  cl_kernel add = clCreateKernel(program, "add", &code);
  GOOD(code);
  cl_mem x = clCreateBuffer(context, 0, 4096, NULL, &code);
  GOOD(code);
  GOOD(clEnqueueFillBuffer(queue, x, &value, 4, 0, 4096, 0, NULL, NULL));
  IS(clEnqueueNDRangeKernel(queue, add, 1, NULL, &n, NULL, 0, NULL, NULL), CL_INVALID_KERNEL_ARGS);
  IS(clSetKernelArg(add, 3, 4, &five), CL_INVALID_ARG_INDEX);
  IS(clSetKernelArg(add, 1, 8, &five), CL_INVALID_ARG_SIZE);
  IS(clSetKernelArg(add, 1, 4, NULL), CL_INVALID_ARG_VALUE);
  IS(clSetKernelArg(add, 2, 4, &five), CL_INVALID_ARG_VALUE);
  GOOD(clSetKernelArg(add, 0, sizeof x, &x));
  GOOD(clSetKernelArg(add, 1, 4, &five));
  GOOD(clSetKernelArg(add, 2, 64, NULL));
  IS(clEnqueueNDRangeKernel(queue, add, 4, NULL, &n, NULL, 0, NULL, NULL),
     CL_INVALID_WORK_DIMENSION);
  cl_context elsewhere = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  cl_command_queue foreign = clCreateCommandQueueWithProperties(elsewhere, device, NULL, &code);
  IS(clEnqueueNDRangeKernel(foreign, add, 1, NULL, &n, NULL, 0, NULL, NULL), CL_INVALID_CONTEXT);
  GOOD(clReleaseCommandQueue(foreign));
  GOOD(clReleaseContext(elsewhere));
  IS(clEnqueueNDRangeKernel(queue, add, 1, NULL, &seven, &big, 0, NULL, NULL),
     CL_INVALID_WORK_ITEM_SIZE);
  GOOD(clEnqueueNDRangeKernel(queue, add, 1, NULL, &none, NULL, 0, NULL, NULL));
  GOOD(clEnqueueNDRangeKernel(queue, add, 1, &offset, &seven, NULL, 0, NULL, NULL));
  size_t prime = 997;
  GOOD(clEnqueueNDRangeKernel(queue, add, 1, NULL, &prime, NULL, 0, NULL, NULL));
  int back[1024];
  GOOD(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, 4096, back, 0, NULL, NULL));
  TRUE(back[2] == 5 && back[3] == 10 && back[9] == 10 && back[10] == 5 && back[996] == 5);
  TRUE(back[997] == 0);
  cl_kernel is_null = clCreateKernel(program, "is_null", &code);
  GOOD(clSetKernelArg(is_null, 0, sizeof x, &x));
  GOOD(clSetKernelArg(is_null, 1, sizeof x, NULL));
  GOOD(clEnqueueNDRangeKernel(queue, is_null, 1, NULL, &n, NULL, 0, NULL, NULL));
  GOOD(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, 4, back, 0, NULL, NULL));
  TRUE(back[0] == 1);
  char name[16];
  cl_uint space = 0;
  GOOD(clGetKernelArgInfo(add, 1, CL_KERNEL_ARG_NAME, sizeof name, name, NULL));
  TRUE(!strcmp(name, "y"));
  GOOD(clGetKernelArgInfo(add, 2, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof space, &space, NULL));
  TRUE(space == CL_KERNEL_ARG_ADDRESS_LOCAL);
  GOOD(clReleaseKernel(is_null));
  GOOD(clReleaseKernel(add));
  IS(clReleaseKernel(add), CL_INVALID_KERNEL);
  GOOD(clReleaseProgram(bad));
  GOOD(clReleaseMemObject(x));
  return 0;
}

static int events(void) {
  int zero = 0, back = -1;
  size_t n = 1;
  cl_int done = CL_COMPLETE, status = -1;
  cl_ulong at[4];
  cl_queue_properties measuring[] = {
      CL_QUEUE_PROPERTIES, CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, 0};
  cl_command_queue other = clCreateCommandQueueWithProperties(context, device, measuring, &code);
  GOOD(code);
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
  cl_kernel one = clCreateKernel(program, "one", &code);
  GOOD(clSetKernelArg(one, 0, sizeof x, &x));
  cl_event gate = clCreateUserEvent(context, &code), ran, read, marker;
  GOOD(code);
  GOOD(clEnqueueNDRangeKernel(queue, one, 1, NULL, &n, NULL, 1, &gate, &ran));
  GOOD(clEnqueueReadBuffer(other, x, CL_FALSE, 0, 4, &back, 1, &ran, &read));
  GOOD(clSetEventCallback(read, CL_COMPLETE, on_event, &done));
  GOOD(clGetEventInfo(ran, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL));
  TRUE(status == CL_QUEUED);
  IS(clGetEventProfilingInfo(ran, CL_PROFILING_COMMAND_END, 8, at, NULL),
     CL_PROFILING_INFO_NOT_AVAILABLE);
  /* Out of order, what waits for nothing goes past what is held. */
  GOOD(clEnqueueFillBuffer(other, x, &zero, 4, 0, 4, 0, NULL, &marker));
  GOOD(clWaitForEvents(1, &marker));
  TRUE(back == -1 && called == 0);
  IS(clSetUserEventStatus(ran, CL_COMPLETE), CL_INVALID_EVENT);
  IS(clSetUserEventStatus(gate, 1), CL_INVALID_VALUE);
  GOOD(clSetUserEventStatus(gate, CL_COMPLETE));
  IS(clSetUserEventStatus(gate, CL_COMPLETE), CL_INVALID_OPERATION);
  GOOD(clWaitForEvents(1, &read));
  TRUE(back == 1);
  wait_called(1);
  TRUE(called == 1);
  for (int i = 0; i < 4; i++)
    GOOD(clGetEventProfilingInfo(read, CL_PROFILING_COMMAND_QUEUED + i, 8, &at[i], NULL));
  TRUE(at[0] <= at[1] && at[1] <= at[2] && at[2] <= at[3]);
  IS(clGetEventProfilingInfo(ran, CL_PROFILING_COMMAND_END, 8, at, NULL),
     CL_PROFILING_INFO_NOT_AVAILABLE);
  clReleaseEvent(gate);
  clReleaseEvent(ran);
  cl_uint kind = 0;
  GOOD(clEnqueueTask(queue, one, 0, NULL, &ran));
  GOOD(clGetEventInfo(ran, CL_EVENT_COMMAND_TYPE, sizeof kind, &kind, NULL));
  TRUE(kind == CL_COMMAND_TASK);
  GOOD(clReleaseEvent(ran));
  /* A gate that fails takes what waits for it along. */
  gate = clCreateUserEvent(context, &code);
  GOOD(clEnqueueNDRangeKernel(queue, one, 1, NULL, &n, NULL, 1, &gate, &ran));
  GOOD(clSetUserEventStatus(gate, -7));
  IS(clWaitForEvents(1, &ran), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
  GOOD(clFinish(queue));
  GOOD(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 2);
  cl_event all[] = {gate, ran, read, marker};
  for (int i = 0; i < 4; i++)
    GOOD(clReleaseEvent(all[i]));
  IS(clReleaseEvent(gate), CL_INVALID_EVENT);
  GOOD(clReleaseKernel(one));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseCommandQueue(other));
  return 0;
}

static void *add_often(void *given) {
  cl_int made;
  size_t n = 1;
  cl_mem x = given;
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, NULL, &made);
  cl_kernel one = clCreateKernel(program, "one", &made);
  if (clSetKernelArg(one, 0, sizeof x, &x))
    return "argument";
  for (int i = 0; i < 200; i++)
    if (clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, NULL))
      return "launch";
  if (clFinish(own))
    return "finish";
  clReleaseKernel(one);
  clReleaseCommandQueue(own);
  return NULL;
}

static int threads(void) {
  enum { THREADS = 4 };
  pthread_t running[THREADS];
  cl_mem x[THREADS];
  int zero = 0, back = 0;
  for (int i = 0; i < THREADS; i++) {
    x[i] = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &zero, &code);
    GOOD(code);
    pthread_create(&running[i], NULL, add_often, x[i]);
  }
  for (int i = 0; i < THREADS; i++) {
    void *failed;
    pthread_join(running[i], &failed);
    TRUE(!failed);
    GOOD(clEnqueueReadBuffer(queue, x[i], CL_TRUE, 0, 4, &back, 0, NULL, NULL));
    TRUE(back == 200);
    GOOD(clReleaseMemObject(x[i]));
  }
  return 0;
}

static int forked(void) {
  int status;
  fflush(stdout);
  pid_t child = fork();
  if (!child)
    _exit(clFinish(queue) == CL_OUT_OF_HOST_MEMORY ? 0 : 1);
  waitpid(child, &status, 0);
  TRUE(status == 0);
  GOOD(clFinish(queue));
  return 0;
}

int main(void) {
  cl_platform_id platform;
  GOOD(clGetPlatformIDs(1, &platform, NULL));
  IS(clGetDeviceIDs(platform, CL_DEVICE_TYPE_CUSTOM, 1, &device, NULL), CL_DEVICE_NOT_FOUND);
  IS(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, &device, NULL), CL_INVALID_VALUE);
  GOOD(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
  context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  GOOD(code);
  queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  GOOD(code);
  program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
  GOOD(code);
  GOOD(clBuildProgram(program, 1, &device, "-cl-std=CL2.0", NULL, NULL));
  if (rest() || memory() || nothing(0) || nothing(CL_QUEUE_PROFILING_ENABLE) || links() ||
      kernels() || events() || threads() || forked())
    return 1;
  printf("good\n");
  return 0;
}
