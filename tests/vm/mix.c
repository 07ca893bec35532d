/* A program of OpenCL that knows nothing of GoN: whole numbers through a kernel, with buffers that are
   written, copied and mapped; prints a digest of each result, the same wherever the device is. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(call) do { cl_int got = (call); if (got) { \
  printf("%s: %d\n", #call, got); return 1; } } while (0)

static const char *source =
    "kernel void mix(global const uint *x, global uint *y, uint seed) {"
    "  size_t i = get_global_id(0); uint v = (x[i] ^ seed) * 2654435761u;"
    "  y[i] = v ^ (v >> 15); }"
    "kernel void add_all(global const uint *x, global uint *sum, local uint *own) {"
    "  size_t i = get_local_id(0); own[i] = x[get_global_id(0)];"
    "  for (size_t n = get_local_size(0) / 2; n; n /= 2) {"
    "    barrier(CLK_LOCAL_MEM_FENCE); if (i < n) own[i] += own[i + n]; }"
    "  if (!i) atomic_add(sum, own[0]); }";

static unsigned long long digest(const unsigned *data, size_t count) {
  unsigned long long sum = 14695981039346656037ull;
  for (size_t i = 0; i < count; i++)
    sum = (sum ^ data[i]) * 1099511628211ull;
  return sum;
}

int main(void) {
  enum { SMALL = 1000, LARGE = 1 << 17, BLOCK = 64 };
  static const size_t counts[] = {SMALL, LARGE};
  cl_platform_id platform;
  cl_device_id device;
  cl_int code;
  CHECK(clGetPlatformIDs(1, &platform, NULL));
  CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
  cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  CHECK(code);
  cl_command_queue queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  CHECK(code);
  cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
  CHECK(code);
  CHECK(clBuildProgram(program, 1, &device, "", NULL, NULL));
  cl_kernel mix = clCreateKernel(program, "mix", &code), add;
  CHECK(code);
  add = clCreateKernel(program, "add_all", &code);
  CHECK(code);
  for (int round = 0; round < 2; round++) {
    size_t count = counts[round], size = count * sizeof(unsigned), one = BLOCK;
    unsigned *data = malloc(size), sum = 0, nothing = 0;
    for (size_t i = 0; i < count; i++)
      data[i] = i;
    cl_mem x = clCreateBuffer(context, CL_MEM_READ_WRITE, size, NULL, &code), y, total;
    CHECK(code);
    y = clCreateBuffer(context, CL_MEM_READ_WRITE, size, NULL, &code);
    CHECK(code);
    total = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof sum, &nothing, &code);
    CHECK(code);
    CHECK(clEnqueueWriteBuffer(queue, x, CL_FALSE, 0, size, data, 0, NULL, NULL));
    for (unsigned seed = 1; seed <= 100; seed++) {
      CHECK(clSetKernelArg(mix, 0, sizeof x, seed % 2 ? &x : &y));
      CHECK(clSetKernelArg(mix, 1, sizeof y, seed % 2 ? &y : &x));
      CHECK(clSetKernelArg(mix, 2, sizeof seed, &seed));
      CHECK(clEnqueueNDRangeKernel(queue, mix, 1, NULL, &count, NULL, 0, NULL, NULL));
    }
    CHECK(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, size, data, 0, NULL, NULL));
    printf("%zu numbers: %016llx\n", count, digest(data, count));
    CHECK(clEnqueueCopyBuffer(queue, x, y, 0, size / 2, size / 2, 0, NULL, NULL));
    unsigned *mapped = clEnqueueMapBuffer(
        queue, y, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, size, 0, NULL, NULL, &code);
    CHECK(code);
    printf("copied and mapped: %016llx\n", digest(mapped, count));
    mapped[0] = 7;
    CHECK(clEnqueueUnmapMemObject(queue, y, mapped, 0, NULL, NULL));
    count -= count % BLOCK;
    CHECK(clSetKernelArg(add, 0, sizeof y, &y));
    CHECK(clSetKernelArg(add, 1, sizeof total, &total));
    CHECK(clSetKernelArg(add, 2, BLOCK * sizeof(unsigned), NULL));
    CHECK(clEnqueueNDRangeKernel(queue, add, 1, NULL, &count, &one, 0, NULL, NULL));
    CHECK(clEnqueueReadBuffer(queue, total, CL_TRUE, 0, sizeof sum, &sum, 0, NULL, NULL));
    printf("their sum: %u\n", sum);
    CHECK(clReleaseMemObject(x));
    CHECK(clReleaseMemObject(y));
    CHECK(clReleaseMemObject(total));
    free(data);
  }
  CHECK(clReleaseKernel(mix));
  CHECK(clReleaseKernel(add));
  CHECK(clReleaseProgram(program));
  CHECK(clReleaseCommandQueue(queue));
  CHECK(clReleaseContext(context));
  printf("released\n");
  return 0;
}
