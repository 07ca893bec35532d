// refused: pointer to pointers
extern "C" __global__ void k(int **o) {
}
