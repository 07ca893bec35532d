// refused: shared q
extern "C" __global__ void k(int *o) {
    int t = threadIdx.x;
    for (int r = 0; r < 2; r++) {
        __shared__ int s[2][3][8];
        __shared__ struct {
            int a;
        } q;
        if (t == 0)
            q.a = r;
        s[1][2][t] = t + r;
        __syncthreads();
        o[t] += s[1][2][7 - t] + q.a;
        __syncthreads();
    }
}
