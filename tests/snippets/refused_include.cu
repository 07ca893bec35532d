// refused: /etc/passwd
#include "/etc/passwd"
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
