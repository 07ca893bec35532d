// gives: 12
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    enum { A1 = 3, B1 };
    enum Col { Red, Blue = 5 };
    Col c = Blue;
    o[t] = A1 + B1 + c;
}
