// refused: pointer
struct P {
    int *p;
};
extern "C" __global__ void k(int *o, P p) {
}
