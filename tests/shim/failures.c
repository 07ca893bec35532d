/* What becomes of commands that fail: one program for whatever wait hears of it first. Prints the line
   that is not so. */
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl.h>
#include <pthread.h>
#include <stdio.h>

#include "checks.h"

static cl_context context;
static cl_device_id device;
static cl_command_queue queue;
static cl_program program;
static cl_int code;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static cl_int seen;

static void CL_CALLBACK note(cl_event event, cl_int status, void *data) {
  pthread_mutex_lock(&lock);
  seen = status;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
}

static cl_int status_of(cl_event event) {
  cl_int status = -1000;
  clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof status, &status, NULL);
  return status;
}

static cl_kernel kernel(cl_mem x) {
  cl_kernel made = clCreateKernel(program, "one", &code);
  clSetKernelArg(made, 0, sizeof x, &x);
  return made;
}

/* A launch that fails, here for its memory is gone; it spoils what follows on its queue. */
static cl_event failing(cl_command_queue own, cl_kernel one) {
  size_t n = 1;
  cl_event failed = NULL;
  cl_mem gone = clCreateBuffer(context, 0, 4, NULL, &code);
  clSetKernelArg(one, 0, sizeof gone, &gone);
  clReleaseMemObject(gone);
  clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, &failed);
  return failed;
}

/* Whichever wait hears of a failure first: what failed, or was skipped for it, has failed for ever,
   what came before and what came after the wait has not; and the program is told once. */
static int failures(cl_command_queue_properties how) {
  enum { EVENTS, FINISH, READ, BLOCKING_READ, LATER_READ, POLL, EARLIER, WAYS };
  cl_queue_properties properties[] = {CL_QUEUE_PROPERTIES, how, 0};
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, properties, &code);
  size_t n = 1;
  int four = 4, back;
  cl_mem x = clCreateBuffer(context, 0, 4, NULL, &code);
  cl_mem y = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &four, &code);
  cl_kernel one = kernel(x), other = kernel(y);
  for (int way = 0; way < WAYS; way++) {
    cl_event before, failed, skipped, marked, ran, read = NULL, waits;
    GOOD(clEnqueueWriteBuffer(own, x, CL_FALSE, 0, 4, &four, 0, NULL, NULL));
    for (int i = 0; i < 3; i++)
      GOOD(clEnqueueNDRangeKernel(own, other, 1, NULL, &n, NULL, 0, NULL, i < 2 ? NULL : &before));
    TRUE(failed = failing(own, one));
    GOOD(clSetKernelArg(one, 0, sizeof x, &x));
    GOOD(clEnqueueNDRangeKernel(own, one, 1, NULL, &n, NULL, 0, NULL, &skipped));
    GOOD(clEnqueueMarkerWithWaitList(own, 0, NULL, &marked));
    if (way == EVENTS) {
      IS(clWaitForEvents(1, &skipped), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    } else if (way == FINISH) {
      TRUE(clFinish(own) < 0);
    } else if (way == READ) {
      GOOD(clEnqueueReadBuffer(own, y, CL_FALSE, 0, 4, &back, 0, NULL, &read));
      TRUE(clFinish(own) < 0);
      GOOD(clEnqueueMarkerWithWaitList(own, 1, &read, &waits)); /* which nobody has looked at */
      IS(status_of(waits), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
      GOOD(clReleaseEvent(waits));
      IS(clWaitForEvents(1, &read), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    } else if (way == BLOCKING_READ) {
      TRUE(clEnqueueReadBuffer(own, y, CL_TRUE, 0, 4, &back, 0, NULL, NULL) < 0);
    } else if (way == LATER_READ) {
      GOOD(clEnqueueReadBuffer(own, y, CL_FALSE, 0, 4, &back, 0, NULL, NULL));
    } else if (way == POLL) {
      while (status_of(skipped) > 0)
        ;
    } else {
      GOOD(clWaitForEvents(1, &before));
      TRUE(clFinish(own) < 0);
    }
    GOOD(clEnqueueNDRangeKernel(own, other, 1, NULL, &n, NULL, 0, NULL, &ran));
    if (way == LATER_READ) /* which nobody has looked at */
      GOOD(clWaitForEvents(1, &ran));
    for (int again = 0; again < 2; again++) {
      if (way != LATER_READ || again)
        GOOD(clFinish(own));
      IS(status_of(before), CL_COMPLETE);
      GOOD(clWaitForEvents(1, &before));
      TRUE(status_of(failed) < 0 && status_of(skipped) < 0 && status_of(marked) < 0);
      IS(clWaitForEvents(1, &failed), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
      IS(clWaitForEvents(1, &marked), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
      GOOD(clWaitForEvents(1, &ran));
      IS(status_of(ran), CL_COMPLETE);
    }
    seen = 1;
    GOOD(clSetEventCallback(skipped, CL_COMPLETE, note, NULL));
    pthread_mutex_lock(&lock);
    while (seen == 1)
      pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    TRUE(seen < 0);
    /* What waits for it, on whatever queue, fails with it. */
    GOOD(clEnqueueNDRangeKernel(queue, other, 1, NULL, &n, NULL, 1, &failed, &waits));
    IS(status_of(waits), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
    GOOD(clFinish(queue));
    cl_event all[] = {before, failed, skipped, marked, ran, waits, read};
    for (int i = 0; i < (read ? 7 : 6); i++)
      GOOD(clReleaseEvent(all[i]));
  }
  GOOD(clEnqueueReadBuffer(own, y, CL_TRUE, 0, 4, &back, 0, NULL, NULL));
  TRUE(back == 4 + 4 * WAYS);
  GOOD(clReleaseCommandQueue(own));
  GOOD(clReleaseKernel(one));
  GOOD(clReleaseKernel(other));
  GOOD(clReleaseMemObject(x));
  GOOD(clReleaseMemObject(y));
  return 0;
}

/* What a gate holds, too, fails with what has failed meanwhile, though nobody has looked at that. */
static int gated(int reads) {
  int four = 4;
  size_t n = 1;
  cl_command_queue own = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  cl_mem x = clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 4, &four, &code);
  cl_kernel one = kernel(x), other = kernel(x);
  cl_event awaited[] = {clCreateUserEvent(context, &code), failing(own, one)}, waits;
  if (reads) {
    GOOD(clReleaseEvent(awaited[1]));
    GOOD(clEnqueueReadBuffer(own, x, CL_FALSE, 0, 4, &four, 0, NULL, &awaited[1]));
  }
  GOOD(clEnqueueNDRangeKernel(queue, other, 1, NULL, &n, NULL, 2, awaited, &waits));
  TRUE(clFinish(own) < 0);
  GOOD(clSetUserEventStatus(awaited[0], CL_COMPLETE));
  IS(status_of(waits), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
  GOOD(clFinish(queue));
  GOOD(clEnqueueReadBuffer(queue, x, CL_TRUE, 0, 4, &four, 0, NULL, NULL));
  TRUE(four == 4);
  cl_event all[] = {awaited[0], awaited[1], waits};
  for (int i = 0; i < 3; i++)
    GOOD(clReleaseEvent(all[i]));
  GOOD(clReleaseCommandQueue(own));
  GOOD(clReleaseKernel(one));
  GOOD(clReleaseKernel(other));
  GOOD(clReleaseMemObject(x));
  return 0;
}

int main(void) {
  const char *source = "kernel void one(global int *x) { *x += 1; }";
  cl_platform_id platform;
  GOOD(clGetPlatformIDs(1, &platform, NULL));
  GOOD(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL));
  context = clCreateContext(NULL, 1, &device, NULL, NULL, &code);
  GOOD(code);
  queue = clCreateCommandQueueWithProperties(context, device, NULL, &code);
  GOOD(code);
  program = clCreateProgramWithSource(context, 1, &source, NULL, &code);
  GOOD(code);
  GOOD(clBuildProgram(program, 1, &device, NULL, NULL, NULL));
  if (failures(0) || failures(CL_QUEUE_PROFILING_ENABLE) || gated(0) || gated(1))
    return 1;
  printf("good\n");
  return 0;
}
