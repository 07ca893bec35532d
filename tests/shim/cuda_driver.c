/* A program of CUDA's driver API: what it calls, and how each call must end. Says "good" last.
   For a software-defined unit: it refuses PTX and takes CUDA C. */
#include <cuda.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N 1000

static int faults;

static void must(CUresult code, CUresult wanted, const char *call) {
  const char *got = "?", *other = "?";
  if (code == wanted)
    return;
  faults++;
  cuGetErrorName(code, &got);
  cuGetErrorName(wanted, &other);
  printf("%s gave %s, not %s\n", call, got, other);
}

#define MUST(call) must(call, CUDA_SUCCESS, #call)
#define FAILS(call, code) must(call, code, #call)

static void check(int holds, const char *what) {
  if (!holds) {
    faults++;
    printf("not so: %s\n", what);
  }
}

#define CHECK(holds) check(holds, #holds)

static const char source[] =
    "__constant__ float scale;\n"
    "extern \"C\" __global__ void axpy(float a, const float *x, float *y, int n) {\n"
    "  int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
    "  if (i < n) y[i] = a * x[i] + scale * y[i];\n"
    "}\n"
    "extern \"C\" __global__ void total(const int *x, int *sum, int n) {\n"
    "  extern __shared__ int part[];\n"
    "  part[threadIdx.x] = threadIdx.x < n ? x[threadIdx.x] : 0;\n"
    "  __syncthreads();\n"
    "  for (int step = blockDim.x / 2; step; step /= 2) {\n"
    "    if (threadIdx.x < step) part[threadIdx.x] += part[threadIdx.x + step];\n"
    "    __syncthreads();\n"
    "  }\n"
    "  if (!threadIdx.x) *sum = part[0];\n"
    "}\n"
    "extern \"C\" __global__ void last(int *x) {\n"
    "  for (long long i = 0; !atomicAdd(x, 0) && i < 1ll << 34; i++) {}\n"
    "  x[1] = x[0];\n"
    "}\n"
    "extern \"C\" __global__ void slow(int *x) {\n"
    "  for (int i = 0; i < 1 << 26; i++) *x = *x * 3 + i;\n"
    "}\n";

static const char ptx[] = "// made by hand\n.version 7.0\n.target sm_70\n.address_size 64\n";

static void devices(void) {
  int count = 0, value = 0, version = 0;
  char name[100];
  size_t bytes = 0;
  CUdevice device = 7;
  CUuuid id;
  MUST(cuDriverGetVersion(&version));
  CHECK(version >= 12000);
  MUST(cuDeviceGetCount(&count));
  CHECK(count == 1);
  MUST(cuDeviceGet(&device, 0));
  FAILS(cuDeviceGet(&device, 1), CUDA_ERROR_INVALID_DEVICE);
  MUST(cuDeviceGetName(name, sizeof name, device));
  CHECK(*name);
  MUST(cuDeviceGetName(name, 3, device));
  CHECK(strlen(name) == 2);
  MUST(cuDeviceGetUuid(&id, device));
  MUST(cuDeviceTotalMem(&bytes, device));
  CHECK(bytes > 1 << 20);
  MUST(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, device));
  CHECK(value >= 256);
  MUST(cuDeviceGetAttribute(&value, CU_DEVICE_ATTRIBUTE_WARP_SIZE, device));
  CHECK(value == 32);
  FAILS(cuDeviceGetAttribute(&value, 100000, device), CUDA_ERROR_INVALID_VALUE);
}

static void scopes(void) {
  CUcontext primary, own, current;
  CUdevice device = 7;
  CUdeviceptr address;
  FAILS(cuMemAlloc(&address, 4), CUDA_ERROR_INVALID_CONTEXT);
  MUST(cuCtxGetCurrent(&current));
  CHECK(!current);
  MUST(cuCtxCreate_v2(&own, 0, 0));
  MUST(cuCtxGetCurrent(&current));
  CHECK(current == own);
  MUST(cuDevicePrimaryCtxRetain(&primary, 0));
  MUST(cuCtxPushCurrent(primary));
  MUST(cuCtxPopCurrent(&current));
  CHECK(current == primary);
  MUST(cuCtxDestroy(own));
  FAILS(cuCtxPushCurrent(own), CUDA_ERROR_INVALID_CONTEXT);
  MUST(cuCtxSetCurrent(primary));
  MUST(cuCtxGetDevice(&device));
  CHECK(device == 0);
}

static CUcontext destroyed;

/* A thread that is in a context that another one destroys is told so. */
static void *left_behind(void *turn) {
  CUdeviceptr address;
  MUST(cuCtxSetCurrent(destroyed));
  pthread_barrier_wait(turn);
  pthread_barrier_wait(turn);
  FAILS(cuMemAlloc(&address, 4), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  FAILS(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  MUST(cuCtxSetCurrent(NULL));
  FAILS(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
  return NULL;
}

/* What was made in the current context. */
struct things {
  CUdeviceptr memory, scale;
  CUmodule module;
  CUfunction function;
  CUstream stream;
  CUevent event;
  void *locked;
};

static struct things make_things(void) {
  struct things made;
  MUST(cuMemAlloc(&made.memory, N));
  MUST(cuMemAllocHost(&made.locked, N));
  MUST(cuModuleLoadData(&made.module, source));
  MUST(cuModuleGetFunction(&made.function, made.module, "axpy"));
  MUST(cuModuleGetGlobal(&made.scale, NULL, made.module, "scale"));
  MUST(cuStreamCreate(&made.stream, CU_STREAM_NON_BLOCKING));
  MUST(cuEventCreate(&made.event, CU_EVENT_DEFAULT));
  MUST(cuMemsetD8Async(made.memory, 1, N, made.stream));
  MUST(cuMemcpyDtoHAsync(made.locked, made.memory, N, made.stream));
  MUST(cuEventRecord(made.event, made.stream));
  return made;
}

/* Nothing of it is there any more, in whatever context. */
static void are_gone(struct things made) {
  CUfunction other;
  char byte;
  int most;
  FAILS(cuMemcpyDtoH(&byte, made.memory, 1), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemFree(made.memory), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemcpyDtoH(&byte, made.scale, 1), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemFreeHost(made.locked), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuModuleGetFunction(&other, made.module, "axpy"), CUDA_ERROR_INVALID_HANDLE);
  FAILS(cuModuleUnload(made.module), CUDA_ERROR_INVALID_HANDLE);
  FAILS(cuFuncGetAttribute(&most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, made.function),
        CUDA_ERROR_INVALID_HANDLE);
  FAILS(cuStreamQuery(made.stream), CUDA_ERROR_INVALID_HANDLE);
  FAILS(cuStreamDestroy(made.stream), CUDA_ERROR_INVALID_HANDLE);
  FAILS(cuEventQuery(made.event), CUDA_ERROR_INVALID_HANDLE);
  FAILS(cuEventDestroy(made.event), CUDA_ERROR_INVALID_HANDLE);
}

/* Leaves the shared context as the last that has it, with work in flight. */
static void *leaving(void *turn) {
  CUcontext own;
  CUmodule module;
  CUfunction slow;
  CUdeviceptr x;
  void *params[] = {&x};
  MUST(cuDevicePrimaryCtxRetain(&own, 0));
  MUST(cuCtxSetCurrent(own));
  MUST(cuMemAlloc(&x, 4));
  MUST(cuModuleLoadData(&module, source));
  MUST(cuModuleGetFunction(&slow, module, "slow"));
  MUST(cuLaunchKernel(slow, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL));
  pthread_barrier_wait(turn);
  MUST(cuDevicePrimaryCtxRelease(0));
  return NULL;
}

/* What ends with the last release is what was there before it, not what came since. */
static void begun_anew(void) {
  CUcontext own;
  CUdeviceptr memory;
  unsigned flags;
  int active = 1;
  char byte = 0;
  pthread_barrier_t turn;
  pthread_t thread;
  pthread_barrier_init(&turn, NULL, 2);
  pthread_create(&thread, NULL, leaving, &turn);
  pthread_barrier_wait(&turn);
  while (active)
    MUST(cuDevicePrimaryCtxGetState(0, &flags, &active));
  MUST(cuDevicePrimaryCtxRetain(&own, 0));
  MUST(cuCtxSetCurrent(own));
  MUST(cuMemAlloc(&memory, N));
  MUST(cuMemsetD8(memory, 3, N));
  pthread_join(thread, NULL);
  MUST(cuMemcpyDtoH(&byte, memory, 1));
  CHECK(byte == 3);
  MUST(cuMemFree(memory));
  MUST(cuDevicePrimaryCtxRelease(0));
}

/* What was made in a context ends with it, and nothing else does; the one that is shared ends with
   its last release, and is cleared by a reset. */
static void ended_scopes(void) {
  CUcontext primary, again;
  CUdevice device = 0;
  CUdeviceptr outside;
  size_t before = 0, after = 0, total = 0;
  unsigned flags = 7;
  int active = 7;
  char byte = 7;
  pthread_barrier_t turn;
  pthread_t thread;
  MUST(cuCtxGetCurrent(&primary));
  MUST(cuMemAlloc(&outside, N));
  MUST(cuMemsetD8(outside, 5, N));
  MUST(cuMemGetInfo(&before, &total));
  MUST(cuCtxCreate_v2(&destroyed, 0, device));
  struct things made = make_things();
  pthread_barrier_init(&turn, NULL, 2);
  pthread_create(&thread, NULL, left_behind, &turn);
  pthread_barrier_wait(&turn);
  MUST(cuCtxDestroy(destroyed));
  pthread_barrier_wait(&turn);
  pthread_join(thread, NULL);
  FAILS(cuCtxDestroy(destroyed), CUDA_ERROR_INVALID_CONTEXT);
  FAILS(cuCtxSetCurrent(destroyed), CUDA_ERROR_INVALID_CONTEXT);
  are_gone(made);
  MUST(cuMemGetInfo(&after, &total));
  CHECK(before == after);
  MUST(cuMemcpyDtoH(&byte, outside, 1));
  CHECK(byte == 5);
  /* The one that is shared. */
  made = make_things();
  MUST(cuDevicePrimaryCtxRetain(&again, device));
  CHECK(again == primary);
  MUST(cuDevicePrimaryCtxRelease(device));
  MUST(cuStreamSynchronize(made.stream));
  MUST(cuDevicePrimaryCtxReset(device));
  are_gone(made);
  FAILS(cuMemFree(outside), CUDA_ERROR_INVALID_VALUE);
  made = make_things();
  MUST(cuDevicePrimaryCtxRelease(device));
  FAILS(cuDevicePrimaryCtxRelease(device), CUDA_ERROR_INVALID_CONTEXT);
  MUST(cuDevicePrimaryCtxGetState(device, &flags, &active));
  CHECK(!active);
  FAILS(cuMemAlloc(&outside, N), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  FAILS(cuCtxPushCurrent(primary), CUDA_ERROR_INVALID_CONTEXT);
  begun_anew();
  MUST(cuDevicePrimaryCtxRetain(&again, device));
  MUST(cuCtxSetCurrent(again));
  are_gone(made);
  MUST(cuMemGetInfo(&after, &total));
  CHECK(after == total);
}

static void memory(void) {
  CUdeviceptr one = 0, two = 0, start = 0;
  size_t free_bytes = 0, total = 0, size = 0;
  int *page_locked = NULL, word = 0;
  unsigned char bytes[N];
  unsigned short halves[N / 2];
  MUST(cuMemAlloc(&one, N));
  MUST(cuMemAlloc(&two, N));
  CHECK(one % 256 == 0 && two % 256 == 0);
  MUST(cuMemGetInfo(&free_bytes, &total));
  CHECK(free_bytes == total - 2 * N);
  MUST(cuMemGetAddressRange(&start, &size, one + 10));
  CHECK(start == one && size == N);
  MUST(cuMemsetD8(one, 3, N));
  MUST(cuMemsetD16(one + 100, 0x102, 50));
  MUST(cuMemsetD32(one + 200, 0x01020304, 25));
  MUST(cuMemcpyDtoD(two + 1, one, N - 1));
  MUST(cuMemcpyDtoH(bytes, two, N));
  CHECK(bytes[0] == 0 && bytes[1] == 3 && bytes[101] == 2 && bytes[102] == 1);
  CHECK(bytes[201] == 4 && bytes[204] == 1 && bytes[301] == 3);
  for (int i = 0; i < N / 2; i++)
    halves[i] = i;
  MUST(cuMemcpyHtoD(one, halves, sizeof halves));
  memset(halves, 0, sizeof halves);
  MUST(cuMemcpyDtoHAsync(halves, one + 20, 100, NULL));
  MUST(cuStreamSynchronize(NULL));
  CHECK(halves[0] == 10 && halves[49] == 59 && halves[50] == 0);
  MUST(cuMemAllocHost((void **)&page_locked, sizeof word));
  *page_locked = 5;
  MUST(cuMemcpyHtoDAsync(two, page_locked, sizeof word, CU_STREAM_PER_THREAD));
  MUST(cuMemcpyDtoH(&word, two, sizeof word));
  CHECK(word == 5);
  MUST(cuMemFreeHost(page_locked));
  FAILS(cuMemFreeHost(page_locked), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemcpyDtoH(bytes, one + 1, N), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemcpyDtoH(NULL, one, N), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemFree(one + 1), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemAlloc(&start, (size_t)1 << 50), CUDA_ERROR_OUT_OF_MEMORY);
  MUST(cuMemFree(one));
  FAILS(cuMemcpyDtoH(bytes, one, 1), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuMemFree(one), CUDA_ERROR_INVALID_VALUE);
  MUST(cuMemFree(two));
  MUST(cuMemFree(0));
}

static void kernels(void) {
  CUmodule module, none;
  CUfunction axpy, total, again;
  CUdeviceptr x, y, scale;
  CUstream stream;
  CUevent before, after;
  size_t size = 0;
  float a = 2, factor = 0.5f, host[N], out[N], took = -1;
  int n = N, ints[100], sum = 0, most = 0, wrong = 0;
  FAILS(cuModuleLoadData(&none, ptx), CUDA_ERROR_INVALID_PTX);
  FAILS(cuModuleLoadData(&none, "\x50\xed\x55\xba"), CUDA_ERROR_NO_BINARY_FOR_GPU);
  FAILS(cuModuleLoadData(&none, "__global__ void f( {"), CUDA_ERROR_INVALID_SOURCE);
  MUST(cuModuleLoadDataEx(&module, source, 0, NULL, NULL));
  MUST(cuModuleGetFunction(&axpy, module, "axpy"));
  MUST(cuModuleGetFunction(&again, module, "axpy"));
  CHECK(axpy == again);
  FAILS(cuModuleGetFunction(&again, module, "nothing"), CUDA_ERROR_NOT_FOUND);
  MUST(cuFuncGetAttribute(&most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, axpy));
  CHECK(most >= 128);
  MUST(cuModuleGetGlobal(&scale, &size, module, "scale"));
  CHECK(size == sizeof factor);
  MUST(cuMemcpyHtoD(scale, &factor, sizeof factor));
  MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  MUST(cuEventCreate(&before, CU_EVENT_DEFAULT));
  MUST(cuEventCreate(&after, CU_EVENT_DEFAULT));
  MUST(cuMemAlloc(&x, sizeof host));
  MUST(cuMemAlloc(&y, 2 * sizeof host));
  for (int i = 0; i < N; i++)
    host[i] = i;
  /* Where y begins is aligned as any unit wants it. */
  CUdeviceptr behind = y + 256;
  MUST(cuMemcpyHtoDAsync(x, host, sizeof host, stream));
  MUST(cuMemcpyHtoDAsync(behind, host, sizeof host, stream));
  void *params[] = {&a, &x, &behind, &n};
  MUST(cuEventRecord(before, stream));
  for (int i = 0; i < 2; i++)
    MUST(cuLaunchKernel(axpy, 8, 1, 1, 128, 1, 1, 0, stream, params, NULL));
  MUST(cuEventRecord(after, stream));
  MUST(cuStreamWaitEvent(NULL, after, 0));
  MUST(cuMemcpyDtoH(out, behind, sizeof out));
  for (int i = 0; i < N; i++)
    wrong += out[i] != 2 * i + 0.5f * (2 * i + 0.5f * i);
  CHECK(!wrong);
  MUST(cuEventSynchronize(after));
  MUST(cuEventQuery(after));
  MUST(cuEventElapsedTime(&took, before, after));
  CHECK(took >= 0);
  MUST(cuModuleGetFunction(&total, module, "total"));
  for (int i = 0; i < 100; i++)
    ints[i] = i;
  n = 100;
  MUST(cuMemcpyHtoD(x, ints, sizeof ints));
  void *sums[] = {&x, &y, &n};
  MUST(cuLaunchKernel(total, 1, 1, 1, 128, 1, 1, 128 * sizeof(int), stream, sums, NULL));
  MUST(cuCtxSynchronize());
  MUST(cuMemcpyDtoH(&sum, y, sizeof sum));
  CHECK(sum == 4950);
  FAILS(cuLaunchKernel(axpy, 0, 1, 1, 1, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
  FAILS(cuLaunchKernel(axpy, 1, 1, 1, 1, 1, 1, 0, (CUstream)before, params, NULL),
        CUDA_ERROR_INVALID_HANDLE);
  x += 1 << 30;
  FAILS(cuLaunchKernel(axpy, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL), CUDA_ERROR_INVALID_VALUE);
  MUST(cuStreamSynchronize(stream));
  MUST(cuStreamQuery(stream));
  MUST(cuStreamDestroy(stream));
  FAILS(cuStreamDestroy(stream), CUDA_ERROR_INVALID_HANDLE);
  MUST(cuEventDestroy(before));
  MUST(cuEventDestroy(after));
  MUST(cuModuleUnload(module));
  FAILS(cuModuleGetFunction(&again, module, "axpy"), CUDA_ERROR_INVALID_HANDLE);
  FAILS(cuMemcpyDtoH(out, scale, 4), CUDA_ERROR_INVALID_VALUE);
}

/* Streams are independent but for what CUDA orders: the legacy stream with blocking ones, and events. */
static void streams(void) {
  CUmodule module;
  CUfunction axpy;
  CUstream first, second, apart;
  CUcontext scope, current;
  CUevent point;
  CUdeviceptr x, y, scale;
  unsigned flags = 7;
  float one = 1, ones[N], got[N], *locked, a = 1;
  int n = N, least = 7, wrong = 0;
  for (int i = 0; i < N; i++)
    ones[i] = 1;
  MUST(cuModuleLoadData(&module, source));
  MUST(cuModuleGetFunction(&axpy, module, "axpy"));
  MUST(cuModuleGetGlobal(&scale, NULL, module, "scale"));
  MUST(cuMemcpyHtoD(scale, &one, sizeof one));
  MUST(cuMemAlloc(&x, sizeof ones));
  MUST(cuMemAlloc(&y, sizeof ones));
  MUST(cuMemAllocHost((void **)&locked, sizeof ones));
  MUST(cuStreamCreate(&first, CU_STREAM_DEFAULT));
  MUST(cuStreamCreateWithPriority(&second, CU_STREAM_DEFAULT, -5));
  MUST(cuStreamCreate(&apart, CU_STREAM_NON_BLOCKING));
  FAILS(cuStreamCreate(&apart, 64), CUDA_ERROR_INVALID_VALUE);
  MUST(cuStreamGetFlags(apart, &flags));
  CHECK(flags == CU_STREAM_NON_BLOCKING);
  MUST(cuStreamGetFlags(CU_STREAM_LEGACY, &flags));
  CHECK(flags == CU_STREAM_DEFAULT);
  MUST(cuStreamGetPriority(second, &least));
  CHECK(least == 0);
  MUST(cuCtxGetStreamPriorityRange(&least, NULL));
  CHECK(least == 0);
  MUST(cuCtxGetCurrent(&current));
  MUST(cuStreamGetCtx(second, &scope));
  CHECK(scope == current);
  MUST(cuEventCreate(&point, CU_EVENT_DISABLE_TIMING));
  void *params[] = {&a, &x, &y, &n};
  for (int turn = 0; turn < 20; turn++) {
    /* The legacy stream after blocking ones and they after it, a thread's own among them. */
    MUST(cuMemcpyHtoDAsync(x, ones, sizeof ones, first));
    MUST(cuMemsetD32Async(y, 0, N, NULL));
    MUST(cuLaunchKernel(axpy, 8, 1, 1, 128, 1, 1, 0, second, params, NULL)); /* y = 1 */
    MUST(cuMemcpyDtoDAsync(x, y, sizeof ones, CU_STREAM_LEGACY));
    MUST(cuLaunchKernel(axpy, 8, 1, 1, 128, 1, 1, 0, CU_STREAM_PER_THREAD, params, NULL)); /* 2 */
    MUST(cuMemcpyDtoH(got, y, sizeof got));
    for (int i = 0; i < N; i++)
      wrong += got[i] != 2;
    /* Streams apart by events; what is read comes with the wait for whoever waited for it. */
    MUST(cuLaunchKernel(axpy, 8, 1, 1, 128, 1, 1, 0, apart, params, NULL)); /* 3 */
    MUST(cuMemcpyDtoHAsync(locked, y, sizeof ones, apart));
    MUST(cuEventRecordWithFlags(point, apart, CU_EVENT_RECORD_DEFAULT));
    MUST(cuStreamWaitEvent(first, point, 0));
    MUST(cuStreamSynchronize(first));
    for (int i = 0; i < N; i++)
      wrong += locked[i] != 3;
    /* What a copy is still to fill is there before it is sent on. */
    MUST(cuLaunchKernel(axpy, 8, 1, 1, 128, 1, 1, 0, apart, params, NULL)); /* 4 */
    MUST(cuMemcpyDtoHAsync(locked, y, sizeof ones, apart));
    MUST(cuMemcpyHtoDAsync(x, locked, sizeof ones, apart));
    MUST(cuEventRecord(point, apart));
    MUST(cuEventSynchronize(point));
    MUST(cuMemcpyDtoH(got, x, sizeof got));
    for (int i = 0; i < N; i++)
      wrong += got[i] != 4;
  }
  CHECK(!wrong);
  /* What fails is told by a wait, once, though a copy has heard of it; not by what has not failed. */
  MUST(cuLaunchKernel(axpy, 8, 1, 1, 128, 1, 1, 1 << 30, apart, params, NULL));
  MUST(cuMemcpyDtoHAsync(locked, y, sizeof ones, apart));
  FAILS(cuCtxSynchronize(), CUDA_ERROR_INVALID_VALUE);
  MUST(cuCtxSynchronize());
  MUST(cuStreamSynchronize(apart));
  MUST(cuMemsetD32(y, 0, N));
  MUST(cuMemcpyDtoHAsync(locked, y, sizeof ones, apart));
  MUST(cuMemFreeHost(locked));
  MUST(cuStreamDestroy(apart));
  MUST(cuCtxSynchronize());
  FAILS(cuStreamSynchronize(apart), CUDA_ERROR_INVALID_HANDLE);
  MUST(cuStreamDestroy(first));
  MUST(cuStreamDestroy(second));
  MUST(cuEventDestroy(point));
  MUST(cuModuleUnload(module));
  MUST(cuMemFree(x));
  MUST(cuMemFree(y));
}

/* Memory that is not page-locked has its bytes when a copy returns: it may be gone then. */
static void plain_memory(void) {
  enum { SIZE = 16 << 20 };
  CUdeviceptr from;
  CUstream stream;
  unsigned char *locked;
  MUST(cuMemAlloc(&from, SIZE));
  MUST(cuMemAllocHost((void **)&locked, SIZE));
  MUST(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (int turn = 1; turn < 5; turn++) {
    unsigned char *plain = calloc(SIZE, 1);
    MUST(cuMemsetD8Async(from, turn, SIZE, stream));
    MUST(cuMemcpyDtoHAsync(locked, from, SIZE, stream));
    MUST(cuMemcpyDtoHAsync(plain, from, SIZE, stream));
    CHECK(plain[0] == turn && plain[SIZE - 1] == turn);
    CHECK(locked[0] == turn && locked[SIZE - 1] == turn);
    free(plain);
  }
  MUST(cuMemFreeHost(locked));
  MUST(cuStreamDestroy(stream));
  MUST(cuMemFree(from));
}

/* Queries wait for nothing, nor does another stream's work for them: what they ask about lasts until
   that is done. */
static void queries(void) {
  CUmodule module;
  CUfunction last;
  CUstream busy, apart;
  CUevent begun, over;
  CUdeviceptr x;
  int seen[2] = {0, 0};
  CUresult code;
  MUST(cuModuleLoadData(&module, source));
  MUST(cuModuleGetFunction(&last, module, "last"));
  MUST(cuMemAlloc(&x, sizeof seen));
  MUST(cuStreamCreate(&busy, CU_STREAM_DEFAULT));
  MUST(cuStreamCreate(&apart, CU_STREAM_NON_BLOCKING));
  MUST(cuEventCreate(&begun, CU_EVENT_DEFAULT));
  MUST(cuEventCreate(&over, CU_EVENT_DEFAULT));
  MUST(cuEventQuery(over));
  void *params[] = {&x};
  for (int turn = 0; turn < 2; turn++) {
    MUST(cuMemsetD32Async(x, 0, 2, busy));
    MUST(cuEventRecord(begun, busy));
    MUST(cuEventSynchronize(begun));
    MUST(cuLaunchKernel(last, 1, 1, 1, 1, 1, 1, 0, busy, params, NULL));
    MUST(cuEventRecord(over, busy));
    for (int i = 0; i < 3; i++) {
      FAILS(cuStreamQuery(busy), CUDA_ERROR_NOT_READY);
      FAILS(cuEventQuery(over), CUDA_ERROR_NOT_READY);
      FAILS(cuStreamQuery(CU_STREAM_LEGACY), CUDA_ERROR_NOT_READY);
      MUST(cuEventQuery(begun));
    }
    MUST(cuMemsetD32Async(x, 1, 1, apart));
    MUST(cuStreamSynchronize(apart));
    while ((code = turn ? cuEventQuery(over) : cuStreamQuery(busy)) == CUDA_ERROR_NOT_READY)
      ;
    MUST(code);
    MUST(cuStreamSynchronize(busy));
    MUST(cuMemcpyDtoH(seen, x, sizeof seen));
    CHECK(seen[1] == 1);
  }
  /* What has failed is told by a query, too, and once. */
  MUST(cuLaunchKernel(last, 1, 1, 1, 1, 1, 1, 1 << 30, busy, params, NULL));
  while ((code = cuStreamQuery(busy)) == CUDA_ERROR_NOT_READY)
    ;
  CHECK(code == CUDA_ERROR_INVALID_VALUE);
  MUST(cuStreamSynchronize(busy));
  MUST(cuStreamQuery(busy));
  MUST(cuStreamDestroy(busy));
  MUST(cuStreamDestroy(apart));
  MUST(cuEventDestroy(begun));
  MUST(cuEventDestroy(over));
  MUST(cuModuleUnload(module));
  MUST(cuMemFree(x));
}

static CUcontext shared;
static CUdeviceptr marks;

/* One thread of many, one after the other: it does not wait for what it queues on its own stream. */
static void *marking(void *place) {
  MUST(cuCtxSetCurrent(shared));
  MUST(cuMemsetD8Async(marks + (size_t)place, 1, 1, CU_STREAM_PER_THREAD));
  return NULL;
}

/* Streams that come and go in threads, while another one uses the legacy stream. */
static void *streaming(void *place) {
  CUstream stream;
  MUST(cuCtxSetCurrent(shared));
  for (int turn = 0; turn < 40; turn++) {
    MUST(cuStreamCreate(&stream, CU_STREAM_DEFAULT));
    MUST(cuMemsetD8Async(marks + (size_t)place, turn, 1, stream));
    MUST(cuStreamDestroy(stream));
  }
  return NULL;
}

static void threads(void) {
  enum { MANY = 300, FEW = 4 }; /* more than a host has streams */
  unsigned char got[MANY];
  pthread_t thread[FEW];
  int wrong = 0;
  MUST(cuCtxGetCurrent(&shared));
  MUST(cuMemAlloc(&marks, MANY));
  for (size_t i = 0; i < MANY; i++) {
    pthread_create(thread, NULL, marking, (void *)i);
    pthread_join(thread[0], NULL);
  }
  MUST(cuMemcpyDtoH(got, marks, MANY));
  for (int i = 0; i < MANY; i++)
    wrong += got[i] != 1;
  CHECK(!wrong);
  for (size_t i = 0; i < FEW; i++)
    pthread_create(thread + i, NULL, streaming, (void *)i);
  for (int turn = 0; turn < 100; turn++)
    MUST(cuMemsetD8Async(marks + FEW, turn, 1, NULL));
  for (int i = 0; i < FEW; i++)
    pthread_join(thread[i], NULL);
  MUST(cuMemcpyDtoH(got, marks, MANY));
  for (int i = 0; i <= FEW; i++)
    CHECK(got[i] == (i < FEW ? 39 : 99));
  MUST(cuCtxSynchronize());
  MUST(cuMemFree(marks));
}

static void by_name(void) {
  CUresult (*allocate)(CUdeviceptr *, size_t) = NULL;
  CUdriverProcAddressQueryResult status;
  const void *table = NULL;
  CUdeviceptr address;
  CUuuid id = {{0}};
  void *nothing = &nothing;
  MUST(cuGetProcAddress("cuMemAlloc", (void **)&allocate, 12000, 0, &status));
  CHECK(allocate == cuMemAlloc_v2 && status == CU_GET_PROC_ADDRESS_SUCCESS);
  MUST(allocate(&address, 1));
  MUST(cuMemFree(address));
  FAILS(cuGetProcAddress("cuMem", &nothing, 12000, 0, &status), CUDA_ERROR_NOT_FOUND);
  CHECK(!nothing && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  FAILS(cuGetProcAddress("cuDeviceGetUuid", &nothing, 9000, 0, &status), CUDA_ERROR_NOT_FOUND);
  CHECK(!nothing && status == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
  /* One that takes other arguments than what is here. */
  FAILS(cuGetProcAddress("cuCtxCreate", &nothing, 12000, 0, &status), CUDA_ERROR_NOT_FOUND);
  MUST(cuGetProcAddress("cuCtxCreate", &nothing, 11000, 0, &status));
  CHECK(nothing == (void *)cuCtxCreate_v2);
  MUST(cuGetProcAddress("cuDeviceGetUuid", &nothing, 10000, 0, &status));
  CHECK(nothing == (void *)cuDeviceGetUuid);
  FAILS(cuGetExportTable(&table, &id), CUDA_ERROR_NOT_FOUND);
}

int main(void) {
  CUresult code = cuInit(0);
  if (code) {
    printf("no device: %d\n", code);
    return 2;
  }
  devices();
  scopes();
  ended_scopes();
  memory();
  kernels();
  streams();
  queries();
  plain_memory();
  threads();
  by_name();
  if (!faults)
    printf("good\n");
  return faults != 0;
}
