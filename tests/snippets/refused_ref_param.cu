// refused: reference
extern "C" __global__ void k(int *o, int &p) {
}
