// gives: 18259 24203 30147 36092 42036 47980 53925 59869
// refused in C: member functions
struct Rng {
    unsigned s;
    __device__ Rng(unsigned seed) : s(seed) {
    }
    __device__ unsigned next() {
        s = s * 1664525u + 1013904223u;
        return s;
    }
    __device__ static int two() {
        return 2;
    }
};
class A {
  public:
    __device__ A() : v(1) {
    }
    __device__ int get() const {
        return v;
    }

  private:
    int v;
};
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    Rng r(t);
    r.next();
    A a;
    o[t] = (int)(r.next() >> 16) + a.get() + Rng::two();
}
