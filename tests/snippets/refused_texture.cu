// refused: texture
texture<float, 1> tex;
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
}
