// refused: twice
__global__ void k(int *o) {
}
__global__ void k(int *o) {
}
