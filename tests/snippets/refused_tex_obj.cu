// refused: cudaTextureObject_t
extern "C" __global__ void k(int *o, cudaTextureObject_t x) {
}
