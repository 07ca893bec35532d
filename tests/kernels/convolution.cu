// Convolutions with the mask in constant memory: 1-D, separable, and a 2-D tile with halo.
#define MAX_MASK_WIDTH 9
#define KERNEL_RADIUS 4
#define KERNEL_LENGTH (2 * KERNEL_RADIUS + 1)
#define O_TILE_WIDTH 12
#define MASK_WIDTH 5
#define BLOCK_WIDTH (O_TILE_WIDTH + MASK_WIDTH - 1)

__constant__ float M[MAX_MASK_WIDTH];
__constant__ float c_Kernel[KERNEL_LENGTH];
__constant__ float Mask2D[MASK_WIDTH][MASK_WIDTH];

extern "C" __global__ void convolution_1d(const float *N, float *P, int Mask_Width, int Width)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= Width) return;
    float Pvalue = 0;
    int N_start_point = i - (Mask_Width / 2);
    for (int j = 0; j < Mask_Width; j++) {
        if (N_start_point + j >= 0 && N_start_point + j < Width) {
            Pvalue += N[N_start_point + j] * M[j];
        }
    }
    P[i] = Pvalue;
}

extern "C" __global__ void convolution_rows(float *d_Dst, const float *d_Src, int imageW, int imageH)
{
    __shared__ float s_Data[4][16 + 2 * KERNEL_RADIUS];
    const int x = blockIdx.x * 16 + threadIdx.x;
    const int y = blockIdx.y * 4 + threadIdx.y;
    for (int c = threadIdx.x; c < 16 + 2 * KERNEL_RADIUS; c += 16) {
        int from = blockIdx.x * 16 + c - KERNEL_RADIUS;
        s_Data[threadIdx.y][c] = (y < imageH && from >= 0 && from < imageW) ? d_Src[y * imageW + from] : 0;
    }
    __syncthreads();
    if (x < imageW && y < imageH) {
        float sum = 0;
#pragma unroll
        for (int j = -KERNEL_RADIUS; j <= KERNEL_RADIUS; j++)
            sum += c_Kernel[KERNEL_RADIUS - j] * s_Data[threadIdx.y][threadIdx.x + KERNEL_RADIUS + j];
        d_Dst[y * imageW + x] = sum;
    }
}

extern "C" __global__ void convolution_columns(float *d_Dst, const float *d_Src, int imageW, int imageH)
{
    const int x = blockIdx.x * blockDim.x + threadIdx.x;
    const int y = blockIdx.y * blockDim.y + threadIdx.y;
    if (!(x < imageW && y < imageH)) return;
    float sum = 0;
    for (int j = -KERNEL_RADIUS; j <= KERNEL_RADIUS; j++) {
        int row = y + j;
        if (row < 0 || row >= imageH) continue;
        sum += c_Kernel[KERNEL_RADIUS - j] * d_Src[row * imageW + x];
    }
    d_Dst[y * imageW + x] = sum;
}

// Threads load the input tile, the inner ones compute the output tile.
extern "C" __global__ void convolution_2d_tiled(float *P, const float *N, int height, int width)
{
    __shared__ float N_ds[BLOCK_WIDTH][BLOCK_WIDTH];
    int tx = threadIdx.x, ty = threadIdx.y;
    int row_o = blockIdx.y * O_TILE_WIDTH + ty;
    int col_o = blockIdx.x * O_TILE_WIDTH + tx;
    int row_i = row_o - MASK_WIDTH / 2;
    int col_i = col_o - MASK_WIDTH / 2;
    if ((row_i >= 0) && (row_i < height) && (col_i >= 0) && (col_i < width)) {
        N_ds[ty][tx] = N[row_i * width + col_i];
    } else {
        N_ds[ty][tx] = 0.0f;
    }
    __syncthreads();
    float output = 0.0f;
    if (ty < O_TILE_WIDTH && tx < O_TILE_WIDTH) {
        for (int i = 0; i < MASK_WIDTH; i++)
            for (int j = 0; j < MASK_WIDTH; j++)
                output += Mask2D[i][j] * N_ds[i + ty][j + tx];
        if (row_o < height && col_o < width)
            P[row_o * width + col_o] = output;
    }
}

// Max pooling 2 by 2 with stride 2 over channels (z).
extern "C" __global__ void max_pool_2x2(const float* __restrict__ in, float* __restrict__ out, int height,
                                        int width)
{
    const int oh = height / 2, ow = width / 2;
    int x = blockIdx.x * blockDim.x + threadIdx.x;
    int y = blockIdx.y * blockDim.y + threadIdx.y;
    int c = blockIdx.z;
    if (x < ow && y < oh) {
        const float *p = in + ((size_t)c * height + 2 * y) * width + 2 * x;
        out[(c * oh + y) * ow + x] = fmaxf(fmaxf(p[0], p[1]), fmaxf(p[width], p[width + 1]));
    }
}
