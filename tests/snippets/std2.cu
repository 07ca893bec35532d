// gives: 5 5 5 6 7 8 9 10
#include <cmath>
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    o[t] = std::max(t, 2) + (int)std::sqrt(4.f) + ::min(1, 2);
}
