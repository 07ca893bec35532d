/* What calls of OpenCL's cost a program: opencl_calls SAMPLES LAUNCHES ROUNDS, one line a round.
 *
 * latency: a launch of a kernel of two groups and clFinish, SAMPLES times, on a queue that measures,
 * as clpeak does; µs from queued to begun by the queue's times, and of both calls by this clock.
 * rate: LAUNCHES of one thread each and one clFinish; launches a second, and µs of this thread's
 * processor for one of them, and for a clSetKernelArg. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHECK(call) do { cl_int got = (call); if (got) { \
  fprintf(stderr, "%s: %d\n", #call, got); return 1; } } while (0)

static const char *source = "kernel void sums(global float *a, global float *b) {"
                            "  size_t i = get_global_id(0); float s = 0;"
                            "  for (int k = 0; k < 16; k++) s += a[i + k * get_local_size(0)];"
                            "  b[i] = s; }";

static double now_us(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *one, const void *other) {
  double a = *(const double *)one, b = *(const double *)other;
  return (a > b) - (a < b);
}

static double median(double *values, int count) {
  qsort(values, count, sizeof *values, ascending);
  return values[count / 2];
}

int main(int count, char **words) {
  enum { GLOBAL = 8192, LOCAL = 64 };
  if (count != 4)
    return 2;
  int samples = atoi(words[1]), launches = atoi(words[2]), rounds = atoi(words[3]);
  cl_platform_id platform;
  cl_device_id device;
  cl_int code;
  CHECK(clGetPlatformIDs(1, &platform, NULL));
  CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
  cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  CHECK(code);
  cl_command_queue measuring =
      clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &code);
  CHECK(code);
  cl_command_queue plain = clCreateCommandQueue(context, device, 0, &code);
  CHECK(code);
  cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
  CHECK(code);
  CHECK(clBuildProgram(program, 1, &device, "", NULL, NULL));
  cl_kernel kernel = clCreateKernel(program, "sums", &code);
  CHECK(code);
  cl_mem a = clCreateBuffer(context, CL_MEM_READ_WRITE, 4 * (GLOBAL + 16 * LOCAL), NULL, &code);
  CHECK(code);
  cl_mem b = clCreateBuffer(context, CL_MEM_READ_WRITE, 4 * GLOBAL, NULL, &code);
  CHECK(code);
  cl_mem c = clCreateBuffer(context, CL_MEM_READ_WRITE, 4 * GLOBAL, NULL, &code);
  CHECK(code);
  CHECK(clSetKernelArg(kernel, 0, sizeof a, &a));
  CHECK(clSetKernelArg(kernel, 1, sizeof b, &b));
  size_t global = GLOBAL, local = LOCAL, one = 1;
  double *begun = malloc(sizeof *begun * samples), *both = malloc(sizeof *both * samples);
  if (!begun || !both)
    return 1;
  for (int round = -1; round < rounds; round++) { /* the first warms up */
    for (int i = 0; i < samples; i++) {
      cl_event event;
      cl_ulong queued, start;
      double since = now_us(CLOCK_MONOTONIC);
      CHECK(clEnqueueNDRangeKernel(measuring, kernel, 1, NULL, &global, &local, 0, NULL, &event));
      CHECK(clFinish(measuring));
      both[i] = now_us(CLOCK_MONOTONIC) - since;
      CHECK(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_QUEUED, 8, &queued, NULL));
      CHECK(clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, 8, &start, NULL));
      begun[i] = ((double)start - (double)queued) / 1e3;
      CHECK(clReleaseEvent(event));
    }
    double since = now_us(CLOCK_MONOTONIC), spent = now_us(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < launches; i++)
      CHECK(clEnqueueNDRangeKernel(plain, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
    spent = now_us(CLOCK_THREAD_CPUTIME_ID) - spent;
    CHECK(clFinish(plain));
    double rate = launches / (now_us(CLOCK_MONOTONIC) - since) * 1e6;
    double setting = now_us(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < launches; i++)
      CHECK(clSetKernelArg(kernel, 1, sizeof b, i % 2 ? &b : &c));
    setting = now_us(CLOCK_THREAD_CPUTIME_ID) - setting;
    if (round >= 0)
      printf("%.2f %.2f %.0f %.3f %.3f\n", median(begun, samples), median(both, samples), rate,
             spent / launches, setting / launches);
  }
  return 0;
}
