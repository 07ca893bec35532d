// gives: 522 523 524 525 526 527 528 529
__device__ void inc(int &a, const int &b) {
    a += b;
}
__device__ void sw(int &a, int &b) {
    int t = a;
    a = b;
    b = t;
}
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    __shared__ int s[8];
    s[t] = t;
    int x = 1;
    inc(x, 2);
    inc(s[t], 1);
    inc(o[t], x);
    int &r = s[t];
    r += 10;
    int y = 5;
    sw(x, y);
    const int &z = x + y;
    o[t] += s[t] + x * 100 + z;
}
