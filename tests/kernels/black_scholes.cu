// European options by the closed formula, with the rational approximation of the normal's integral,
// and by a binomial tree.
#include <cuda_runtime.h>

#define RSQRT2PI 0.39894228040143267793994605993438f

__device__ inline float cndGPU(float d)
{
    const float A1 = 0.31938153f;
    const float A2 = -0.356563782f;
    const float A3 = 1.781477937f;
    const float A4 = -1.821255978f;
    const float A5 = 1.330274429f;

    float K = __fdividef(1.0f, (1.0f + 0.2316419f * fabsf(d)));
    float cnd = RSQRT2PI * __expf(-0.5f * d * d) * (K * (A1 + K * (A2 + K * (A3 + K * (A4 + K * A5)))));

    if (d > 0)
        cnd = 1.0f - cnd;
    return cnd;
}

__device__ inline void BlackScholesBodyGPU(float *CallResult, float *PutResult,
                                           float S, // Stock price
                                           float X, // Option strike
                                           float T, // Option years
                                           float R, // Riskless rate
                                           float V  // Volatility rate
)
{
    float sqrtT, expRT;
    float d1, d2, CNDD1, CNDD2;

    sqrtT = __fdividef(1.0F, rsqrtf(T));
    d1 = __fdividef(__logf(S / X) + (R + 0.5f * V * V) * T, V * sqrtT);
    d2 = d1 - V * sqrtT;

    CNDD1 = cndGPU(d1);
    CNDD2 = cndGPU(d2);

    // Calculate Call and Put simultaneously
    expRT = __expf(-R * T);
    *CallResult = S * CNDD1 - X * expRT * CNDD2;
    *PutResult = X * expRT * (1.0f - CNDD2) - S * (1.0f - CNDD1);
}

extern "C" __launch_bounds__(128) __global__
void black_scholes(float2 *__restrict d_CallResult, float2 *__restrict d_PutResult,
                   const float2 *__restrict d_StockPrice, const float2 *__restrict d_OptionStrike,
                   const float2 *__restrict d_OptionYears, float Riskfree, float Volatility, int optN)
{
    const int opt = blockDim.x * blockIdx.x + threadIdx.x;

    // Calculating 2 options per thread to increase ILP (instruction level parallelism)
    if (opt < (optN / 2)) {
        float callResult1, callResult2;
        float putResult1, putResult2;
        BlackScholesBodyGPU(&callResult1, &putResult1, d_StockPrice[opt].x, d_OptionStrike[opt].x,
                            d_OptionYears[opt].x, Riskfree, Volatility);
        BlackScholesBodyGPU(&callResult2, &putResult2, d_StockPrice[opt].y, d_OptionStrike[opt].y,
                            d_OptionYears[opt].y, Riskfree, Volatility);
        d_CallResult[opt] = make_float2(callResult1, callResult2);
        d_PutResult[opt] = make_float2(putResult1, putResult2);
    }
}

// One option a block; the tree's level lies in shared memory and shrinks by one each step.
#define STEPS 64
extern "C" __global__ void binomial_option(const float* S, const float* X, float* value, float up,
                                           float pu_by_df, float pd_by_df)
{
    __shared__ float level[STEPS + 1];
    int t = threadIdx.x;
    float down = 1.0f / up;
    for (int i = t; i <= STEPS; i += blockDim.x) {
        float price = S[blockIdx.x] * powf(up, (float)i) * powf(down, (float)(STEPS - i));
        level[i] = fmaxf(price - X[blockIdx.x], 0.0f);
    }
    for (int step = STEPS; step > 0; step--) {
        __syncthreads();
        float mine = 0.0f;
        if (t < step) mine = pu_by_df * level[t + 1] + pd_by_df * level[t];
        __syncthreads();
        if (t < step) level[t] = mine;
    }
    __syncthreads();
    if (t == 0) value[blockIdx.x] = level[0];
}
