// Products of matrices: one element a thread, tiles in shared memory, several elements a thread,
// and a batch of small ones.
#define TILE_WIDTH 16

extern "C" __global__ void matmul_naive(const float *M, const float *N, float *P, int rows, int inner,
                                        int cols)
{
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    if ((row < rows) && (col < cols)) {
        float Pvalue = 0;
        for (int k = 0; k < inner; ++k) {
            Pvalue += M[row * inner + k] * N[k * cols + col];
        }
        P[row * cols + col] = Pvalue;
    }
}

extern "C" __global__ void __launch_bounds__(TILE_WIDTH * TILE_WIDTH)
matmul_tiled(const float* __restrict__ A, const float* __restrict__ B, float* __restrict__ C,
             int rows, int inner, int cols)
{
    __shared__ float As[TILE_WIDTH][TILE_WIDTH];
    __shared__ float Bs[TILE_WIDTH][TILE_WIDTH];

    int bx = blockIdx.x;  int by = blockIdx.y;
    int tx = threadIdx.x; int ty = threadIdx.y;

    int Row = by * TILE_WIDTH + ty;
    int Col = bx * TILE_WIDTH + tx;
    float Pvalue = 0.0f;

    for (int ph = 0; ph < (inner + TILE_WIDTH - 1) / TILE_WIDTH; ++ph) {
        As[ty][tx] = (Row < rows && ph * TILE_WIDTH + tx < inner)
                         ? A[Row * inner + ph * TILE_WIDTH + tx] : 0.0f;
        Bs[ty][tx] = (ph * TILE_WIDTH + ty < inner && Col < cols)
                         ? B[(ph * TILE_WIDTH + ty) * cols + Col] : 0.0f;
        __syncthreads();

#pragma unroll
        for (int k = 0; k < TILE_WIDTH; ++k)
            Pvalue += As[ty][k] * Bs[k][tx];
        __syncthreads();
    }
    if (Row < rows && Col < cols)
        C[Row * cols + Col] = Pvalue;
}

// 32 by 32 of the product a block of 8 by 8 threads, 4 by 4 a thread in registers.
#define BM 32
#define BK 8
#define TM 4

extern "C" __global__ void matmul_register_tiles(int M, int N, int K, float alpha, const float *A,
                                                 const float *B, float beta, float *C)
{
    __shared__ float As[BK][BM + 1];
    __shared__ float Bs[BK][BM];
    float acc[TM][TM] = {{0.0f}};
    float a_reg[TM], b_reg[TM];
    const int tid = threadIdx.y * blockDim.x + threadIdx.x;
    const int row0 = blockIdx.y * BM, col0 = blockIdx.x * BM;

    for (int k0 = 0; k0 < K; k0 += BK) {
        for (int e = tid; e < BM * BK; e += 64) {
            int r = e / BK, k = e % BK;
            As[k][r] = row0 + r < M && k0 + k < K ? A[(row0 + r) * K + k0 + k] : 0.f;
        }
        for (int e = tid; e < BM * BK; e += 64) {
            int k = e / BM, c = e % BM;
            Bs[k][c] = k0 + k < K && col0 + c < N ? B[(k0 + k) * N + col0 + c] : 0.f;
        }
        __syncthreads();
        for (int k = 0; k < BK; k++) {
            #pragma unroll
            for (int i = 0; i < TM; i++) {
                a_reg[i] = As[k][threadIdx.y * TM + i];
                b_reg[i] = Bs[k][threadIdx.x * TM + i];
            }
            #pragma unroll
            for (int i = 0; i < TM; i++)
                for (int j = 0; j < TM; j++)
                    acc[i][j] += a_reg[i] * b_reg[j];
        }
        __syncthreads();
    }
    for (int i = 0; i < TM; i++) {
        for (int j = 0; j < TM; j++) {
            int r = row0 + threadIdx.y * TM + i, c = col0 + threadIdx.x * TM + j;
            if (r < M && c < N) {
                float *at = &C[r * N + c];
                *at = alpha * acc[i][j] + beta * *at;
            }
        }
    }
}

// One small product a block: z counts the batch.
extern "C" __global__ void matmul_batched(const float* A, const float* B, float* C, int m, int n, int k,
                                          long long strideA, long long strideB, long long strideC)
{
    A += blockIdx.z * strideA;
    B += blockIdx.z * strideB;
    C += blockIdx.z * strideC;
    for (int r = threadIdx.y; r < m; r += blockDim.y)
        for (int c = threadIdx.x; c < n; c += blockDim.x) {
            float sum = 0;
            for (int i = 0; i < k; i++) sum += A[r * k + i] * B[i * n + c];
            C[r * n + c] = sum;
        }
}
