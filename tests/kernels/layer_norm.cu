// Normalisations of rows.

// Mean and variance in one pass by Welford's recurrence, joined as a tree.
extern "C" __global__ void layer_norm(const float* __restrict__ x, const float* __restrict__ gamma,
                                      const float* __restrict__ beta, float* __restrict__ y, int cols,
                                      float eps)
{
    __shared__ float s_mean[128], s_m2[128];
    __shared__ int s_count[128];
    const int t = threadIdx.x;
    x += blockIdx.x * (size_t)cols;
    y += blockIdx.x * (size_t)cols;

    float mean = 0.f, m2 = 0.f;
    int count = 0;
    for (int c = t; c < cols; c += blockDim.x) {
        ++count;
        float delta = x[c] - mean;
        mean += delta / count;
        m2 += delta * (x[c] - mean);
    }
    s_mean[t] = mean; s_m2[t] = m2; s_count[t] = count;
    __syncthreads();
    for (int s = blockDim.x / 2; s > 0; s >>= 1) {
        if (t < s && s_count[t + s] > 0) {
            int nb = s_count[t + s], n = s_count[t] + nb;
            float delta = s_mean[t + s] - s_mean[t];
            s_m2[t] += s_m2[t + s] + delta * delta * s_count[t] * nb / n;
            s_mean[t] += delta * nb / n;
            s_count[t] = n;
        }
        __syncthreads();
    }
    mean = s_mean[0];
    float rstd = rsqrtf(s_m2[0] / cols + eps);
    for (int c = t; c < cols; c += blockDim.x)
        y[c] = (x[c] - mean) * rstd * gamma[c] + beta[c];
}

extern "C" __global__ void rms_norm(float* o, const float* x, const float* weight, int size)
{
    __shared__ float shared_ss;
    extern __shared__ float partial[];
    const float* row = x + blockIdx.x * size;
    float ss = 0.0f;
    for (int j = threadIdx.x; j < size; j += blockDim.x) ss += row[j] * row[j];
    partial[threadIdx.x] = ss;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int j = 1; j < blockDim.x; j++) ss += partial[j];
        ss /= size;
        ss += 1e-5f;
        shared_ss = 1.0f / sqrtf(ss);
    }
    __syncthreads();
    ss = shared_ss;
    for (int j = threadIdx.x; j < size; j += blockDim.x)
        o[blockIdx.x * size + j] = weight[j] * (ss * row[j]);
}

// Inference: statistics are known; NCHW.
extern "C" __global__ void batch_norm_inference(const float* __restrict__ x, float* __restrict__ y,
                                                const float4* __restrict__ params, int channels, int plane,
                                                float eps)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    int c = blockIdx.y, n = blockIdx.z;
    if (i < plane) {
        const float4 p = params[c]; // mean, variance, scale, shift
        size_t at = ((size_t)n * channels + c) * plane + i;
        y[at] = (x[at] - p.x) / sqrtf(p.y + eps) * p.z + p.w;
    }
}
