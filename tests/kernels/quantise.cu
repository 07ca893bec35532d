// Eight-bit quantisation by the largest magnitude of a row, and products of bytes.

extern "C" __global__ void quantise_rows(const float* __restrict__ x, signed char* __restrict__ q,
                                         float* __restrict__ scales, int cols)
{
    __shared__ int s_max_bits;
    const float* row = x + blockIdx.x * cols;
    if (threadIdx.x == 0) s_max_bits = 0;
    __syncthreads();
    // magnitudes are not negative, so their bits order as they do
    for (int c = threadIdx.x; c < cols; c += blockDim.x)
        atomicMax(&s_max_bits, __float_as_int(fabsf(row[c])));
    __syncthreads();
    float scale = __int_as_float(s_max_bits) / 127.0f;
    for (int c = threadIdx.x; c < cols; c += blockDim.x)
        q[blockIdx.x * cols + c] = scale > 0 ? (signed char)__float2int_rn(row[c] / scale) : 0;
    if (threadIdx.x == 0) scales[blockIdx.x] = scale;
}

extern "C" __global__ void dequantise_rows(const signed char* q, const float* scales, float* x, int rows, int cols)
{
    int c = blockIdx.x * blockDim.x + threadIdx.x;
    int r = blockIdx.y * blockDim.y + threadIdx.y;
    if (r < rows && c < cols) x[r * cols + c] = q[r * cols + c] * scales[r];
}

// Four products of bytes in a word, as __dp4a gives them.
__device__ int dot4(int a, int b, int c)
{
    for (int i = 0; i < 4; i++) {
        c += (int)(signed char)(a >> (8 * i)) * (int)(signed char)(b >> (8 * i));
    }
    return c;
}

extern "C" __global__ void gemm_int8(const int* __restrict__ A, const int* __restrict__ Bt,
                                     int* __restrict__ C, int m, int n, int k4)
{
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    if (row >= m || col >= n) return;
    int acc = 0;
    for (int i = 0; i < k4; i++) acc = dot4(A[row * k4 + i], Bt[col * k4 + i], acc);
    C[row * n + col] = acc;
}

// Two 4-bit weights a byte, low nibble first, with a scale and an offset each group of 32.
extern "C" __global__ void dequantise_int4(const unsigned char* __restrict__ packed,
                                           const float2* __restrict__ scale_offset, float* __restrict__ out,
                                           int n)
{
    int pair = blockIdx.x * blockDim.x + threadIdx.x;
    int i = 2 * pair;
    if (i >= n) return;
    float2 so = scale_offset[i / 32];
    unsigned char byte = packed[pair];
    out[i] = (byte & 0x0F) * so.x + so.y;
    if (i + 1 < n) out[i + 1] = (byte >> 4) * so.x + so.y;
}
