/* A program of OpenCL from the first call to the last: squares on the first device. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <stdio.h>

#define CHECK(call) do { cl_int got = (call); if (got) { \
  printf("%s: %d\n", #call, got); return 1; } } while (0)

static const char *source = "kernel void square(global float *x, float y) {"
                            "  size_t i = get_global_id(0); x[i] = x[i] * x[i] + y; }";

int main(void) {
  cl_platform_id platform;
  cl_device_id device;
  cl_int code;
  char name[256];
  enum { N = 1000 };
  float data[N], y = 1;
  enum { LAUNCHES = 500 };
  size_t n = N, one = 1;
  CHECK(clGetPlatformIDs(1, &platform, NULL));
  CHECK(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
  CHECK(clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof name, name, NULL));
  cl_context context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  CHECK(code);
  cl_command_queue queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  CHECK(code);
  for (int i = 0; i < N; i++)
    data[i] = i;
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, sizeof data, data, &code);
  CHECK(code);
  cl_program program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
  CHECK(code);
  CHECK(clBuildProgram(program, 1, &device, "", NULL, NULL));
  cl_kernel kernel = clCreateKernel(program, "square", &code);
  CHECK(code);
  CHECK(clSetKernelArg(kernel, 0, sizeof x, &x));
  CHECK(clSetKernelArg(kernel, 1, sizeof y, &y));
  CHECK(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &n, NULL, 0, NULL, NULL));
  CHECK(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, sizeof data, data, 0, NULL, NULL));
  for (int i = 0; i < N; i++)
    if (data[i] != (float)i * i + 1) {
      printf("%d: %f\n", i, data[i]);
      return 1;
    }
  /* Launches of one thread each, of which nobody waits for but the last. */
  for (int i = 0; i < LAUNCHES; i++)
    CHECK(clEnqueueNDRangeKernel(queue, kernel, 1, NULL, &one, &one, 0, NULL, NULL));
  CHECK(clFinish(queue));
  CHECK(clReleaseKernel(kernel));
  CHECK(clReleaseProgram(program));
  CHECK(clReleaseMemObject(x));
  CHECK(clReleaseCommandQueue(queue));
  CHECK(clReleaseContext(context));
  printf("good: %s\n", name);
  return 0;
}
