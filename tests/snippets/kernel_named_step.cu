// gives: 1
// kernel: step
extern "C" __global__ void step(int *o) {
    o[threadIdx.x] = 1;
}
