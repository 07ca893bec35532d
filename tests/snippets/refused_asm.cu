// refused: inline PTX
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    asm("mov");
}
