// gives: 3 4 4 4 4 4 4 4
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    bool a = t;
    bool b = !a;
    bool c = 5;
    o[t] = a + b + c + (a && c) + (int)true;
}
