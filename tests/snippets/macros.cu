// gives: 34
#define SQ(x) ((x) * (x))
#define CAT(a, b) a##b
#define STR(x) #x
#define V(...) f(__VA_ARGS__)
#define LONG_ONE(a, \
  b) ((a) + \
 (b))
__device__ int f(int a, int b) { return a - b;
  }
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 700
extern "C" __global__ void k(int *o) { int t = threadIdx.x;
  int CAT(va, lue) = SQ(3);
  o[t] = value + V(5, 2) + LONG_ONE(1,
 2) + __LINE__ + sizeof(STR(abc));
  }
#else
this doesn't parse
#endif
