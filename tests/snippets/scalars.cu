// gives: 225
// args: [np.int32(3),True,5,6,np.int8(-7),np.uint8(200),np.int16(9),10.0]
enum Mode { Off, On = 3 };
typedef bool flag;
typedef long long ll;
extern "C" __global__ void k(int *o, Mode m, flag f, ll l, size_t s, char c, unsigned char u,
                             short h, double d) {
    o[threadIdx.x] = (m == On) + f + (int)l + (int)s + c + u + h + (int)d;
}
