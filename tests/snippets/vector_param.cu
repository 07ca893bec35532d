// gives: 19
// args: [np.array([1,2,3],'f4').tobytes(),np.array([1,2,3,4],'f4').tobytes(),np.array([1,2],'i4').tobytes(),np.array([1,2,3,9],'u1').tobytes()]
extern "C" __global__ void k(int *o, float3 a, float4 b, int2 c, uchar4 e) {
    o[threadIdx.x] = (int)(a.x + a.z + b.w) + c.y + e.w;
}
