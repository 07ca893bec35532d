// gives: 1
// kernel: main_
extern "C" __global__ void main_(int *o) {
    o[threadIdx.x] = 1;
}
