// refused: vector
#include <vector>
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
